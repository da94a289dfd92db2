"""What one subscriber is told of one pod, in order."""

from __future__ import annotations

import asyncio

from airflow_k8s_vault.errors import K8sVaultError
from airflow_k8s_vault.watching.pods import Pod

# A pod has about ten states in its life. Who is further behind than this does not miss the last ones.
_MOST_KEPT = 100


class Subscription:
    """The states of the pod with this UID, from the present one on.

    States come in the order in which the API server made them, each once, and only where something differs that a
    Pod keeps. Between two of them states may be left out: where the server has forgotten them by the time a broken
    connection stands again, and for a reader who is 100 states behind. The last one is never left out: a finished
    pod (phase Succeeded or Failed), or PodGone where it was deleted before that was seen. It comes once.
    """

    __slots__ = ("_end", "_kept", "_newest", "_version", "_waiting", "name", "poll_seconds", "uid")

    def __init__(self, name: str, uid: str, poll_seconds: float) -> None:
        self.name, self.uid, self.poll_seconds = name, uid, poll_seconds
        self._kept: list[Pod] = []
        self._newest: Pod | None = None
        self._end: K8sVaultError | None = None
        self._version = 0
        # An asyncio.Event would cost seven times the memory, for each deferred pod.
        self._waiting: asyncio.Future[None] | None = None

    async def changed(self, within_seconds: float | None = None) -> Pod:
        """Return the next state: at first the present one, then each change, as soon as it is known.

        Where nothing changed within the time, which is None for "whenever it comes", the last state is returned
        again, as it is after a finished pod. Raises TimeoutError where there is no state yet, PodGone where the
        pod is there no more, WatchUnavailable where this account may neither watch nor list pods.
        """
        if not self._kept and not self.is_over:
            self._waiting = asyncio.get_running_loop().create_future()
            try:
                async with asyncio.timeout(within_seconds):
                    await self._waiting
            except TimeoutError:
                if self._newest is None:
                    raise
                return self._newest
            finally:
                self._waiting = None
        if self._kept:
            return self._kept.pop(0)
        if self._end is not None or self._newest is None:
            raise self._end or TimeoutError(self.name)
        return self._newest

    # What the watch does with it.

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come."""
        return self._end is not None or (self._newest is not None and self._newest.is_finished)

    def tell(self, pod: Pod) -> None:
        """Add a state, unless it is no news or an older one."""
        version = _number(pod.metadata.resource_version)
        if self.is_over or (version and version < self._version):
            return
        self._version = version
        if not pod.differs(self._newest):
            return
        self._newest = pod
        if len(self._kept) == _MOST_KEPT:
            del self._kept[0]
        self._kept.append(pod)
        self._wake()

    def tell_end(self, end: K8sVaultError) -> None:
        """Let the states end with this error."""
        if not self.is_over:
            self._end = end
            self._wake()

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def begin_anew(self) -> None:
        """Forget how new the newest state is: a restored server counts from an earlier version."""
        self._version = 0


def _number(version: str) -> int:
    """Return a resourceVersion as the number that it is on every server known; 0 where it is none."""
    return int(version) if version.isdigit() else 0
