"""Kubernetes' admission policies, evaluated: ValidatingAdmissionPolicy by Google's own CEL for Python.

The checker, the regular expressions (RE2) and the evaluation are those of cel-cpp. What Kubernetes adds to the
language is here as far as the policies need it: quantities and sums. Its cost limits are those of cel_cost.

Needed by the attack tests: the compiled admission policies are evaluated, not looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any

from cel_expr_python import cel
from cel_expr_python.ext.ext_strings import ExtStrings

from airflow_k8s_vault import quantity

_NAMES = ("object", "oldObject", "request", "variables", "namespaceObject", "params")


# Go's `omitempty` leaves these out where they are empty or false; a pointer to an empty struct stays.
_FALSE = ("hostNetwork", "hostPID", "hostIPC", "stdin", "stdinOnce", "tty", "readOnly")
_TEXTS = ("labels", "annotations", "nodeSelector", "limits", "requests", "matchLabels")


def as_typed(value: Any) -> Any:
    """Return an object as the API server hands it to a policy: read into Go's types, and written out again."""
    if isinstance(value, list):
        return [as_typed(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    return {
        key: item if key in _TEXTS else as_typed(item)
        for key, item in value.items()
        if not (item in ([], "") or (item is False and key in _FALSE) or (item == {} and key in _TEXTS))
    }


class CelError(Exception):
    """An expression that the API server would not compile."""


def denials(spec: Mapping[str, Any], given: Mapping[str, Any]) -> list[str]:
    """Return the messages of the policy's validations that do not hold; empty where all do.

    spec: of a ValidatingAdmissionPolicy. given: object, oldObject and request. What cannot be evaluated is a
    denial, as with failurePolicy Fail.
    """
    known = _Known(given)
    broken: dict[str, str] = {}
    for variable in spec.get("variables", ()):
        name, expression = variable["name"], variable["expression"]
        try:
            known.variables[name] = known.evaluated(expression)
        except _Failed as failed:
            # Kubernetes evaluates a variable where a validation uses it.
            broken[name] = str(failed)
    matches = []
    for validation in spec.get("validations", ()):
        expression = validation["expression"]
        try:
            value = known.evaluated(expression)
        except _Failed as failed:
            matches.append(f"expression '{expression}' resulted in error: {failed} {broken or ''}".strip())
            continue
        if value is not True:
            matches.append(validation.get("message") or f"failed expression: {expression}")
    return matches


class _Failed(Exception):
    """An expression that has no value for this object."""


class _Known:
    """What expressions see. To hand it to CEL takes longer than most of them: it is done when something is new."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self._given, self.variables = given, dict[str, Any]()
        self._handed_over, self._activation = 0, self._hand_over()

    def _hand_over(self) -> Any:
        return _environment().Activation({**self._given, "variables": self.variables})

    def evaluated(self, expression: str) -> Any:
        if "variables" in expression and self._handed_over < len(self.variables):
            self._handed_over, self._activation = len(self.variables), self._hand_over()
        try:
            value = compiled(expression).eval(self._activation)
        except RuntimeError as error:
            # As where Kubernetes' own budget is exceeded.
            raise _Failed(str(error)) from None
        if value.type() == cel.Type.ERROR:
            raise _Failed(str(value.plain_value()))
        return value.plain_value()


@lru_cache(maxsize=4096)
def compiled(expression: str) -> Any:
    """Return the checked expression. Raises CelError with what is wrong with it."""
    try:
        return _environment().compile(expression)
    except RuntimeError as error:
        raise CelError(str(error)) from None


@lru_cache(maxsize=1)
def _environment() -> Any:
    text, number = cel.Type.STRING, cel.Type.DOUBLE
    # Name, result, arguments, whether it is called on the first of them, and what it does.
    rows: tuple[tuple[str, Any, list[Any], bool, Any], ...] = (
        ("quantity", text, [text], False, _canonical),
        ("asApproximateFloat", number, [text], True, float),
        ("compareTo", cel.Type.INT, [text, text], True, _compared),
        ("sum", number, [cel.Type.List(number)], True, _sum),
    )
    functions = [cel.FunctionDecl(name, [cel.Overload(f"{name}_of", *row)]) for name, *row in rows]
    variables = dict.fromkeys(_NAMES, cel.Type.DYN)
    return cel.NewEnv(variables=variables, extensions=[ExtStrings()], functions=functions)


def _canonical(text: str) -> str:
    value = quantity.parse(text)
    return str(value) if value is not None else text


def _compared(one: str, other: str) -> int:
    return (Decimal(one) > Decimal(other)) - (Decimal(one) < Decimal(other))


def _sum(values: Any) -> float:
    return float(sum(getattr(value, "plain_value", lambda value=value: value)() for value in values))
