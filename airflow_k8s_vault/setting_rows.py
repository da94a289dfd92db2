"""A table of settings: each row a dataclass field with its default, its type and one sentence about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import Field, field
from typing import Any

from airflow_k8s_vault import cast

ENVIRONMENT_PREFIX = "AIRFLOW__SECRETS__BACKEND_KWARG__"


def row(default: Any, caster: Callable[[Any], Any], text: str, *, none: bool | None = None) -> Any:
    """One setting: default, type, one sentence, and whether None may be given (it may where it is the default)."""
    may_be_none = default is None if none is None else none
    return field(default=default, metadata={"cast": caster, "text": text, "none": may_be_none})


def environment_variable(name: str) -> str:
    """
    >>> environment_variable("role_id")
    'AIRFLOW__SECRETS__BACKEND_KWARG__ROLE_ID'
    """
    return f"{ENVIRONMENT_PREFIX}{name.upper()}"


def read_row(row: Field[Any], value: Any, values: dict[str, Any], actual: list[str]) -> None:
    """Put the value, cast, into `values`, or a sentence into `found`."""
    if value is None or (isinstance(value, str) and value in cast.NULLS):
        if row.metadata["none"]:
            values[row.name] = None
        else:
            actual.append(f"{named(row.name)} may not be null.")
        return
    try:
        values[row.name] = row.metadata["cast"](value)
    except ValueError as expected:
        # The value is not shown where it could be a secret, or hold one.
        is_shown = isinstance(value, (str, int, float, bool)) and not _holds_secret(row)
        # Python writes no number of thousands of digits.
        is_huge = isinstance(value, int) and abs(value) > cast.MOST
        shown = repr(value) if is_shown and not is_huge else type(value).__name__
        actual.append(f"{named(row.name)} has to be {expected}, not {shown}.")


def _holds_secret(row: Field[Any]) -> bool:
    return row.metadata["cast"] in (cast.secret, cast.secret_mapping, cast.mapping)


def named(name: str) -> str:
    return f"{name} ({environment_variable(name)})"
