"""The syntax of names, labels and keys: functions that return what is wrong, in Kubernetes' words.

Source: apimachinery, pkg/util/validation/validation.go and pkg/api/validation/objectmeta.go.

Needed by the tests of labels, names and variables; no library words these rules.
"""

from __future__ import annotations

import re
from collections.abc import Callable

Syntax = Callable[[str], list[str]]

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_PORT = re.compile("[-a-z0-9]+")
_NAME = r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"


def _syntax(pattern: str, longest: int | None, message: str, *examples: str) -> Syntax:
    """Return the rule of a pattern and a length in bytes (None: any), in RegexError's and MaxLenError's words."""
    shown = "e.g. " + " or ".join(f"'{each}', " for each in examples) if examples else ""
    message = f"{message} ({shown}regex used for validation is '{pattern}')"

    def messages(value: str) -> list[str]:
        long = [f"must be no more than {longest} bytes"] if longest and len(value) > longest else []
        return long if re.fullmatch(pattern, value) else [*long, message]

    return messages


# Namespaces, containers, volumes.
dns_label = _syntax(
    _LABEL,
    63,
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end "
    "with an alphanumeric character",
    "my-name",
    "123-abc",
)
# Most objects.
dns_subdomain = _syntax(
    rf"{_LABEL}(\.{_LABEL})*",
    253,
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must "
    "start and end with an alphanumeric character",
    "example.com",
)
label_value = _syntax(
    f"({_NAME})?",
    63,
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must "
    "start and end with an alphanumeric character",
    "MyValue",
    "my_value",
    "12345",
)
# The relaxed rule of Kubernetes 1.34 and newer (RelaxedEnvironmentVariableValidation).
env_name = _syntax(
    "[ -<>-~]+",
    None,
    "a valid environment variable name must consist only of printable ASCII characters other than '='",
)
_name_part = _syntax(
    _NAME,
    63,
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
    "alphanumeric character",
    "MyName",
    "my.name",
    "123-abc",
)
_key = _syntax(
    "[-._a-zA-Z0-9]+",
    253,
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
    "key.name",
    "KEY_NAME",
    "key-name",
)


def config_key(value: str) -> list[str]:
    """A key of a Secret's or ConfigMap's data."""
    return [f"may not be or start with '{value[:2]}'"] if value == "." or value.startswith("..") else _key(value)


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
    messages = [f"prefix part {each}" for each in dns_subdomain(prefix)] if prefix else []
    if slash and not prefix:
        messages.append("prefix part must be non-empty")
    if not name:
        messages.append("name part must be non-empty")
    return messages + [each.replace("must be", "name part must be", 1) for each in _name_part(name)]


def port_name(value: str) -> list[str]:
    """IANA_SVC_NAME of RFC 6335."""
    rules = (
        (len(value) <= 15, "must be no more than 15 characters long"),
        (
            re.fullmatch("[-a-z0-9]+", value),
            "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)",
        ),
        (any(mark.isalpha() for mark in value), "must contain at least one letter (a-z)"),
        ("--" not in value, "must not contain consecutive hyphens"),
        (not (value.startswith("-") or value.endswith("-")), "must not begin or end with a hyphen"),
    )
    return [message for holds, message in rules if not holds]
