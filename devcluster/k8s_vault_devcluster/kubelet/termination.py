"""How a container ends: the time it has left, and the message it leaves.

https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/

Needed by the agent's last words, which the operator shows.
"""

from __future__ import annotations

import time
from pathlib import Path

from k8s_vault_devcluster.kubelet.logs import Log
from k8s_vault_devcluster.store import Object

_MESSAGE_BYTES, _POD_MESSAGE_BYTES = 4096, 12 * 1024
_LOG_LINES, _LOG_BYTES = 80, 2048


class Grace:
    """The time that a pod's containers have to end, shared by all of them. It can be shortened.

    `least_seconds` is what each has after its SIGTERM, however little is left: a sidecar too whose turn comes
    late (minimumGracePeriodInSeconds in kuberuntime_container.go).
    """

    def __init__(self, seconds: float, *, least_seconds: float = 2) -> None:
        self._end = time.monotonic() + seconds
        self.least_seconds = least_seconds

    def left(self) -> float:
        return self._end - time.monotonic()

    def shorten(self, seconds: float) -> None:
        self._end = min(self._end, time.monotonic() + seconds)


def message(pod_spec: Object, container: Object, path: Path, code: int, log: Log) -> str:
    """Return what the container wrote to its terminationMessagePath, or the log's end where that is the policy."""
    containers = len([*(pod_spec.get("initContainers") or []), *pod_spec["containers"]])
    limit = min(_MESSAGE_BYTES, _POD_MESSAGE_BYTES // containers)
    with path.open("rb") as file:
        written = file.read(limit)
    if not written and code != 0 and container.get("terminationMessagePolicy") == "FallbackToLogsOnError":
        return log.tail(_LOG_LINES, min(_LOG_BYTES, limit))
    return written.decode(errors="replace")
