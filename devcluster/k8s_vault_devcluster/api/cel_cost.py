"""What an expression costs the API server: counted as it counts, step by step, for one object.

Kubernetes ends an expression at 1,000,000 units and a policy at 10,000,000, and refuses the request then. What is
counted here is no less: the API server does not count lists that stand in the expression, and here they are.
Source: cel-go, interpreter/runtimecost.go; kubernetes, apiserver/pkg/apis/cel/config.go, pkg/cel/library/cost.go.

Needed by the tests of what is compiled: an API server refuses policies that cost too much.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Any, NamedTuple

import re2

from airflow_k8s_vault import quantity
from k8s_vault_devcluster.api import cel
from k8s_vault_devcluster.api.cel_tree import parsed

PER_EXPRESSION, PER_POLICY = 1_000_000, 10_000_000
# Of an object as JSON, in characters.
_SMALL = 16 * 1024
_NEW_LIST, _NEW_MAP = 10, 30
_TEXT, _PATTERN = 0.1, 0.25


class Failed(Exception):
    """The expression has no value for this object."""


class Count:
    """What the evaluation has cost by now."""

    def __init__(self) -> None:
        self.units = 0


Names = Mapping[str, Any]
Step = Callable[[Names, Count], Any]


def cost(expression: str, given: Mapping[str, Any]) -> tuple[int, Any]:
    """Return what the evaluation costs, and its value; None where it has none."""
    count = Count()
    try:
        value = compiled(expression)(given, count)
    except Failed:
        value = None
    return count.units, value


class Evaluated(NamedTuple):
    """units: what the expression cost. value: None where it has none."""

    expression: str
    units: int
    value: Any


def of_policy(spec: Mapping[str, Any], given: Mapping[str, Any]) -> list[Evaluated]:
    """Return what each expression of a policy costs; a variable is evaluated once, by the first that uses it."""
    variables: dict[str, Any] = {}
    evaluated = []
    for kind in ("variables", "validations"):
        for entry in spec.get(kind, ()):
            units, value = cost(entry["expression"], {**given, "variables": variables})
            evaluated.append(Evaluated(entry["expression"], units, value))
            if kind == "variables" and value is not None:
                variables[entry["name"]] = value
    return evaluated


def exceeded(spec: Mapping[str, Any], given: Mapping[str, Any]) -> list[str]:
    """Return what the API server says where a policy costs too much; smaller objects come nowhere near it."""
    if len(json.dumps(given["object"])) < _SMALL:
        return []
    evaluated = of_policy(spec, given)
    dear = [one.expression for one in evaluated if one.units > PER_EXPRESSION]
    messages = [
        f"expression '{one}' resulted in error: operation cancelled: actual cost limit exceeded" for one in dear
    ]
    if sum(one.units for one in evaluated) > PER_POLICY:
        messages.append(
            "validation failed due to running out of cost budget, no further validation rules will be run"
        )
    return messages


@lru_cache(maxsize=4096)
def compiled(expression: str) -> Step:
    """Return the counting evaluation. Raises CelError where the expression is none, or cannot be counted here."""
    return _step(parsed(expression))


def _step(node: Any) -> Step:
    kind = node.WhichOneof("kind")
    part = getattr(node, kind)
    if kind == "const_expr":
        constant = part.WhichOneof("constant")
        value = None if constant == "null" else getattr(part, constant)
        return lambda names, count: value
    if kind == "call_expr":
        return _call(part)
    function, *fields = _STEPS[kind]
    return partial(function, *(_part(getattr(part, field)) for field in fields))


def _part(value: Any) -> Any:
    """The step of an expression, the pairs of a map's, the steps of several, or a name."""
    if isinstance(value, str | bool):
        return value
    if hasattr(value, "map_key"):
        return _step(value.map_key), _step(value.value)
    return _step(value) if hasattr(value, "ident_expr") else [_part(item) for item in value]


def _name(name: str, names: Names, count: Count) -> Any:
    count.units += 1
    return names[name]


def _select(operand: Step, field: str, is_test: bool, names: Names, count: Count) -> Any:
    of = operand(names, count)
    if is_test:
        return field in of
    count.units += 1
    return _at(of, field)


def _at(of: Any, key: Any) -> Any:
    try:
        return of[key]
    except (KeyError, IndexError, TypeError) as missing:
        raise Failed(f"no such key: {key}") from missing


def _list(elements: list[Step], names: Names, count: Count) -> Any:
    count.units += _NEW_LIST
    return [element(names, count) for element in elements]


def _map(entries: list[tuple[Step, Step]], names: Names, count: Count) -> Any:
    count.units += _NEW_MAP
    return {key(names, count): value(names, count) for key, value in entries}


def _comprehension(
    item: str, items: Step, so_far: str, begin: Step, goes_on: Step, loop: Step, result: Step, *given: Any
) -> Any:
    names, count = given
    within = {**names, so_far: begin(names, count)}
    for within[item] in items(names, count):
        if not goes_on(within, count):
            break
        try:
            within[so_far] = loop(within, count)
        except Failed as failed:
            within[so_far] = failed
    return _valued(result(within, count))


def _valued(value: Any) -> Any:
    if isinstance(value, Failed):
        raise value
    return value


def _call(node: Any) -> Step:
    target = [node.target] if node.HasField("target") else []
    arguments = [_step(argument) for argument in (*target, *node.args)]
    if node.function in ("_&&_", "_||_"):
        return _logical(arguments, node.function == "_||_")
    if node.function == "_?_:_":
        condition, yes, no = arguments
        return lambda names, count: (yes if _valued(condition(names, count)) else no)(names, count)
    if node.function not in _FUNCTIONS:
        raise cel.CelError(f"devcluster does not know what {node.function} costs")
    function, price = _FUNCTIONS[node.function]

    def step(names: Names, count: Count) -> Any:
        values = [argument(names, count) for argument in arguments]
        count.units += math.ceil(price(*values))
        return function(*values)

    return step


def _logical(terms: list[Step], ends_with: bool) -> Step:
    def step(names: Names, count: Count) -> Any:
        failure: Failed | None = None
        for term in terms:
            try:
                if _valued(term(names, count)) is ends_with:
                    return ends_with
            except Failed as failed:
                failure = failure or failed
        return _valued(failure if failure is not None else not ends_with)

    return step


def _size(value: Any) -> int:
    return len(value) if isinstance(value, str | list | Mapping) else 1


def _one(*values: Any) -> int:
    return 1


def _same(one: Any, other: Any) -> bool:
    return bool(one == other and isinstance(one, bool) == isinstance(other, bool))


def _smaller(one: Any, other: Any) -> float:
    return min(_size(one), _size(other)) * _TEXT


def _amount(text: str) -> float:
    value = quantity.parse(text)
    if value is None:
        raise Failed(f"no quantity: {text}")
    return float(value)


def _joined_price(one: Any, other: Any) -> float:
    return (_size(one) + _size(other)) * _TEXT if isinstance(one, str) else 1


def _matches(text: str, pattern: str) -> bool:
    return re2.search(pattern, text) is not None


def _matches_price(text: str, pattern: str) -> float:
    return math.ceil((1 + len(text)) * _TEXT) * math.ceil(len(pattern) * _PATTERN)


def _contains_price(text: str, part: str) -> float:
    return math.ceil(len(text) * _TEXT) * math.ceil(len(part) * _TEXT)


def _long(text: Any, *rest: Any) -> float:
    return _size(text) * _TEXT


_FUNCTIONS: dict[str, tuple[Callable[..., Any], Callable[..., float]]] = {
    "!_": (lambda value: not _valued(value), _one),
    "@not_strictly_false": (lambda value: value is not False, _one),
    "_==_": (_same, _smaller),
    "_!=_": (lambda one, other: not _same(one, other), _smaller),
    "@in": (lambda item, within: item in within, lambda item, within: _size(within)),
    "_[_]": (_at, _one),
    "_+_": (lambda one, other: one + other, _joined_price),
    "_-_": (lambda one, other: one - other, _one),
    "_<=_": (lambda one, other: one <= other, _smaller),
    "_<_": (lambda one, other: one < other, _smaller),
    "_>=_": (lambda one, other: one >= other, _smaller),
    "_>_": (lambda one, other: one > other, _smaller),
    "size": (len, _one),
    "startsWith": (lambda text, begin: text.startswith(begin), _long),
    "endsWith": (lambda text, end: text.endswith(end), _long),
    "contains": (lambda text, part: part in text, _contains_price),
    "matches": (_matches, _matches_price),
    "substring": (lambda text, *at: text[slice(*at)] if len(at) == 2 else text[at[0] :], _long),
    "quantity": (_amount, _long),
    "asApproximateFloat": (float, _one),
    "compareTo": (lambda one, other: (one > other) - (one < other), _one),
    "sum": (sum, _size),
}  # fmt: skip
# The parts of an expression that its step takes, in this order.
_STEPS: dict[str, tuple[Any, ...]] = {
    "ident_expr": (_name, "name"),
    "select_expr": (_select, "operand", "field", "test_only"),
    "list_expr": (_list, "elements"),
    "struct_expr": (_map, "entries"),
    "comprehension_expr": (
        *(_comprehension, "iter_var", "iter_range", "accu_var", "accu_init"),
        *("loop_condition", "loop_step", "result"),
    ),
}
