"""Kubernetes Secrets as objects: bank-vaults' references in them, and values of their own, which are never shown.

https://bank-vaults.dev/docs/mutating-webhook/ : its webhook replaces vault:PATH#KEY also in Secrets.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from typing import Any

from airflow_k8s_vault import json_text
from airflow_k8s_vault.migrate.origins.api_path import value_at
from airflow_k8s_vault.migrate.origins.manifest import mapping, name_of, namespaces_of, text
from airflow_k8s_vault.migrate.origins.origin import Origin, Source, VaultValue

KIND = "Secret"
_REFERENCE = re.compile(
    r"(?P<write>>>)?vault:(?P<path>(?:(?!vault:)[^#\s$])+)#(?P<key>[^#\s]+)(?:#(?P<version>[0-9]+|\{.*\}))?"
)
# ${.password | b64enc} of the secret's data; nothing but the key is one value as it is.
_ONLY_KEY = re.compile(r"\$\{\s*\.(?:\w+\.)?(\w+)\s*\}", re.ASCII)


def reference(value: str) -> VaultValue | None:
    """Return the value of Vault that a text stands for as a whole; None where it is none, or more than one.

    >>> reference("vault:secret/data/payments/db#password").path
    'secret/payments/db'
    """
    match = _REFERENCE.fullmatch(value)
    if match is None:
        return None
    key = _ONLY_KEY.fullmatch(match["key"])
    if key is None and ("${" in match["key"] or "{{" in match["key"]):
        return None
    result = value_at(match["path"], key[1] if key else match["key"])
    more = match["version"] or ""
    if match["write"]:
        return _written(result, more)
    if more.startswith("{"):
        return None
    return result._replace(version=int(more) if more and result.engine == "kv2" else None)


def _written(value: VaultValue, text_of_parameters: str) -> VaultValue | None:
    try:
        parameters = json_text.read(text_of_parameters or "{}")
    except ValueError:
        return None
    if not isinstance(parameters, dict):
        return None
    unclear = () if parameters else ("TODO: it is written to, without parameters: which ones Vault takes there.",)
    given = tuple((key, str(item)) for key, item in parameters.items())
    return value._replace(engine="dynamic", parameters=given, comments=unclear)


def references(value: str) -> list[VaultValue]:
    """Return all values of Vault that a text stands for, also where they are parts of it.

    >>> [one.key for one in references("pg://${vault:secret/data/db#user}:${vault:secret/data/db#password}@db")]
    ['user', 'password']
    """
    if "vault:" not in value:
        return []
    if whole := reference(value):
        return [whole]
    result = []
    for match in _REFERENCE.finditer(re.sub(r"\$\{(?=(?:>>)?vault:)", " ", value)):
        key = match["key"].partition("}")[0].strip("${}. ").partition("|")[0]
        result.append(value_at(match["path"], key))
    return result


def origins(item: Mapping[str, Any]) -> Iterator[Origin]:
    """Yield what fills a Secret that was given as an object: only its references are read."""
    values: dict[str, str] = {}
    for key, encoded in mapping(item, "data").items():
        try:
            values[str(key)] = base64.b64decode(str(encoded), validate=True).decode()
        except ValueError:
            values[str(key)] = ""
    values |= {str(key): str(value) for key, value in mapping(item, "stringData").items()}
    keys: dict[str, Source] = {key: _source(item, value) for key, value in values.items()}
    yield Origin(name_of(item), text(item, "metadata", "name"), namespaces_of(item), keys)


def _source(item: Mapping[str, Any], value: str) -> Source:
    if source := reference(value):
        return source
    if parts := references(value):
        what = " and ".join(f"'{part.key}' of {part.path}" for part in parts)
        return f"{name_of(item)} makes it of {what}"
    return f"{name_of(item)} has the value itself (not shown), and not from Vault"
