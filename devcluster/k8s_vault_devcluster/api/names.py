"""The syntax of names, labels and annotations: functions that return what is wrong, in Kubernetes' words.

Source: apimachinery, pkg/util/validation/validation.go and pkg/api/validation/objectmeta.go.

Needed by the tests of labels, names and variables; no library words these rules.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from k8s_vault_devcluster.api.status import Cause, invalid_value, required, too_long
from k8s_vault_devcluster.store import Object

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(rf"{_LABEL.pattern}(\.{_LABEL.pattern})*")
_QUALIFIED = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
_KEY = re.compile(r"[-._a-zA-Z0-9]+")
_ENV = re.compile(r"[ -<>-~]+")
_PORT = re.compile(r"[-a-z0-9]+")

_LABEL_RULE = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end "
    "with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_SUBDOMAIN_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must "
    "start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    r"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_NAME_PART_RULE = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
    "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
_LABEL_VALUE_RULE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must "
    "start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for "
    "validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
_KEY_RULE = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or "
    "'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
)
_ENV_RULE = (
    "a valid environment variable name must consist only of printable ASCII characters other than '=' "
    "(regex used for validation is '[ -<>-~]+')"
)
_ANNOTATIONS_BYTES = 256 * 1024


def dns_label(value: str) -> list[str]:
    """RFC 1123 label, 63 characters at most: namespaces, containers, volumes."""
    messages = ["must be no more than 63 bytes"] if len(value) > 63 else []
    return messages if _LABEL.fullmatch(value) else [*messages, _LABEL_RULE]


def dns_subdomain(value: str) -> list[str]:
    """RFC 1123 subdomain, 253 characters at most: the names of most objects."""
    messages = ["must be no more than 253 bytes"] if len(value) > 253 else []
    return messages if _SUBDOMAIN.fullmatch(value) else [*messages, _SUBDOMAIN_RULE]


def path_segment(value: str) -> list[str]:
    """What RBAC objects may be called: anything that fits into a URL path."""
    if value in (".", ".."):
        return [f"may not be '{value}'"]
    return [f"may not contain '{mark}'" for mark in "/%" if mark in value]


def qualified_name(value: str) -> list[str]:
    """prefix/name, as keys of labels and annotations."""
    prefix, slash, name = value.rpartition("/")
    if "/" in prefix:
        return [
            "a valid label key must consist of alphanumeric characters, '-', '_' or '.', with an optional DNS "
            "subdomain prefix and '/' (e.g. 'example.com/MyName')"
        ]
    messages = []
    if slash:
        messages = (
            [f"prefix part {each}" for each in dns_subdomain(prefix)]
            if prefix
            else ["prefix part must be non-empty"]
        )
    if not name:
        return [*messages, "name part must be non-empty", _NAME_PART_RULE]
    if len(name) > 63:
        messages.append("name part must be no more than 63 bytes")
    return messages if _QUALIFIED.fullmatch(name) else [*messages, _NAME_PART_RULE]


def label_value(value: str) -> list[str]:
    messages = ["must be no more than 63 bytes"] if len(value) > 63 else []
    return messages if _VALUE.fullmatch(value) else [*messages, _LABEL_VALUE_RULE]


def config_key(value: str) -> list[str]:
    """A key of a Secret's or ConfigMap's data."""
    messages = ["must be no more than 253 bytes"] if len(value) > 253 else []
    if value in (".", "..") or value.startswith(".."):
        return [*messages, f"may not be or start with '{value[:2]}'"]
    return messages if _KEY.fullmatch(value) else [*messages, _KEY_RULE]


def env_name(value: str) -> list[str]:
    """The relaxed rule of Kubernetes 1.34 and newer (RelaxedEnvironmentVariableValidation)."""
    return [] if _ENV.fullmatch(value) else [_ENV_RULE]


def port_name(value: str) -> list[str]:
    """IANA_SVC_NAME of RFC 6335."""
    rules = (
        (len(value) <= 15, "must be no more than 15 characters long"),
        (bool(_PORT.fullmatch(value)), "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)"),
        (any(mark.isalpha() for mark in value), "must contain at least one letter (a-z)"),
        ("--" not in value, "must not contain consecutive hyphens"),
        (not (value.startswith("-") or value.endswith("-")), "must not begin or end with a hyphen"),
    )
    return [problem for holds, problem in rules if not holds]


def check_metadata(meta: Object, namespaced: bool, name_rule: Callable[[str], list[str]]) -> list[Cause]:
    """Return what is wrong with an object's metadata; `name_rule` is one of the functions above."""
    causes = []
    if not meta.get("name"):
        causes.append(required("metadata.name", "name or generateName is required"))
    else:
        causes += [invalid_value("metadata.name", meta["name"], problem) for problem in name_rule(meta["name"])]
    if not namespaced and meta.get("namespace"):
        causes.append(Cause("FieldValueForbidden", "metadata.namespace", "Forbidden: not allowed on this type"))
    return causes + check_labels(meta.get("labels", {})) + _annotations(meta) + _owners(meta) + _finalizers(meta)


def check_labels(labels: dict[str, str], field: str = "metadata.labels") -> list[Cause]:
    causes = [invalid_value(field, key, problem) for key in labels for problem in qualified_name(key)]
    return causes + [
        invalid_value(field, value, problem) for value in labels.values() for problem in label_value(value)
    ]


def _annotations(meta: Object) -> list[Cause]:
    annotations = meta.get("annotations", {})
    causes = [
        invalid_value("metadata.annotations", key, problem)
        for key in annotations
        # Unlike a label's, an annotation's key may be written in upper case.
        for problem in qualified_name(key.lower())
    ]
    size = sum(len(key.encode()) + len(value.encode()) for key, value in annotations.items())
    if size > _ANNOTATIONS_BYTES:
        causes.append(too_long("metadata.annotations", f"may not be more than {_ANNOTATIONS_BYTES} bytes"))
    return causes


def _owners(meta: Object) -> list[Cause]:
    causes: list[Cause] = []
    owners = meta.get("ownerReferences", [])
    for index, owner in enumerate(owners):
        empty = [key for key in ("apiVersion", "kind", "name", "uid") if not owner.get(key)]
        for key in empty:
            causes.append(
                invalid_value(f"metadata.ownerReferences[{index}].{key}", "", f"{key} must not be empty")
            )
    if sum(bool(owner.get("controller")) for owner in owners) > 1:
        why = "Only one reference can have Controller set to true"
        causes.append(invalid_value("metadata.ownerReferences", [owner["name"] for owner in owners], why))
    return causes


def _finalizers(meta: Object) -> list[Cause]:
    if not meta.get("finalizers"):
        return []
    return [
        Cause("FieldValueForbidden", "metadata.finalizers", "Forbidden: devcluster does not support finalizers")
    ]
