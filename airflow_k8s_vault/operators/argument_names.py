"""Which arguments a class of tasks takes, and what is said of one that it does not."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from typing import Any

from airflow_k8s_vault.errors import ArgumentError, did_you_mean, error_list
from airflow_k8s_vault.operators import plain

# Airflow's own, which it hands to every operator.
_AIRFLOWS = frozenset(("default_args", "is_setup", "is_teardown", "on_failure_fail_dagrun"))


def check(operator: type, task_id: str, names: Iterable[str], set_itself: Mapping[str, str]) -> None:
    """Raise ArgumentError for each name that the operator does not take, with the nearest that it does.

    set_itself: arguments that it does take, and that are not the DAG's to set; each with the reason.
    """
    known = _known(operator)
    errors = []
    for name in sorted(set(names)):
        if name in set_itself:
            errors.append(f"{name}: {set_itself[name]}")
        elif name not in known and not name.startswith("_airflow_"):
            errors.append(f"{name} is no argument of {_shown(operator)}.{did_you_mean(name, known)}")
    if errors:
        raise ArgumentError(error_list(f"Task '{task_id}' is given arguments that it cannot take:", errors))


def require_readable(task_id: str, arguments: Mapping[str, Any]) -> None:
    """Raise ArgumentError for each argument that nobody could copy, compare or write out."""
    errors = [f"{name} {excess}." for name, value in arguments.items() if (excess := plain.excess(value))]
    if errors:
        raise ArgumentError(error_list(f"Task '{task_id}' is given arguments that it cannot take:", errors))


def _shown(operator: type) -> str:
    return str(getattr(operator, "custom_operator_name", operator.__name__))


@lru_cache(maxsize=64)
def _known(operator: type) -> Collection[str]:
    # As Airflow collects them, of each class's own signature.
    names = set(_AIRFLOWS)
    for kind in operator.__mro__:
        names |= getattr(vars(kind).get("__init__"), "_BaseOperatorMeta__param_names", set())
    return frozenset(names)
