"""What a secret has to hold to be a connection, a variable or a config value.

A secret of another shape is an error that names its path and keys. Reported as "not defined" it would send the
reader to look for a missing secret, or let a same-named one elsewhere answer.
"""

from __future__ import annotations

import json
from typing import Any

from airflow_k8s_vault.errors import SecretShapeError, did_you_mean, error_list
from airflow_k8s_vault.lookups import connection_rules
from airflow_k8s_vault.lookups.connection_rules import ConnectionRules


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
    known = (*ConnectionRules.FIELDS, "conn_uri")
    uri = data.get("conn_uri")
    if uri:
        messages = connection_rules.uri_errors(uri, "conn_uri")
    else:
        messages = [
            f"{name!r} is no field of a connection.{did_you_mean(name, known)}"
            for name in data
            if name not in known
        ]
        messages += ["conn_uri is empty"] if "conn_uri" in data else connection_rules.errors(data)
    if not data:
        messages.append("it has no keys")
    if messages:
        headline = f"The secret at {where!r} is no connection (its keys: {_keys(data)}):"
        sentences = [sentence if sentence.endswith(("?", ".")) else f"{sentence}." for sentence in messages]
        raise SecretShapeError(
            error_list(headline, [*sentences, f"It takes conn_uri, or {', '.join(ConnectionRules.FIELDS)}."])
        )
    return str(uri) if uri else json.dumps(data)


def _keys(data: dict[str, Any]) -> str:
    return ", ".join(sorted(data)) or "none"
