"""Values to render a template with, where no task gives them: its variables' defaults, limits and enums."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from airflow_k8s_vault.templates.template import PodTemplate
from airflow_k8s_vault.templates.variables import Variable

# What a task would know. Long on purpose: a run id is no valid label, and a template has to cope.
SAMPLE_CONTEXT: dict[str, Any] = {
    "dag_id": "example_dag",
    "task_id": "example_group.example_task",
    "run_id": "manual__2026-01-31T00:00:00.000000+00:00",
    "try_number": 1,
    "map_index": -1,
}
_BY_TYPE: dict[str, Any] = {
    "string": "x",
    "integer": 1,
    "number": 1.5,
    "boolean": True,
    "array": [],
    "object": {},
    "quantity": "1",
}
# Longer text tells nothing more of a template.
_LONGEST = 4096
# Of an enum; each costs a rendering.
MOST_VALUES = 100
_LIMITS = ("minimum", "maximum", "const")


def simplest_values(template: PodTemplate) -> dict[str, Any]:
    """Return a value for each variable that has to be given; all others take their defaults."""
    return {name: _one(variable) for name, variable in template.variables.variables.items() if variable.required}


def values_at_the_limits(template: PodTemplate) -> Iterator[dict[str, Any]]:
    """Yield the simplest values, and then those with one variable at each of its limits and enum values.

    One variable at a time: all combinations of five variables with four values each would be a thousand pods.
    """
    plain = simplest_values(template)
    yield plain
    for name, variable in template.variables.variables.items():
        for value in _extremes(variable):
            yield {**plain, name: value}


def _extremes(variable: Variable) -> Iterator[Any]:
    schema = variable.schema
    yield from schema.get("enum", ())[:MOST_VALUES]
    yield from schema.get("examples", ())[:MOST_VALUES]
    for keyword in _LIMITS:
        if keyword in schema:
            yield schema[keyword]
    if schema["type"] == "boolean":
        yield from (True, False)
    if "maxLength" in schema and "pattern" not in schema and "enum" not in schema:
        yield "x" * min(int(schema["maxLength"]), _LONGEST)


def _one(variable: Variable) -> Any:
    """Return the first value that the declaration takes, of those it names and the simplest of its type."""
    candidates = [*_extremes(variable), _BY_TYPE[variable.schema["type"]]]
    least = min(int(variable.schema.get("minLength", 1)), _LONGEST) if variable.schema["type"] == "string" else 0
    candidates += ["x" * least] if least else []
    return next((value for value in candidates if not variable.mistakes(value)), candidates[-1])
