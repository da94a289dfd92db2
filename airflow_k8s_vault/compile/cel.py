"""Kubernetes' expression language, as far as the admission policies need it: text for values and comparisons.

A literal list has entries of one type here, and a literal map text alone: Kubernetes takes none of mixed types
(cel.HomogeneousAggregateLiterals), so that a map is compared key by key.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

# What a template's variable or its run decides: any value.
VARIES = "\ue000varies\ue001"
_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Of Go's type bool without a pointer: the API server leaves them out where they are false.
_LEFT_OUT_WHEN_FALSE = frozenset({"hostNetwork", "hostPID", "hostIPC", "stdin", "stdinOnce", "tty", "readOnly"})


def literal(value: Any) -> str:
    """Return a text, number, boolean, or list of one such type as the language writes it.

    >>> literal(["a", 'b"']), literal(True), literal(5)
    ('["a", "b\\\\""]', 'true', '5')
    """
    if isinstance(value, list | tuple | set | frozenset):
        return f"[{', '.join(map(literal, value))}]"
    return json.dumps(value, ensure_ascii=False)


def field(at: str, key: str) -> str:
    """Return the expression of a field: by name where it is one, else by index."""
    return f"{at}.{key}" if _FIELD.fullmatch(key) else f"{at}[{literal(key)}]"


def has(at: str, key: str) -> str:
    """Return the expression that tells whether the field is there."""
    return f"has({at}.{key})" if _FIELD.fullmatch(key) else f"{literal(key)} in {at}"


def has_all(root: str, *path: str) -> str:
    """Return whether each field of the path is there, one below the other.

    >>> has_all("object", "metadata", "labels")
    'has(object.metadata) && has(object.metadata.labels)'
    """
    terms, at = [], root
    for key in path:
        terms.append(has(at, key))
        at = field(at, key)
    return every(terms)


def every(terms: Iterable[str]) -> str:
    return " && ".join(terms) or "true"


def any_of(terms: Iterable[str]) -> str:
    """Return the terms joined by ||, within brackets; false where there are none."""
    listed = list(dict.fromkeys(terms))
    return f"({' || '.join(f'({term})' for term in listed)})" if listed else "false"


def absent_or(at: str, key: str, term: str) -> str:
    """Return whether the field is not there, or the term holds."""
    return f"(!{_bracketed(has(at, key))} || {term})"


def _bracketed(term: str) -> str:
    return f"({term})" if " " in term else term


def keys_within(at: str, keys: Collection[str]) -> str:
    """Return whether a map has no other keys than these."""
    return f"{at}.all(k, k in {literal(sorted(keys))})"


def equals(at: str, value: Any, others: Collection[str] = (), strict: bool = True) -> str:
    """Return whether what is at `at` is the value; VARIES in it stands for any.

    others: keys that may be there besides at its top. strict: whether maps may have no others.
    """
    return every(_terms(at, value, others, strict))


def _terms(at: str, value: Any, others: Collection[str], strict: bool) -> list[str]:
    if value == VARIES:
        return ["true"]
    if isinstance(value, Mapping):
        terms = [keys_within(at, {*value, *others})] if strict else []
        for key, item in value.items():
            terms += _field_terms(at, key, item, strict)
        return terms or ["true"]
    if isinstance(value, list) and any(isinstance(item, Mapping | list) or item == VARIES for item in value):
        terms = [f"size({at}) == {len(value)}"]
        for index, item in enumerate(value):
            terms += _terms(f"{at}[{index}]", item, (), strict)
        return terms
    return [f"{at} == {literal(value)}"]


def _field_terms(at: str, key: str, item: Any, strict: bool) -> list[str]:
    below = field(at, key)
    if item in (None, "", []) or (item is False and key in _LEFT_OUT_WHEN_FALSE):
        empty = "true" if item is None else f"{below} == {literal(item)}"
        return [absent_or(at, key, empty)]
    return [has(at, key), *_terms(below, item, (), strict)]
