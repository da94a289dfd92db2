"""What Kubernetes requires of each container.

Source: kubernetes, pkg/apis/core/validation/validation.go (validateContainerCommon, validateInitContainers). What
`kubelet.support` refuses (probes, host ports) has no rules of its own.

Needed by the tests that a pod is refused here which Kubernetes refuses; no library holds these rules.
"""

from __future__ import annotations

from collections.abc import Iterator

from airflow_k8s_vault import quantity
from k8s_vault_devcluster.api.env_rules import env, env_from
from k8s_vault_devcluster.api.names import dns_label, port_name, qualified_name
from k8s_vault_devcluster.api.rules import (
    Rule,
    Rules,
    check,
    named,
    one_of,
    present,
    spelled,
    within,
)
from k8s_vault_devcluster.api.status import Cause, forbidden_value, invalid_value, required
from k8s_vault_devcluster.api.volume_rules import mounts
from k8s_vault_devcluster.store import Object

_ID = within(0, 2**31 - 1)
# Of a container's securityContext, and of a pod's.
SECURITY: Rules = {
    "runAsUser": _ID,
    "runAsGroup": _ID,
    "fsGroup": _ID,
    "seccompProfile": {"type": one_of("Localhost", "RuntimeDefault", "Unconfined")},
}
_ONLY_SIDECARS = "may not be set for init containers without restartPolicy=Always"


def check_containers(spec: Object, field: str) -> Iterator[Cause]:
    rules = _rules(spec)
    yield from check({"containers": (present(), [rules]), "initContainers": [(rules, _init)]}, spec, field)


def _rules(spec: Object) -> Rules:
    """The rules of the containers of this pod, whose names differ."""
    volumes = spec.get("volumes", [])
    hook = _hook(spec.get("terminationGracePeriodSeconds", 0))
    return {
        "name": named(dns_label, set()),
        "image": (present(), _trimmed),
        "imagePullPolicy": one_of("Always", "IfNotPresent", "Never"),
        "terminationMessagePolicy": one_of("FallbackToLogsOnError", "File"),
        "restartPolicy": one_of("Always", "Never", "OnFailure"),
        "env": env(volumes),
        "envFrom": env_from,
        "volumeMounts": mounts(volumes),
        "ports": _ports,
        "resources": _resources,
        "lifecycle": {"postStart": hook, "preStop": hook},
        "securityContext": SECURITY,
    }


def _init(container: Object, field: str) -> Iterator[Cause]:
    if container.get("restartPolicy") != "Always" and "lifecycle" in container:
        yield forbidden_value(f"{field}.lifecycle", _ONLY_SIDECARS)


def _trimmed(image: str | None, field: str) -> Iterator[Cause]:
    if image and image != image.strip():
        yield invalid_value(field, image, "must not have leading or trailing whitespace")


def _ports(ports: list[Object] | None, field: str) -> Iterator[Cause]:
    name = named(port_name, set())
    rules = {
        "name": lambda value, place: name(value, place) if value else [],
        "containerPort": lambda value, place: (within(1, 65535) if value else present())(value, place),
        "protocol": one_of("SCTP", "TCP", "UDP"),
    }
    yield from check([rules], ports, field)


def _resources(resources: Object | None, field: str) -> Iterator[Cause]:
    limits, requests = ((resources or {}).get(which, {}) for which in ("limits", "requests"))
    for which, amounts in (("limits", limits), ("requests", requests)):
        for name, amount in amounts.items():
            yield from _amount(name, amount, f"{field}.{which}[{name}]")
    for name, limit in limits.items():
        if (quantity.parse(requests.get(name, 0)) or 0) > (quantity.parse(limit) or 0):
            why = f"must be less than or equal to {name} limit of {limit}"
            yield invalid_value(f"{field}.requests", str(requests[name]), why)


def _amount(name: str, amount: object, place: str) -> Iterator[Cause]:
    if (quantity.parse(amount) or 0) < 0:
        yield invalid_value(place, amount, "must be greater than or equal to 0")
    plain = name in ("cpu", "memory", "ephemeral-storage") or name.startswith("hugepages-")
    if not plain and "/" not in name:
        yield invalid_value(place, name, "must be a standard resource for containers")
    yield from spelled(qualified_name)(name, place)


def _hook(grace: int) -> Rule:
    """A hook of a container that has these seconds to end (validateHandler, validateSleepAction)."""
    limit = within(0, grace, f"must be non-negative and less than terminationGracePeriodSeconds ({grace})")
    handlers: Rules = {
        "exec": {"command": present()},
        "sleep": lambda sleep, field: limit((sleep or {}).get("seconds"), field),
    }

    def rule(handler: Object | None, field: str) -> Iterator[Cause]:
        if handler == {}:
            yield required(field, "must specify a handler type")
        for extra in list(handler or ())[1:]:
            yield forbidden_value(f"{field}.{extra}", "may not specify more than 1 handler type")
        yield from check(handlers, handler, field)

    return rule
