"""A Connection of its own for every caller, without parsing and encrypting the same secret again."""

from __future__ import annotations

from copy import copy
from typing import Any


def copy_of(connection: Any) -> Any:
    """Return a copy that shares nothing that can be changed.

    Airflow has two classes: the task SDK's, a plain one, and that of its models. SQLAlchemy keeps its notes on an
    object in the object, so a copy of a model's needs notes of its own.
    """
    state = getattr(connection, "_sa_instance_state", None)
    if state is None:
        return copy(connection)
    copied = state.manager.new_instance()
    values = vars(copied)
    own = values["_sa_instance_state"]
    values.update(vars(connection))
    values["_sa_instance_state"] = own
    return copied
