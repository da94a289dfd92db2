"""From what became of a pod's containers to its status; the rules of kubelet_pods.go and status/generate.go.

Needed by the operator, which reads from it why a pod did not start or failed.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from k8s_vault_devcluster.kubelet import images
from k8s_vault_devcluster.store import Object, now


@dataclass
class Record:
    """What is known of one container. `state` and `last` are ContainerStates; `kind` is init, sidecar or main."""

    spec: Object
    kind: str
    state: Object
    last: Object = field(default_factory=dict)
    restarts: int = 0
    started: bool = False
    image_id: str = ""
    container_id: str = ""

    @property
    def name(self) -> str:
        return str(self.spec["name"])

    @property
    def begun(self) -> bool:
        """Whether it has ever run, or tried to."""
        return "waiting" not in self.state or "terminated" in self.last

    @property
    def exit_code(self) -> int | None:
        """None where it has not ended, or runs again."""
        code: int | None = self.state.get("terminated", {}).get("exitCode")
        return code

    @property
    def ready(self) -> bool:
        if self.kind == "init":
            return self.exit_code == 0
        return "running" in self.state and self.started


def container_status(record: Record, *, ended: bool = False) -> Object:
    """Return the v1 ContainerStatus. `ended`: the pod is over, so only a finished init container is ready."""
    status: Object = {
        "name": record.name,
        "state": record.state,
        "lastState": record.last,
        "ready": record.ready and not (ended and record.kind != "init"),
        "restartCount": record.restarts,
        "image": images.normalised(record.spec["image"]) or record.spec["image"],
        "imageID": record.image_id,
        "started": record.started and "running" in record.state,
    }
    if record.container_id:
        status["containerID"] = record.container_id
    return status


def phase(records: list[Record], restart_policy: str) -> str:
    """Return the phase that getPhase computes, sidecars not counted."""
    initial = [record for record in records if record.kind != "main"]
    main = [record for record in records if record.kind == "main"]
    failed = [record for record in initial if record.kind == "init" and record.exit_code not in (None, 0)]
    if failed and restart_policy == "Never":
        return "Failed"
    ended = [record for record in main if "terminated" in record.state or record.last.get("terminated")]
    running = [record for record in main if "running" in record.state]
    begun = bool(ended or running)
    if not begun or len({record.name for record in [*ended, *running]}) < len(main):
        return "Pending"
    if running:
        return "Running"
    if restart_policy == "Always":
        return "Running"
    if any("terminated" not in record.state for record in main):
        return "Running"
    if all(record.exit_code == 0 for record in main):
        return "Succeeded"
    return "Failed" if restart_policy == "Never" else "Running"


@dataclass(frozen=True)
class PodState:
    """What a pod's status is made of beside its containers. `reason` and `message`: why it was ended."""

    host_ip: str
    start_time: str
    sandbox_ready: bool
    ended: bool = False
    failed: bool = False
    reason: str = ""
    message: str = ""


def pod_status(pod: Object, records: list[Record], state: PodState) -> Object:
    """Return the v1 PodStatus that replaces the pod's; condition times are kept where nothing changed."""
    result = _phase(pod, records, state)
    old = pod.get("status") or {}
    status: Object = {
        "phase": result,
        "conditions": _conditions(pod, records, result, state),
        "hostIP": state.host_ip,
        "hostIPs": [{"ip": state.host_ip}],
        "podIP": state.host_ip,
        "podIPs": [{"ip": state.host_ip}],
        "startTime": state.start_time,
        "qosClass": old.get("qosClass"),
        "initContainerStatuses": [container_status(r, ended=state.ended) for r in records if r.kind != "main"],
        "containerStatuses": [container_status(r, ended=state.ended) for r in records if r.kind == "main"],
    }
    if "generation" in pod["metadata"]:
        status["observedGeneration"] = pod["metadata"]["generation"]
    status |= {key: value for key, value in (("reason", state.reason), ("message", state.message)) if value}
    return status


def _phase(pod: Object, records: list[Record], state: PodState) -> str:
    """A pod is not over while anything of it may still run (status_manager.go, mergePodStatus)."""
    result = phase(records, pod["spec"].get("restartPolicy") or "Always")
    if state.failed:
        result = "Failed"
    if result in ("Failed", "Succeeded") and not state.ended:
        old = (pod.get("status") or {}).get("phase")
        return str(old) if old in ("Pending", "Running") else "Pending"
    if state.ended and result not in ("Failed", "Succeeded"):
        codes = [record.exit_code for record in records if record.kind == "main"]
        return "Succeeded" if codes and all(code == 0 for code in codes) else "Failed"
    return result


def _conditions(pod: Object, records: list[Record], actual: str, state: PodState) -> list[Object]:
    waiting = [r.name for r in records if r.kind == "init" and r.exit_code != 0]
    waiting += [
        r.name for r in records if r.kind == "sidecar" and not (r.started or r.restarts or "terminated" in r.state)
    ]
    # Once the main containers have begun, initialisation is over for good.
    begun = any(r.kind == "main" and (r.container_id or r.last) for r in records)
    unready = [r.name for r in records if r.kind != "init" and not (r.ready and not state.ended)]
    expected = [
        _condition("PodReadyToStartContainers", state.sandbox_ready and not state.ended),
        _initialized([] if begun else waiting, actual),
        _readiness("Ready", unready, actual),
        _readiness("ContainersReady", unready, actual),
    ]
    old = {item["type"]: item for item in (pod.get("status") or {}).get("conditions") or []}
    generation = pod["metadata"].get("generation")
    kept = [item for kind, item in old.items() if kind not in {new["type"] for new in expected}]
    return [_timed(item, old.get(item["type"]), generation) for item in expected] + kept


def _condition(kind: str, true: bool, reason: str = "", message: str = "") -> Object:
    result: Object = {"type": kind, "status": "True" if true else "False"}
    return result | {key: value for key, value in (("reason", reason), ("message", message)) if value}


def _initialized(waiting: list[str], actual: str) -> Object:
    if not waiting:
        return _condition("Initialized", True, "PodCompleted" if actual == "Succeeded" else "")
    message = f"containers with incomplete status: [{' '.join(waiting)}]"
    return _condition("Initialized", False, "ContainersNotInitialized", message)


def _readiness(kind: str, unready: list[str], actual: str) -> Object:
    if actual in ("Succeeded", "Failed"):
        return _condition(kind, False, "PodCompleted" if actual == "Succeeded" else "PodFailed")
    if not unready:
        return _condition(kind, True)
    return _condition(kind, False, "ContainersNotReady", f"containers with unready status: [{' '.join(unready)}]")


def _timed(new: Object, old: Object | None, generation: int | None) -> Object:
    same = old is not None and old["status"] == new["status"]
    new |= {"lastProbeTime": None, "lastTransitionTime": old["lastTransitionTime"] if old and same else now()}
    return new | ({} if generation is None else {"observedGeneration": generation})
