"""What a secret has to hold to be a connection, a variable or a config value.

A secret of another shape is an error that names its path and keys. Reported as "not defined" it would send the
reader to look for a missing secret, or let a same-named one elsewhere answer.
"""

from __future__ import annotations

import json
from typing import Any

from airflow_k8s_vault.errors import SecretShapeError, did_you_mean, problems

# What Connection.from_json takes; `uri` stands alone there.
CONNECTION_FIELDS = ("conn_type", "description", "host", "login", "password", "schema", "port", "extra", "uri")


def value_text(data: dict[str, Any], where: str) -> str:
    """Return the `value` of a variable or config secret; what is no string, as JSON.

    >>> value_text({"value": 5}, "secret/variables/retries")
    '5'
    """
    if data.get("value") is None:
        raise SecretShapeError(
            f"The secret at {where!r} has no key 'value', which a variable or config value needs.\n"
            f"  Its keys: {_keys(data)}."
        )
    value = data["value"]
    return value if isinstance(value, str) else json.dumps(value)


def connection_text(data: dict[str, Any], where: str) -> str:
    """Return `conn_uri` where it is set, else the connection's fields as JSON.

    >>> connection_text({"conn_type": "http", "host": "example.com"}, "secret/connections/web")
    '{"conn_type": "http", "host": "example.com"}'
    """
    uri = data.get("conn_uri")
    found = []
    if uri:
        if isinstance(uri, str):
            return uri
        found.append("conn_uri is no string.")
    known = (*CONNECTION_FIELDS, "conn_uri")
    found += [
        f"{name!r} is no field of a connection.{did_you_mean(name, known)}" for name in data if name not in known
    ]
    if "conn_uri" in data and not uri:
        found.append("conn_uri is empty.")
    if not data:
        found.append("it has no keys.")
    if not _is_port(data.get("port")):
        found.append("port is no whole number.")
    if found:
        headline = f"The secret at {where!r} is no connection (its keys: {_keys(data)}):"
        raise SecretShapeError(
            problems(headline, [*found, f"It takes conn_uri, or {', '.join(CONNECTION_FIELDS)}."])
        )
    return json.dumps(data)


def _is_port(value: Any) -> bool:
    try:
        return not value or bool(int(value))
    except (TypeError, ValueError):
        return False


def _keys(data: dict[str, Any]) -> str:
    return ", ".join(sorted(data)) or "none"
