"""What Kubernetes requires of a container's environment.

Source: kubernetes, pkg/apis/core/validation/validation.go (ValidateEnv, validateEnvVarValueFrom, ValidateEnvFrom).

Needed by the tests of variables and file keys; no library holds these rules.
"""

from __future__ import annotations

from collections.abc import Iterator

from k8s_vault_devcluster.api.names import config_key, dns_label, dns_subdomain, env_name, qualified_name
from k8s_vault_devcluster.api.rules import Rule, Rules, check, named, spelled, worded
from k8s_vault_devcluster.api.status import Cause, invalid_value, required, too_long, unknown_value
from k8s_vault_devcluster.api.volume_rules import file_path
from k8s_vault_devcluster.kubelet.fields import ENV_FIELDS, SUBSCRIPT
from k8s_vault_devcluster.store import Object

_SOURCES = "`configMapKeyRef`, `fieldRef`, `fileKeyRef`, `resourceFieldRef` or `secretKeyRef`"
_ONE_AT_A_TIME = "may not have more than one field specified at a time"


def env(volumes: list[Object]) -> Rules:
    """The rules of `env`, in a pod with these volumes."""
    key: Rules = {"name": spelled(dns_subdomain), "key": named(config_key)}
    sources: Rules = {
        "fieldRef": {"fieldPath": _field_path},
        "secretKeyRef": key,
        "configMapKeyRef": key,
        "fileKeyRef": {"volumeName": _volume(volumes), "path": file_path, "key": (named(env_name), _short)},
    }
    return [({"name": named(env_name)}, _value_from, {"valueFrom": sources})]


def _value_from(variable: Object, field: str) -> Iterator[Cause]:
    sources, place = variable.get("valueFrom"), f"{field}.valueFrom"
    if sources == {}:
        yield invalid_value(place, "", f"must specify one of: {_SOURCES}")
    if sources is not None and variable.get("value"):
        yield invalid_value(place, "", "may not be specified when `value` is not empty")
    elif len(sources or ()) > 1:
        yield invalid_value(place, "", _ONE_AT_A_TIME)


def _field_path(path: str | None, field: str) -> Iterator[Cause]:
    if not path:
        yield required(field)
    elif subscript := SUBSCRIPT.fullmatch(path):
        yield from (invalid_value(field, path, why) for why in qualified_name(subscript[2].lower()))
    elif path not in ENV_FIELDS:
        yield invalid_value(field, path, f"error converting fieldPath: field label not supported: {path}")


def _volume(volumes: list[Object]) -> Rule:
    """https://kubernetes.io/docs/tasks/inject-data-application/define-environment-variable-via-file/"""

    def rule(name: str | None, field: str) -> Iterator[Cause]:
        yield from named(dns_label)(name, field)
        volume = next((volume for volume in volumes if volume.get("name") == name), None)
        if volume is None:
            yield unknown_value(field, name or "")
        elif "emptyDir" not in volume:
            yield invalid_value(field, name, "referenced volume must be of type emptyDir")

    return rule


def _short(key: str | None, field: str) -> Iterator[Cause]:
    if len(key or "") > 128:
        yield too_long(field, "may not be more than 128 bytes")


def env_from(sources: list[Object] | None, field: str) -> Iterator[Cause]:
    name = {"name": named(dns_subdomain)}
    rules: Rules = ({"prefix": worded(env_name)}, {"configMapRef": name, "secretRef": name})
    for index, source in enumerate(sources or ()):
        # Kubernetes leaves the index out here (ValidateEnvFrom).
        if not source.keys() & {"configMapRef", "secretRef"}:
            yield invalid_value(field, "", "must specify one of: `configMapRef` or `secretRef`")
        if source.keys() >= {"configMapRef", "secretRef"}:
            yield invalid_value(field, "", _ONE_AT_A_TIME)
        yield from check(rules, source, f"{field}[{index}]")
