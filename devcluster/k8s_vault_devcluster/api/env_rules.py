"""What Kubernetes requires of a container's environment.

Source: kubernetes, pkg/apis/core/validation/validation.go (ValidateEnv, validateEnvVarValueFrom, ValidateEnvFrom).

Needed by the tests of variables and file keys; no library holds these rules.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from k8s_vault_devcluster.api.names import dns_label, dns_subdomain, env_name, qualified_name
from k8s_vault_devcluster.api.status import Cause, invalid_value, required, unknown_value
from k8s_vault_devcluster.api.volume_rules import check_config_key, local_path
from k8s_vault_devcluster.store import Object

_FIELDS = (
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
)
_SUBSCRIPT = re.compile(r"(metadata\.labels|metadata\.annotations)\['([^']+)'\]")
_RESOURCES = tuple(
    f"{which}.{name}" for which in ("limits", "requests") for name in ("cpu", "memory", "ephemeral-storage")
)
_SOURCES = "`configMapKeyRef`, `fieldRef`, `fileKeyRef`, `resourceFieldRef` or `secretKeyRef`"


def check_env(variables: list[Object], volumes: list[Object], field: str) -> Iterator[Cause]:
    """Causes of `env`; `volumes` are the pod's, for fileKeyRef."""
    for index, variable in enumerate(variables):
        place, name = f"{field}[{index}]", variable.get("name", "")
        if not name:
            yield required(f"{place}.name")
        else:
            yield from (invalid_value(f"{place}.name", name, problem) for problem in env_name(name))
        if "valueFrom" in variable:
            yield from _check_value_from(variable, volumes, f"{place}.valueFrom")


def _check_value_from(variable: Object, volumes: list[Object], place: str) -> Iterator[Cause]:
    sources = variable["valueFrom"]
    if not sources:
        yield invalid_value(place, "", f"must specify one of: {_SOURCES}")
    if variable.get("value"):
        yield invalid_value(place, "", "may not be specified when `value` is not empty")
    elif len(sources) > 1:
        yield invalid_value(place, "", "may not have more than one field specified at a time")
    if "fieldRef" in sources:
        yield from _check_field(sources["fieldRef"], f"{place}.fieldRef")
    if "resourceFieldRef" in sources:
        yield from _check_resource(sources["resourceFieldRef"], f"{place}.resourceFieldRef")
    for kind in ("secretKeyRef", "configMapKeyRef"):
        if kind in sources:
            yield from _check_key_of(sources[kind], f"{place}.{kind}")
    if "fileKeyRef" in sources:
        yield from _check_file_key(sources["fileKeyRef"], volumes, f"{place}.fileKeyRef")


def _check_field(reference: Object, place: str) -> Iterator[Cause]:
    path = reference.get("fieldPath", "")
    subscript = _SUBSCRIPT.fullmatch(path)
    if not path:
        yield required(f"{place}.fieldPath")
    elif subscript:
        yield from (invalid_value(f"{place}.fieldPath", path, why) for why in qualified_name(subscript[2].lower()))
    elif path not in _FIELDS:
        why = f"error converting fieldPath: field label not supported: {path}"
        yield invalid_value(f"{place}.fieldPath", path, why)


def _check_resource(reference: Object, place: str) -> Iterator[Cause]:
    resource = reference.get("resource", "")
    if not resource:
        yield required(f"{place}.resource")
    elif resource not in _RESOURCES:
        known = ", ".join(f'"{name}"' for name in sorted(_RESOURCES))
        yield Cause(
            "FieldValueNotSupported",
            f"{place}.resource",
            f'Unsupported value: "{resource}": supported values: {known}',
        )


def _check_key_of(reference: Object, place: str) -> Iterator[Cause]:
    name = reference.get("name", "")
    yield from (invalid_value(f"{place}.name", name, problem) for problem in dns_subdomain(name))
    yield from check_config_key(reference.get("key", ""), f"{place}.key")


def _check_file_key(reference: Object, volumes: list[Object], place: str) -> Iterator[Cause]:
    """https://kubernetes.io/docs/tasks/inject-data-application/define-environment-variable-via-file/"""
    name, path, key = (reference.get(part, "") for part in ("volumeName", "path", "key"))
    volume = next((volume for volume in volumes if volume.get("name") == name), None)
    if not name:
        yield required(f"{place}.volumeName")
    else:
        yield from (invalid_value(f"{place}.volumeName", name, problem) for problem in dns_label(name))
    if volume is None:
        yield unknown_value(f"{place}.volumeName", name)
    elif "emptyDir" not in volume:
        yield invalid_value(f"{place}.volumeName", name, "referenced volume must be of type emptyDir")
    if not path:
        yield required(f"{place}.path")
    yield from local_path(path, f"{place}.path")
    if path.startswith("..") and ".." not in path.split("/"):
        yield invalid_value(f"{place}.path", path, "must not start with '..'")
    if not key:
        yield required(f"{place}.key")
    else:
        yield from (invalid_value(f"{place}.key", key, problem) for problem in env_name(key))
        if len(key) > 128:
            yield Cause("FieldValueTooLong", f"{place}.key", "Too long: may not be more than 128 bytes")


def check_env_from(sources: list[Object], field: str) -> Iterator[Cause]:
    for index, source in enumerate(sources):
        place = f"{field}[{index}]"
        if source.get("prefix"):
            yield from (
                invalid_value(f"{place}.prefix", source["prefix"], why) for why in env_name(source["prefix"])
            )
        named = [kind for kind in ("configMapRef", "secretRef") if kind in source]
        # Kubernetes leaves the index out here (ValidateEnvFrom).
        if not named:
            yield invalid_value(field, "", "must specify one of: `configMapRef` or `secretRef`")
        if len(named) > 1:
            yield invalid_value(field, "", "may not have more than one field specified at a time")
        for kind in named:
            yield from _check_name(source[kind].get("name", ""), f"{place}.{kind}.name")


def _check_name(name: str, place: str) -> Iterator[Cause]:
    if not name:
        yield required(place)
    else:
        yield from (invalid_value(place, name, problem) for problem in dns_subdomain(name))
