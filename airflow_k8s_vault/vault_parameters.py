"""What Vault is told when it makes a credential on request: the parameters of a write, checked as paths are.

They stand in the DAG, in the pod's manifest and in Vault's audit log, so they are names and lives, never a secret.
"""

from __future__ import annotations

import json
import re
from typing import Any

from airflow_k8s_vault import vault_path

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,127}")
# A certificate signing request or a public key is text of several lines.
_LINES = re.compile(r"[\n\t]")
_LONGEST_BYTES = 16 * 1024
# Durations as Vault reads them; a number alone is seconds.
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_PART = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)([smhd]?)")
_DURATION = re.compile(r"(?:[0-9]{1,9}(?:\.[0-9]{1,9})?[smhd]){1,4}|[0-9]{1,9}")


def errors(path: object, parameters: object) -> list[str]:
    """Return a sentence for each parameter that is none.

    >>> errors("pki/issue/web", {"common_name": "etl.example.com", "ttl": "24h", "exclude_cn": True})
    ["parameter 'exclude_cn' of 'pki/issue/web' is True: give text or a number ('true')."]
    """
    if type(parameters) is not dict:
        return [f"parameters of {path!r} are {parameters!r}: give name to text or number ({{'ttl': '24h'}})."]
    if not parameters:
        return [f"parameters of {path!r} are empty: leave them out where Vault only reads."]
    return [error for name, value in parameters.items() for error in _errors(path, name, value)]


def texts(parameters: dict[str, Any]) -> dict[str, str]:
    """Return the parameters as Vault's own command line sends them: as text.

    >>> texts({"common_name": "etl.example.com ", "bits": 2048, "share": 0.5})
    {'common_name': 'etl.example.com', 'bits': '2048', 'share': '0.5'}
    """
    return {name: value.strip() if type(value) is str else json.dumps(value) for name, value in parameters.items()}


def ttl_seconds(parameters: dict[str, Any]) -> float | None:
    """Return how long the credential is requested to live; None where that is left to Vault's role.

    >>> [ttl_seconds({"ttl": ttl}) for ttl in ("24h", "1h30m", 90, "90", "1d", "soon")], ttl_seconds({})
    ([86400.0, 5400.0, 90.0, 90.0, 86400.0, None], None)
    """
    text = texts({"ttl": parameters["ttl"]})["ttl"] if "ttl" in parameters else ""
    if not _DURATION.fullmatch(text):
        return None
    return sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text))


def _errors(path: object, name: object, value: object) -> list[str]:
    if type(name) is not str or not _NAME.fullmatch(name):
        return [f"{name!r} is no name of a parameter of {path!r}: letters, digits, _ . -, and no digit first."]
    shown = f"parameter {name!r} of {path!r}"
    if type(value) in (int, float):
        finite = value == value and value not in (float("inf"), float("-inf"))
        return [] if finite else [f"{shown} is {value!r}: give text or a number."]
    if type(value) is not str:
        hint = f" ({str(value).lower()!r})" if type(value) is bool else ""
        return [f"{shown} is {value!r}: give text or a number{hint}."]
    if vault_path.is_templated(value):
        return [f"{shown} holds Jinja, and parameters are not templated: write it out."]
    if not value.strip() or not _LINES.sub("", value).isprintable() or len(value.encode()) > _LONGEST_BYTES:
        return [f"{shown} is empty, not printable, or longer than {_LONGEST_BYTES} bytes."]
    return []
