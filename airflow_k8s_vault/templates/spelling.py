"""Text that spells a value of another type: what Airflow's Jinja and a command line give."""

from __future__ import annotations

import ast
import json
import math
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from airflow_k8s_vault.teams import parse_yaml
from airflow_k8s_vault.templates.variables import Variable

_TYPES: dict[str, tuple[type, ...]] = {
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
}


def spelled_value(schema: Mapping[str, Any], given: Any) -> Any:
    """Return what was given with each text in it that spells a value of its declared type as that value.

    Text is read as JSON, as Python writes lists and dicts (which Jinja does, too), and as YAML, in that order.
    Where it spells no such value, and where text is declared, it stays text.

    >>> value({"type": "integer"}, "4"), value({"type": "integer"}, "4.5"), value({"type": "array"}, "['a', True]")
    (4, '4.5', ['a', True])
    """
    if isinstance(given, list) and isinstance(schema.get("items"), Mapping):
        return [spelled_value(schema["items"], item) for item in given]
    if isinstance(given, dict):
        properties = schema.get("properties") or {}
        return {name: spelled_value(properties.get(name) or {}, item) for name, item in given.items()}
    types = _TYPES.get(str(schema.get("type")), ())
    if not isinstance(given, str) or not types:
        return given
    # By the type itself: True is no 1 here.
    return next((one for one in _readings(given) if type(one) in types and _is_plain(one)), given)


def hints(declared: Mapping[str, Variable], values: Mapping[str, Any], names: Collection[str]) -> Iterator[str]:
    """Yield, for each of these variables that is still text and should be something else, why and what to do."""
    for name in names & values.keys() & declared.keys():
        variable, is_type = declared[name], type(values[name]).__name__
        if variable.schema["type"] in _TYPES and variable.mistakes(values[name]):
            yield (
                f"{name} was Jinja, which Airflow renders to text, and is of type {is_type} now: only text that "
                f"spells one is taken for {variable.schema['type']}. DAG(render_template_as_native_obj=True) "
                "keeps types."
            )


def _readings(text: str) -> Iterator[Any]:
    readers: tuple[Callable[[str], Any], ...] = (json.loads, ast.literal_eval, lambda t: parse_yaml(t).data)
    for read in readers:
        try:
            yield read(text.strip())
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            continue


def _is_plain(result: Any) -> bool:
    """Whether JSON could hold it: Python's text may spell sets, bytes, tuples and infinite numbers, too."""
    if type(result) is dict:
        return all(type(key) is str for key in result) and all(map(_is_plain, result.values()))
    if type(result) is list:
        return all(map(_is_plain, result))
    return type(result) in (str, int, bool, type(None)) or (type(result) is float and math.isfinite(result))
