"""Plain values: of types that cannot lie about themselves, and comparison by what they are.

An object may compare equal to everything, say another thing each time it is asked, or claim another class. What a
check saw is what is used afterwards only where it is a copy of exactly these types.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

# Of one argument: deeper than any pod, more entries than any pod has, and the digits that Python always writes.
_DEEPEST, _MOST_ENTRIES, _MOST_BITS = 100, 200_000, 2_048
_SCALARS = (str, int, float, bool, type(None))


def text(value: object) -> str | None:
    """Return text as exactly str; None of what is no text."""
    return str.__str__(value) if issubclass(type(value), str) else None


def span(value: object) -> timedelta | None:
    """Return a time span as exactly timedelta; None of what is none, pendulum's Duration being one."""
    return timedelta(seconds=float(value.total_seconds())) if isinstance(value, timedelta) else None


def mapping(value: object) -> dict[str, Any]:
    """Return a mapping as exactly dict, with its values as they are; empty of what is none."""
    return {key: value[key] for key in list(value)} if isinstance(value, Mapping) else {}


def named(value: object) -> dict[str, Any]:
    """Return arguments by name, as exactly dict whose keys are exactly str; without those that no text names."""
    return {name: item for key, item in mapping(value).items() if (name := text(key)) is not None}


def snapshot(value: Any) -> Any:
    """Return the value with lists and mappings copied, for a later `same`."""
    kind = type(value)
    if kind in (list, tuple):
        return kind(snapshot(item) for item in value)
    return {key: snapshot(item) for key, item in value.items()} if kind is dict else value


def same(one: Any, other: Any) -> bool:
    """Whether two values are the same: of one type, equal if that type is plain, else one object.

    >>> same([1, "a"], [1, "a"]), same(1, True), same("delete_pod", None)
    (True, False, False)
    """
    kind = type(one)
    if kind is not type(other):
        return False
    if kind in _SCALARS:
        return bool(one == other)
    if kind in (list, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if kind is dict:
        return same(list(one.items()), list(other.items()))
    return one is other


def excess(value: Any) -> str | None:
    """Return what makes a value one that cannot be copied or written out, None where nothing does.

    >>> excess({"a": [1, "b"]}), excess(10**5000)
    (None, 'holds a number of more than 2,048 bits')
    """
    level, entries = [value], 0
    for _ in range(_DEEPEST):
        below: list[Any] = []
        for item in level:
            if issubclass(type(item), int) and int.bit_length(item) > _MOST_BITS:
                return f"holds a number of more than {_MOST_BITS:,} bits"
            if issubclass(type(item), dict):
                below += [*dict.keys(item), *dict.values(item)]
            elif type(item) in (list, tuple):
                below += item
        entries += len(below)
        if entries > _MOST_ENTRIES:
            return f"holds more than {_MOST_ENTRIES:,} entries"
        level = below
        if not level:
            return None
    return f"is nested deeper than {_DEEPEST} levels"
