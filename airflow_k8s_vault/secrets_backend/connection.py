"""From a secret's text to a Connection of Airflow's, of its own for every caller."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Any

from airflow_k8s_vault.errors import SecretShapeError
from airflow_k8s_vault.secret_value import SecretValue
from airflow_k8s_vault.secrets_backend.cache import Entry

# Airflow's BaseSecretsBackend.deserialize_connection: id and text to a Connection.
Deserialize = Callable[[str, str], Any]


def connection_of(entry: Entry, conn_id: str, kind: type, deserialize: Deserialize) -> Any:
    """Return the entry's connection as an object of class `kind`, which nobody else has.

    It is parsed, and its password encrypted, once; what is handed out are copies. Raises SecretShapeError.
    """
    made_for, made = entry.connection.reveal() if entry.connection is not None else (None, None)
    # Airflow's class may take another id than it was given, and two ids may name one path.
    if made_for != conn_id or type(made) is not kind:
        made = _made(entry, conn_id, deserialize)
        entry.connection = SecretValue((conn_id, made))
    return copy_of(made)


def _made(entry: Entry, conn_id: str, deserialize: Deserialize) -> object:
    try:
        return deserialize(conn_id, entry.value.reveal() if entry.value is not None else "")
    except Exception as error:
        problem = type(error).__name__
    # Airflow's own message would quote the value.
    raise SecretShapeError(f"The secret of connection {conn_id!r} is no valid connection ({problem}).")


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
