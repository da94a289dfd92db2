"""Rules as rows of data: what each part of an object has to be, field by field, in Kubernetes' words.

The rules of a map are a dict by key, those of a list's items a list of one, several for one value a tuple. A leaf
is a function of a value (None where it is not there) and its field, which yields what is wrong.

Needed by the rules of pods, roles and metadata: the published schema does not state them, and no library does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from k8s_vault_devcluster.api.names import Syntax, label_value, qualified_name
from k8s_vault_devcluster.api.status import (
    Cause,
    duplicate,
    forbidden_value,
    invalid_value,
    not_supported,
    required,
)

Rule = Callable[[Any, str], Iterable[Cause]]
Rules = Rule | Mapping[str, "Rules"] | Sequence["Rules"]


def check(rules: Rules, value: Any, field: str = "") -> Iterator[Cause]:
    """Yield what is wrong with a value.

    >>> rules = {"name": present(), "ports": [{"protocol": one_of("TCP", "UDP")}]}
    >>> [(cause.field, cause.reason) for cause in check(rules, {"ports": [{"protocol": "X"}]}, "spec")]
    [('spec.name', 'FieldValueRequired'), ('spec.ports[0].protocol', 'FieldValueNotSupported')]
    """
    if callable(rules):
        yield from rules(value, field)
    elif isinstance(rules, tuple):
        for each in rules:
            yield from check(each, value, field)
    elif isinstance(rules, Mapping):
        for key, each in rules.items() if value is not None else ():
            yield from check(each, value.get(key), f"{field}.{key}" if field else key)
    else:
        for index, item in enumerate(value or ()):
            yield from check(rules[0], item, f"{field}[{index}]")


def present(why: str = "") -> Rule:
    return lambda value, field: [] if value else [required(field, why)]


def absent(why: str) -> Rule:
    return lambda value, field: [forbidden_value(field, why)] if value else []


def only(why: str, *known: str) -> Rule:
    """A map of these keys and no others."""
    return lambda value, field: [forbidden_value(f"{field}.{key}", why) for key in value or () if key not in known]


def one_of(*known: str) -> Rule:
    return lambda value, field: [] if value in (None, *known) else [not_supported(field, value, list(known))]


def within(low: int, high: int, why: str = "") -> Rule:
    """A number between two, both of them included; `why` says so in other words."""
    why = why or f"must be between {low} and {high}, inclusive"
    return lambda value, field: [] if value is None or low <= value <= high else [invalid_value(field, value, why)]


def not_negative(value: int | None, field: str) -> Iterator[Cause]:
    if value is not None and value < 0:
        yield invalid_value(field, value, "must be greater than or equal to 0")


def spelled(syntax: Syntax) -> Rule:
    """A text of this syntax."""
    return lambda value, field: [invalid_value(field, value or "", why) for why in syntax(value or "")]


def worded(syntax: Syntax) -> Rule:
    """A text of this syntax, or none."""
    return lambda value, field: spelled(syntax)(value, field) if value else []


def named(syntax: Syntax, seen: set[str] | None = None) -> Rule:
    """A text that has to be there; and only once, among those that share `seen`."""

    def rule(value: str | None, field: str) -> Iterator[Cause]:
        yield from worded(syntax)(value, field) if value else [required(field)]
        if value and seen is not None:
            yield from [duplicate(field, value)] if value in seen else []
            seen.add(value)

    return rule


def labels(value: Mapping[str, str] | None, field: str) -> Iterator[Cause]:
    for key in value or {}:
        yield from spelled(qualified_name)(key, field)
    for text in (value or {}).values():
        yield from spelled(label_value)(text, field)
