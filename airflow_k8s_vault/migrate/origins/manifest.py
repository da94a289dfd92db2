"""Fields of objects that nobody has checked: what is not of the expected type is not there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def mapping(value: Any, *keys: str) -> Mapping[str, Any]:
    """Return the mapping below these keys, an empty one where there is none.

    >>> mapping({"spec": {"target": {"name": "db"}}}, "spec", "target"), mapping({"spec": 3}, "spec")
    ({'name': 'db'}, {})
    """
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def text(value: Any, *keys: str) -> str:
    """Return the text or number below these keys; "" where there is neither."""
    result = mapping(value, *keys[:-1]).get(keys[-1])
    return str(result) if isinstance(result, str | int | float) and not isinstance(result, bool) else ""


def mappings(value: Any, *keys: str) -> Iterator[Mapping[str, Any]]:
    """Yield the mappings of the list below these keys."""
    result = mapping(value, *keys[:-1]).get(keys[-1])
    yield from (item for item in result if isinstance(item, Mapping)) if isinstance(result, list) else ()


def texts(value: Any, *keys: str) -> list[str]:
    """Return the texts of the list below these keys."""
    result = mapping(value, *keys[:-1]).get(keys[-1])
    return [item for item in result if isinstance(item, str)] if isinstance(result, list) else []


def name_of(item: Mapping[str, Any]) -> str:
    """Return what people call an object: kind, and namespace/name as far as it has them."""
    where = filter(None, (text(item, "metadata", "namespace"), text(item, "metadata", "name")))
    return f"{text(item, 'kind')} {'/'.join(where)}".strip()


def namespaces_of(item: Mapping[str, Any]) -> frozenset[str] | None:
    """Return the namespace of an object as a set of one; None where it is not said."""
    namespace = text(item, "metadata", "namespace")
    return frozenset((namespace,)) if namespace else None
