"""Getting a container's image, and what is said while it cannot be had.

Source: pkg/kubelet/images/image_manager.go (EnsureImageExists).

Needed by the fault tests: an image that is not there is a failed start.
"""

from __future__ import annotations

import asyncio

from k8s_vault_devcluster.kubelet import images
from k8s_vault_devcluster.kubelet.back_off import BackOff
from k8s_vault_devcluster.kubelet.images import Profile
from k8s_vault_devcluster.kubelet.local_images import LocalImages
from k8s_vault_devcluster.kubelet.report import Report


class ImagePull:
    """The image of one container. `tried` is set once the first try is over."""

    def __init__(
        self, report: Report, tried: asyncio.Event, backoff_seconds: float, images_here: LocalImages
    ) -> None:
        self._report, self._tried, self._seconds, self._images = report, tried, backoff_seconds, images_here
        self._image = str(report.record.spec["image"])
        self._name = images.normalised(self._image)

    async def done(self) -> Profile:
        """Return the image's profile; an image that is not there is asked for again, for ever."""
        back_off = BackOff(self._seconds)
        while True:
            profile = self._images.get(self._name or "")
            if profile:
                self._there()
                return profile
            reason, message = self._failure()
            self._failed(reason, message)
            pause = back_off.next()
            await asyncio.sleep(min(pause, 1))
            if reason == "ErrImagePull":
                self._backs_off(message)
            await asyncio.sleep(pause)

    def _there(self) -> None:
        """With the policy Always the registry is asked even for an image that is here; nothing is left to pull."""
        present = f'Container image "{self._image}" already present on machine and can be accessed by the pod'
        if images.policy(self._report.record.spec) == "Always":
            self._report.event("Normal", "Pulling", f'Pulling image "{self._image}"')
            times = "in 0s (0s including waiting). Image size: 0 bytes."
            present = f'Successfully pulled image "{self._image}" {times}'
        self._report.event("Normal", "Pulled", present)

    def _failure(self) -> tuple[str, str]:
        if self._name is None:
            parse = f'couldn\'t parse image name "{self._image}": invalid reference format'
            return "InvalidImageName", f'Failed to apply default image tag "{self._image}": {parse}'
        if images.policy(self._report.record.spec) == "Never":
            return "ErrImageNeverPull", f'Container image "{self._image}" is not present with pull policy of Never'
        return "ErrImagePull", images.not_found(self._name, self._images.names())

    def _failed(self, reason: str, message: str) -> None:
        if reason == "ErrImagePull":
            self._report.event("Normal", "Pulling", f'Pulling image "{self._image}"')
            self._report.event("Warning", "Failed", f'Failed to pull image "{self._image}": {message}')
        else:
            self._report.event("Warning", "InspectFailed" if reason == "InvalidImageName" else reason, message)
        self._report.event("Warning", "Failed", f"Error: {reason}")
        self._tried.set()
        self._report.waits(reason, message)

    def _backs_off(self, message: str) -> None:
        back_off = f'Back-off pulling image "{self._image}"'
        self._report.event("Normal", "BackOff", back_off)
        self._report.event("Warning", "Failed", "Error: ImagePullBackOff")
        self._report.waits("ImagePullBackOff", f"{back_off}: ErrImagePull: {message}")
