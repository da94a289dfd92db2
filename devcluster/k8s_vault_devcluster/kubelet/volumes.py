"""The volumes of one pod: folders of this machine, and where each container sees them.

Needed by both deliveries, and by the attack tests on what a neighbour may mount.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from k8s_vault_devcluster import claims
from k8s_vault_devcluster.kubelet import atomic, inside, projection
from k8s_vault_devcluster.kubelet.environment import ConfigError
from k8s_vault_devcluster.kubelet.projection import MountFailed, TokenCache
from k8s_vault_devcluster.kubelet.sandbox import Mount
from k8s_vault_devcluster.store import NotFound, Object, Store

# `medium: Memory` has to be memory that several sandboxes share. A tmpfs of our own cannot be had without root
# outside of one sandbox; /dev/shm is one that every Linux has, and a folder that only our user can enter is ours.
_MEMORY = Path("/dev/shm")  # noqa: S108 - see above
# Secrets and tokens, which the kubelet keeps in memory as well (pkg/volume/secret, pkg/volume/projected).
_IN_MEMORY = ("secret", "projected")


def memory_prefix(root: Path) -> str:
    """Return how the folders in memory of the devcluster at `root` start: it cleans up after a crash."""
    return f"devcluster-{hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:12]}-"


def remove_left_over_memory(root: Path) -> None:
    """Remove what a devcluster at `root` that was killed left in memory."""
    for result in _MEMORY.glob(f"{memory_prefix(root)}*"):
        shutil.rmtree(result, ignore_errors=True)


class Volumes:
    """`folder` is the pod's own; `root` that of the whole devcluster."""

    def __init__(self, store: Store, tokens: TokenCache, pod: Object, folder: Path, root: Path) -> None:
        self._store, self._tokens = store, tokens
        self._specs = {volume["name"]: volume for volume in pod["spec"].get("volumes") or []}
        self._disk = folder / "volumes"
        self._root, self._namespace = root, pod["metadata"]["namespace"]
        self._memory = _MEMORY / f"{memory_prefix(root)}{pod['metadata']['uid']}"

    def paths(self) -> dict[str, Path]:
        """Return the folder of each volume by its name."""
        return {name: self._path(spec) for name, spec in self._specs.items()}

    def _path(self, spec: Object) -> Path:
        if claim := spec.get("persistentVolumeClaim"):
            return claims.folder(self._store, self._root, self._namespace, claim["claimName"])
        in_memory = (spec.get("emptyDir") or {}).get("medium") == "Memory"
        in_memory = in_memory or any(spec.get(kind) is not None for kind in _IN_MEMORY)
        return Path(self._memory if in_memory else self._disk, spec["name"])

    def write(self, pod: Object) -> None:
        """Make the volumes, or bring them up to date; raise MountFailed with the kubelet's words."""
        for name, spec in self._specs.items():
            try:
                self._make(spec)
                if any(spec.get(kind) is not None for kind in projection.KINDS):
                    atomic.write(self._path(spec), projection.files(self._store, self._tokens, pod, spec))
            except (MountFailed, NotFound, OSError) as error:
                raise MountFailed(f'MountVolume.SetUp failed for volume "{name}" : {error}') from error

    def _make(self, spec: Object) -> None:
        path = self._path(spec)
        if path.exists():
            return
        # Others of this machine cannot pass the parent; the mode of the folder itself is for the containers.
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.mkdir()
        path.chmod(0o777 if {"emptyDir", "persistentVolumeClaim"} & set(spec) else 0o755)

    @contextlib.contextmanager
    def mounts(self, container: Object) -> Iterator[list[Mount]]:
        """Hold the mounts of a container open while it starts; raise ConfigError for a subPath that cannot be."""
        descriptors: list[int] = []
        try:
            matches = []
            for mount in container.get("volumeMounts") or []:
                spec = self._specs[mount["name"]]
                descriptors.append(self._open(mount, self._path(spec)))
                matches.append(Mount(descriptors[-1], mount["mountPath"], _read_only(mount, spec)))
            yield matches
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def _open(self, mount: Object, path: Path) -> int:
        try:
            return inside.open_folder_inside(path, mount.get("subPath") or "")
        except OSError as error:
            raise ConfigError(
                f'failed to prepare subPath for volumeMount "{mount["name"]}" of container: {error.strerror}'
            ) from error

    def remove(self) -> None:
        """Remove everything, memory first: it holds the secrets."""
        for folder in (self._memory, self._disk):
            _make_removable(folder)
            shutil.rmtree(folder, ignore_errors=True)


def remove_claim(root: Path, claim: Object) -> None:
    """Remove the volume of a claim that is gone."""
    folder = root / "claims" / str(claim["metadata"]["uid"])
    _make_removable(folder)
    shutil.rmtree(folder, ignore_errors=True)


def _read_only(mount: Object, spec: Object) -> bool:
    """Volumes that the kubelet writes are read-only to containers, whatever the mount says."""
    of_claim = (spec.get("persistentVolumeClaim") or {}).get("readOnly")
    return bool(mount.get("readOnly") or of_claim) or any(spec.get(kind) is not None for kind in projection.KINDS)


def _make_removable(folder: Path) -> None:
    """A container may have taken the rights from its own folders; we are their owner and can give them back."""
    for parent, names, _ in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                if not Path(parent, name).is_symlink():
                    Path(parent, name).chmod(0o700)
