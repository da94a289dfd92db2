"""Airflow's secrets maskers: every value that leaves is registered with them, whatever its name.

Airflow has two, one of its core and one of its task SDK, and masks by itself only what it knows to be sensitive.
"""

from __future__ import annotations

import json
import sys
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

_CORE = "airflow._shared.secrets_masker.secrets_masker"
_SDK = "airflow.sdk._shared.secrets_masker.secrets_masker"


def state() -> tuple[object, object]:
    """Return what changes when a masker is reset, as Airflow does before each task, or comes to be loaded."""
    core, sdk = sys.modules.get(_CORE), sys.modules.get(_SDK)
    return (core and core._secrets_masker().patterns, sdk and sdk._secrets_masker().patterns)


def same(one: Any, other: Any) -> bool:
    return one is not None and one[0] is other[0] and one[1] is other[1]


def mask(words: list[str]) -> None:
    """Register with both maskers, and with the supervisor of the running task, whose log it is."""
    _mask_here(words)
    sdk_log = sys.modules.get("airflow.sdk.log")
    if sdk_log is not None:
        sdk_log.mask_secret(words)


async def amask(words: list[str]) -> None:
    """As `mask`, without blocking the event loop that answers the supervisor."""
    _mask_here(words)
    sdk_log = sys.modules.get("airflow.sdk.log")
    if sdk_log is not None and hasattr(sdk_log, "amask_secret"):
        await sdk_log.amask_secret(words)


def _mask_here(words: list[str]) -> None:
    # Imported here: airflow.configuration imports the secrets backend before it imports its maskers.
    from airflow._shared.secrets_masker import mask_secret

    mask_secret(words)  # type: ignore[arg-type]
    sdk = sys.modules.get(_SDK)
    if sdk is not None and "airflow.sdk.log" not in sys.modules:
        sdk.mask_secret(words)


def words_of_value(text: str) -> list[str]:
    """The value, and where it is JSON each string in it.

    >>> words_of_value('{"user": "loader", "keys": ["k1", "k2"]}')
    ['{"user": "loader", "keys": ["k1", "k2"]}', 'loader', 'k1', 'k2']
    """
    return [text, *_json_strings(text)]


def words_of_connection(text: str) -> list[str]:
    """The whole, the password, and everything in extra. Host, login, schema and type are left readable: Airflow
    shows them in its UI, and "postgres" masked everywhere makes a log useless.

    >>> words_of_connection("postgres://me:pass%20word@db/x?sslkey=abc")
    ['postgres://me:pass%20word@db/x?sslkey=abc', 'pass%20word', 'pass word', 'abc']
    """
    fields = _json_of(text)
    if isinstance(fields, dict):
        extra = fields.get("extra")
        found = [text, fields.get("password")]
        found += words_of_value(extra) if isinstance(extra, str) else _strings(extra)
    else:
        found = [text, *_words_of_uri(text)]
    return [word for word in dict.fromkeys(found) if isinstance(word, str) and word]


def _words_of_uri(uri: str) -> list[str]:
    try:
        parts = urlsplit(uri)
        password, query = parts.password or "", parse_qsl(parts.query)
    except ValueError:
        return []
    found = [password, unquote(password)]
    for _, value in query:
        found += words_of_value(value)
    return found


def _json_strings(text: str) -> list[str]:
    return _strings(_json_of(text))


def _json_of(text: str) -> Any:
    """Return what the text holds as JSON, None where it is no JSON object or list."""
    if not text.lstrip().startswith(("{", "[")):
        return None
    try:
        return json.loads(text)
    except ValueError:
        return None


def _strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [word for part in value.values() for word in _strings(part)]
    if isinstance(value, list):
        return [word for part in value for word in _strings(part)]
    return [value] if isinstance(value, str) else []
