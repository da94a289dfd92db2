"""What one container tells of itself: its record, which becomes its status, and its events.

Sources: pkg/kubelet/kuberuntime (kuberuntime_container.go), pkg/kubelet/status/status_manager.go (TerminatePod).

Needed by `kubectl describe`, and by the messages of tasks whose pods do not start.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable

from k8s_vault_devcluster.kubelet.pod import Pod
from k8s_vault_devcluster.kubelet.status import Record
from k8s_vault_devcluster.store import Object, now

_LOST = "The container could not be located when the pod was terminated"
# What containerd says of a container that was created and never started.
_NEVER = "1970-01-01T00:00:00Z"


class Report:
    """The record of one container; `changed` is called whenever its state is another."""

    def __init__(self, pod: Pod, spec: Object, kind: str, changed: Callable[[], None]) -> None:
        waiting = (
            "ContainerCreating" if kind == "main" and not pod.spec.get("initContainers") else "PodInitializing"
        )
        self.record = Record(spec, kind, {"waiting": {"reason": waiting}})
        self._pod, self._changed = pod, changed
        self._started_at = now()
        self._field = f"spec.{'containers' if kind == 'main' else 'initContainers'}{{{spec['name']}}}"

    def event(self, kind: str, reason: str, message: str) -> None:
        self._pod.event(kind, reason, message, self._field)

    def waits(self, reason: str, message: str = "") -> None:
        self._set({"waiting": {"reason": reason} | ({"message": message} if message else {})})

    def failed(self, reason: str, message: str) -> None:
        """It cannot be made now."""
        self.event("Warning", "Failed", f"Error: {message}")
        self.waits(reason, message)

    def created(self, image_id: str) -> None:
        self.record.image_id = image_id
        self.record.container_id = f"bubblewrap://{uuid.uuid4().hex}{uuid.uuid4().hex}"
        self._started_at = now()
        self.event("Normal", "Created", "Container created")

    def started(self) -> None:
        self.event("Normal", "Started", "Container started")

    def runs(self) -> None:
        self.record.started = True
        self._set({"running": {"startedAt": self._started_at}})

    def start_failed(self, message: str) -> None:
        """A command that cannot be executed is an end of its own, as containerd reports it."""
        self.event("Warning", "Failed", f"Error: {message}")
        self._started_at = _NEVER
        self._ended(128, "StartError", message)

    def ended(self, code: int, message: str, *, out_of_memory: bool) -> None:
        self.record.started = False
        self._ended(code, "OOMKilled" if out_of_memory else "Completed" if code == 0 else "Error", message)

    def _ended(self, code: int, reason: str, message: str) -> None:
        ended = {"exitCode": code, "reason": reason} | ({"message": message} if message else {})
        times = {"startedAt": self._started_at, "finishedAt": now()}
        self._set({"terminated": ended | times | {"containerID": self.record.container_id}})

    def lost(self) -> None:
        """Record the end of a container that the pod's end came before (TerminatePod)."""
        ended = {"exitCode": 137, "reason": "ContainerStatusUnknown", "message": _LOST}
        self._set({"terminated": ended | {"startedAt": None, "finishedAt": None}})

    def _set(self, state: Object) -> None:
        self.record.state = state
        self._changed()
