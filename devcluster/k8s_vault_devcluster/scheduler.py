"""The scheduler: gives pods the one node, or says on the pod why not.

Source of the words: kubernetes, pkg/scheduler/framework/plugins and types/FitError.

Needed by delivery `secret`, whose pods wait behind a gate.
"""

from __future__ import annotations

from airflow_k8s_vault import quantity
from k8s_vault_devcluster import claims, events
from k8s_vault_devcluster.api import pod_resources
from k8s_vault_devcluster.node import CAPACITY, NODE_LABELS, NODE_NAME
from k8s_vault_devcluster.store import NotFound, Object, Store, now

_NAME = "default-scheduler"
# What the plugins DynamicResources and DefaultPreemption add since 1.34: a pod that does not fit an empty node.
_NO_HELP = (
    "no new claims to deallocate, preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."
)


async def run(store: Store) -> None:
    """Schedule pods until cancelled."""
    for pod in store.list("pods"):
        schedule(store, pod)
    async for change in store.watch(None, store.version):
        if change.resource == "pods" and change.kind != "DELETED":
            schedule(store, change.obj)
        elif change.resource == claims.PLURAL:
            for pod in store.list("pods", change.obj["metadata"]["namespace"]):
                schedule(store, pod)


def schedule(store: Store, pod: Object) -> None:
    """Bind one pod, or write the condition that says why it waits. Pods of other schedulers are left alone."""
    spec, meta = pod["spec"], pod["metadata"]
    if spec.get("nodeName") or meta.get("deletionTimestamp") or spec.get("schedulerName") != _NAME:
        return
    if spec.get("schedulingGates"):
        message = "Scheduling is blocked due to non-empty scheduling gates"
        _waits(store, pod, "SchedulingGated", message)
        return
    if why := claims.missing(store, pod):
        _unschedulable(store, pod, f"0/1 nodes are available: {why}. {_NO_HELP}")
        return
    reasons = unmet(spec)
    if reasons:
        why = ", ".join(f"1 {problem}" for problem in sorted(reasons))
        _unschedulable(store, pod, f"0/1 nodes are available: {why}. {_NO_HELP}")
        return
    claims.bind(store, pod)
    _bind(store, pod)


def _unschedulable(store: Store, pod: Object, reason: str) -> None:
    if _waits(store, pod, "Unschedulable", reason):
        events.record(store, pod, "Warning", "FailedScheduling", reason, _NAME)


def _bind(store: Store, pod: Object) -> None:
    meta = pod["metadata"]
    try:
        bound = store.update("pods", meta["namespace"], meta["name"], _set_node)
    except NotFound:
        return
    message = f"Successfully assigned {meta['namespace']}/{meta['name']} to {NODE_NAME}"
    events.record(store, bound, "Normal", "Scheduled", message, _NAME)


def _set_node(pod: Object) -> None:
    pod["spec"]["nodeName"] = NODE_NAME
    _set_condition(pod, {"type": "PodScheduled", "status": "True"})


def _waits(store: Store, pod: Object, reason: str, message: str) -> bool:
    """Write the condition; return whether it is news."""
    meta = pod["metadata"]
    expected = {"type": "PodScheduled", "status": "False", "reason": reason, "message": message}
    if any(expected.items() <= condition.items() for condition in pod["status"].get("conditions", [])):
        return False
    try:
        store.update("pods", meta["namespace"], meta["name"], lambda kept: _set_condition(kept, expected))
    except NotFound:
        return False
    return True


def _set_condition(pod: Object, condition: Object) -> None:
    others = [each for each in pod["status"].get("conditions", []) if each["type"] != condition["type"]]
    generation = pod["metadata"].get("generation", 1)
    stamped = {**condition, "lastTransitionTime": now(), "lastProbeTime": None, "observedGeneration": generation}
    pod["status"]["conditions"] = [*others, {key: value for key, value in stamped.items() if value is not None}]


def unmet(spec: Object) -> list[str]:
    """Return why the node does not fit, in the scheduler's words; nothing where it does."""
    reasons = []
    if not _selected(spec):
        reasons.append("node(s) didn't match Pod's node affinity/selector")
    for name, amount in pod_resources.total(spec, "requests").items():
        available = quantity.parse(CAPACITY.get(name, "0"))
        if available is None or amount > available:
            reasons.append(f"Insufficient {name}")
    return reasons


def _selected(spec: Object) -> bool:
    if any(NODE_LABELS.get(key) != value for key, value in spec.get("nodeSelector", {}).items()):
        return False
    affinity = spec.get("affinity", {}).get("nodeAffinity", {})
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    return required is None or any(_term_holds(term) for term in required["nodeSelectorTerms"])


def _term_holds(term: Object) -> bool:
    expressions = [(NODE_LABELS, each) for each in term.get("matchExpressions", [])]
    expressions += [({"metadata.name": NODE_NAME}, each) for each in term.get("matchFields", [])]
    # A term without any requirement matches nothing.
    return bool(expressions) and all(_expression_holds(labels, each) for labels, each in expressions)


def _expression_holds(labels: dict[str, str], expression: Object) -> bool:
    value, values = labels.get(expression["key"]), expression.get("values", [])
    operator = expression["operator"]
    if operator in ("Gt", "Lt"):
        if value is None or not value.isdigit():
            return False
        return int(value) > int(values[0]) if operator == "Gt" else int(value) < int(values[0])
    if operator in ("In", "NotIn"):
        return bool((value in values) == (operator == "In"))
    return bool((value is not None) == (operator == "Exists"))
