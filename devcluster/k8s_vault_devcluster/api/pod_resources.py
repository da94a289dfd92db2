"""What a pod asks for and what it may take, and the quotas and limits of its namespace.

https://kubernetes.io/docs/concepts/policy/resource-quotas/, https://kubernetes.io/docs/concepts/policy/limit-range/

Needed by the compiled quotas and limits, which doctor reads and tests run into: of ranges what these hold.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from airflow_k8s_vault import quantity
from k8s_vault_devcluster.api.defaults import containers
from k8s_vault_devcluster.api.rules import Rules, absent, only
from k8s_vault_devcluster.api.status import forbidden
from k8s_vault_devcluster.store import Object, Store

Amounts = dict[str, Decimal]

# What a quota may count here, and the part of a pod's resources that it is; pods are counted as such.
_COUNTED = {
    "cpu": ("requests", "cpu"),
    "memory": ("requests", "memory"),
    **{f"{which}.{name}": (which, name) for which in ("requests", "limits") for name in ("cpu", "memory")},
}
_NOT_HERE = "devcluster does not enforce this"
_NONE = Decimal(0)


# What a quota counts, and a range limits, and nobody would hold here, is refused.
QUOTA: Rules = {
    "scopes": absent(_NOT_HERE),
    "scopeSelector": absent(_NOT_HERE),
    "hard": only(_NOT_HERE, "pods", *_COUNTED),
}
_LIMITED = {"Container": ("default", "defaultRequest"), "Pod": ("max",)}
RANGE: Rules = {
    "limits": [lambda item, field: only(_NOT_HERE, "type", *_LIMITED.get(item["type"], ()))(item, field)]
}


def total(spec: Object, which: str) -> Amounts:
    """Return a pod's `requests` or `limits`: its containers' and sidecars', or its largest init container's.

    https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/#resource-sharing-within-containers
    """
    sidecars: Amounts = {}
    largest: Amounts = {}
    for container in spec.get("initContainers", []):
        own = _amounts(container, which)
        if container.get("restartPolicy") == "Always":
            sidecars, own = _sum(sidecars, own), {}
        for name, amount in _sum(sidecars, own).items():
            largest[name] = max(amount, largest.get(name, _NONE))
    whole = sidecars
    for container in spec["containers"]:
        whole = _sum(whole, _amounts(container, which))
    return {name: max(whole.get(name, _NONE), largest.get(name, _NONE)) for name in whole | largest}


def _amounts(container: Object, which: str) -> Amounts:
    given = container.get("resources", {}).get(which, {})
    return {name: quantity.parse(amount) or _NONE for name, amount in given.items()}


def _sum(left: Amounts, right: Amounts) -> Amounts:
    return {name: left.get(name, _NONE) + right.get(name, _NONE) for name in left | right}


def prepare_range(obj: Object) -> None:
    """Fill in what a LimitRange leaves out: the default limit is the default request."""
    for item in obj.get("spec", {}).get("limits", []):
        if item.get("default"):
            item["defaultRequest"] = {**item["default"], **item.get("defaultRequest", {})}


def fill_in(store: Store, pod: Object) -> None:
    """Give containers the defaults of the namespace's LimitRanges, in place (plugin/pkg/admission/limitranger)."""
    for item in _ranges(store, pod):
        for which, key in (("limits", "default"), ("requests", "defaultRequest")):
            for container in containers(pod["spec"]) if item.get(key) else ():
                resources = container.setdefault("resources", {})
                resources[which] = {**item[key], **resources.get(which, {})}


def admit(store: Store, pod: Object) -> None:
    """Raise ApiError 403 where a pod is more than its namespace's LimitRanges or ResourceQuotas leave."""
    name = pod["metadata"]["name"]
    broken = list(_over(store, pod))
    if broken:
        raise forbidden("pods", "", name, broken[0] if len(broken) == 1 else f"[{', '.join(broken)}]")
    for quota in store.list("resourcequotas", pod["metadata"]["namespace"]):
        _check_left(store, pod, quota)


def _ranges(store: Store, pod: Object) -> Iterator[Object]:
    for obj in store.list("limitranges", pod["metadata"]["namespace"]):
        yield from obj.get("spec", {}).get("limits", [])


def _over(store: Store, pod: Object) -> Iterator[str]:
    limits = total(pod["spec"], "limits")
    for name, most in (pair for item in _ranges(store, pod) for pair in item.get("max", {}).items()):
        if name not in limits:
            yield f"maximum {name} usage per Pod is {most}.  No limit is specified"
        elif limits[name] > (quantity.parse(most) or 0):
            yield f"maximum {name} usage per Pod is {most}, but limit is {limits[name]:f}"


def _check_left(store: Store, pod: Object, quota: Object) -> None:
    hard, name = quota.get("spec", {}).get("hard", {}), quota["metadata"]["name"]
    missing = sorted(key for key in hard if key in _COUNTED and _lacks(pod["spec"], *_COUNTED[key]))
    if missing:
        why = f"failed quota: {name}: must specify {','.join(missing)}"
        raise forbidden("pods", "", pod["metadata"]["name"], why)
    new, used = _usage(pod), _used(store, pod["metadata"]["namespace"])
    over = [
        key
        for key, limit in sorted(hard.items())
        if used.get(key, _NONE) + new.get(key, _NONE) > (quantity.parse(limit) or 0)
    ]
    if over:
        message = [",".join(f"{key}={amounts.get(key, _NONE):f}" for key in over) for amounts in (new, used)]
        limited = ",".join(f"{key}={hard[key]}" for key in over)
        why = f"exceeded quota: {name}, requested: {message[0]}, used: {message[1]}, limited: {limited}"
        raise forbidden("pods", "", pod["metadata"]["name"], why)


def _lacks(spec: Object, which: str, name: str) -> bool:
    return any(name not in container.get("resources", {}).get(which, {}) for container in containers(spec))


def _usage(pod: Object) -> Amounts:
    """Return what one pod counts for, by the names of quotas."""
    parts = {which: total(pod["spec"], which) for which in ("requests", "limits")}
    counted = {key: parts[which].get(name, _NONE) for key, (which, name) in _COUNTED.items()}
    return {"pods": Decimal(1), **counted}


def _used(store: Store, namespace: str) -> Amounts:
    """Return what the pods of a namespace count for that have not ended."""
    used: Amounts = {}
    for pod in store.list("pods", namespace):
        if pod.get("status", {}).get("phase") not in ("Failed", "Succeeded"):
            used = _sum(used, _usage(pod))
    return used


def with_status(store: Store, quota: Object) -> Object:
    """Return a ResourceQuota with its status, which is counted when it is read."""
    hard, used = quota.get("spec", {}).get("hard", {}), _used(store, quota["metadata"]["namespace"])
    return {**quota, "status": {"hard": hard, "used": {key: f"{used.get(key, _NONE):f}" for key in hard}}}
