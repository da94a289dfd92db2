"""What Kubernetes requires of each container.

Source: kubernetes, pkg/apis/core/validation/validation.go (validateContainerCommon, validateInitContainers).

Needed by the tests that a pod is refused here which Kubernetes refuses; no library holds these rules.
"""

from __future__ import annotations

from collections.abc import Iterator

from airflow_k8s_vault import quantity
from k8s_vault_devcluster.api.env_rules import check_env, check_env_from
from k8s_vault_devcluster.api.names import port_name, qualified_name
from k8s_vault_devcluster.api.status import (
    Cause,
    duplicate,
    forbidden_value,
    invalid_value,
    not_supported,
    required,
)
from k8s_vault_devcluster.api.volume_rules import check_mounts, name_causes
from k8s_vault_devcluster.store import Object

_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_HANDLERS = ("exec", "grpc", "httpGet", "sleep", "tcpSocket")
_PORT_RULE = "must be between 1 and 65535, inclusive"
_RESTART_POLICIES = ["Always", "Never", "OnFailure"]


def check_containers(spec: Object) -> Iterator[Cause]:
    if not spec.get("containers"):
        yield required("spec.containers")
    names: set[str] = set()
    for kind in ("containers", "initContainers"):
        for index, container in enumerate(spec.get(kind, [])):
            place = f"spec.{kind}[{index}]"
            yield from name_causes(container.get("name", ""), f"{place}.name", names)
            yield from _check_container(container, spec.get("volumes", []), place)
            yield from _check_sleep(container, spec.get("terminationGracePeriodSeconds", 0), place)
            if kind == "initContainers" and container.get("restartPolicy") != "Always":
                yield from _check_not_sidecar(container, place)


def _check_not_sidecar(container: Object, place: str) -> Iterator[Cause]:
    for key in ("lifecycle", *_PROBES):
        if key in container:
            yield forbidden_value(
                f"{place}.{key}", "may not be set for init containers without restartPolicy=Always"
            )


def _check_container(container: Object, volumes: list[Object], place: str) -> Iterator[Cause]:
    image = container.get("image", "")
    if not image:
        yield required(f"{place}.image")
    elif image != image.strip():
        yield invalid_value(f"{place}.image", image, "must not have leading or trailing whitespace")
    for key, known in (
        ("imagePullPolicy", ["Always", "IfNotPresent", "Never"]),
        ("terminationMessagePolicy", ["FallbackToLogsOnError", "File"]),
        ("restartPolicy", _RESTART_POLICIES),
    ):
        if key in container and container[key] not in known:
            yield not_supported(f"{place}.{key}", container[key], known)
    yield from check_env(container.get("env", []), volumes, f"{place}.env")
    yield from check_env_from(container.get("envFrom", []), f"{place}.envFrom")
    known_volumes = {volume.get("name", "") for volume in volumes}
    yield from check_mounts(container.get("volumeMounts", []), known_volumes, f"{place}.volumeMounts")
    yield from _check_ports(container.get("ports", []), f"{place}.ports")
    yield from _check_resources(container.get("resources", {}), f"{place}.resources")
    yield from _check_handlers(container, place)
    yield from check_security(container.get("securityContext", {}), f"{place}.securityContext")


def _check_ports(ports: list[Object], field: str) -> Iterator[Cause]:
    names: set[str] = set()
    for index, port in enumerate(ports):
        place, name = f"{field}[{index}]", port.get("name")
        if name:
            yield from (invalid_value(f"{place}.name", name, problem) for problem in port_name(name))
            if name in names:
                yield duplicate(f"{place}.name", name)
            names.add(name)
        for key in ("containerPort", "hostPort"):
            if port.get(key) and not 1 <= port[key] <= 65535:
                yield invalid_value(f"{place}.{key}", port[key], _PORT_RULE)
        if not port.get("containerPort"):
            yield required(f"{place}.containerPort")
        if port.get("protocol", "TCP") not in ("SCTP", "TCP", "UDP"):
            yield not_supported(f"{place}.protocol", port["protocol"], ["SCTP", "TCP", "UDP"])


def _check_resources(resources: Object, place: str) -> Iterator[Cause]:
    for which in ("limits", "requests"):
        for name, amount in resources.get(which, {}).items():
            yield from _check_amount(name, amount, f"{place}.{which}[{name}]")
    for name, limit in resources.get("limits", {}).items():
        requested = quantity.parse(resources.get("requests", {}).get(name, 0))
        most = quantity.parse(limit)
        if requested is not None and most is not None and requested > most:
            text = str(resources["requests"][name])
            yield invalid_value(
                f"{place}.requests", text, f"must be less than or equal to {name} limit of {limit}"
            )


def _check_amount(name: str, amount: str, place: str) -> Iterator[Cause]:
    value = quantity.parse(amount)
    if value is not None and value < 0:
        yield invalid_value(place, amount, "must be greater than or equal to 0")
    plain = name in ("cpu", "memory", "ephemeral-storage") or name.startswith("hugepages-")
    if not plain and "/" not in name:
        yield invalid_value(place, name, "must be a standard resource for containers")
    yield from (invalid_value(place, name, problem) for problem in qualified_name(name))


def _check_handlers(container: Object, place: str) -> Iterator[Cause]:
    for name in _PROBES:
        if name in container:
            yield from _check_handler(container[name], f"{place}.{name}")
            for key in ("periodSeconds", "timeoutSeconds", "failureThreshold", "initialDelaySeconds"):
                if container[name].get(key, 0) < 0:
                    yield invalid_value(
                        f"{place}.{name}.{key}", container[name][key], "must be greater than or equal to 0"
                    )
    for name in ("postStart", "preStop"):
        if name in container.get("lifecycle", {}):
            yield from _check_handler(container["lifecycle"][name], f"{place}.lifecycle.{name}")


def _check_sleep(container: Object, grace: int, place: str) -> Iterator[Cause]:
    """validateSleepAction; with PodLifecycleSleepActionAllowZero, which is on by default."""
    for name, handler in container.get("lifecycle", {}).items():
        seconds = (handler.get("sleep") or {}).get("seconds", 0) if isinstance(handler, dict) else 0
        if not 0 <= seconds <= grace:
            why = f"must be non-negative and less than terminationGracePeriodSeconds ({grace})"
            yield invalid_value(f"{place}.lifecycle.{name}.sleep", seconds, why)


def _check_handler(handler: Object, place: str) -> Iterator[Cause]:
    kinds = [kind for kind in _HANDLERS if kind in handler]
    if not kinds:
        yield required(place, "must specify a handler type")
    for extra in kinds[1:]:
        yield forbidden_value(f"{place}.{extra}", "may not specify more than 1 handler type")
    if "exec" in handler and not handler["exec"].get("command"):
        yield required(f"{place}.exec.command")


def check_security(context: Object, place: str) -> Iterator[Cause]:
    """Causes of a securityContext, a container's or a pod's."""
    for key in ("runAsUser", "runAsGroup", "fsGroup"):
        if not 0 <= context.get(key, 0) <= 2**31 - 1:
            yield invalid_value(f"{place}.{key}", context[key], "must be between 0 and 2147483647, inclusive")
    if context.get("privileged") and context.get("allowPrivilegeEscalation") is False:
        yield invalid_value(place, "", "cannot set `allowPrivilegeEscalation` to false and `privileged` to true")
    profile = context.get("seccompProfile", {})
    if profile and profile.get("type") not in ("Localhost", "RuntimeDefault", "Unconfined"):
        yield not_supported(
            f"{place}.seccompProfile.type", profile.get("type", ""), ["Localhost", "RuntimeDefault", "Unconfined"]
        )
    if profile.get("type") == "Localhost" and not profile.get("localhostProfile"):
        yield required(f"{place}.seccompProfile.localhostProfile", "must be set when seccomp type is Localhost")
