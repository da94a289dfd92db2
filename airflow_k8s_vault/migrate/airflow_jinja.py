"""Airflow's Jinja in an operator's call: it stays in the DAG, but for look-ups of connections and variables."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from airflow_k8s_vault.dag_code import literal
from airflow_k8s_vault.migrate.draft import Draft
from airflow_k8s_vault.migrate.needed import TODO, Needed
from airflow_k8s_vault.policy import FieldPath, kind_of_variable, kind_of_words, shown_path
from airflow_k8s_vault.templates import holds_jinja

# conn.warehouse.password, conn.get('warehouse').password, var.value.region, var.json.api.key, var.value.get('a')
_LOOKUP = re.compile(
    r"\b(?P<kind>conn|var)(?:\.(?P<form>value|json)(?=\.))?"
    r"(?:\.get\(\s*['\"](?P<got>[^'\"]+)['\"][^)]*\)|\[['\"](?P<item>[^'\"]+)['\"]\]|\.(?P<name>\w+))"
    r"(?:\.(?P<field>\w+))?",
    re.ASCII,
)
_EXPRESSION = re.compile(r"\s*\{\{-?(?P<code>[^{}]*)-?\}\}\s*")
_STAYS = "stays in the DAG, as {}: Airflow renders its Jinja there"
_ARGUMENTS = {"command": "cmds", "args": "arguments"}


class Lookup(NamedTuple):
    """One look-up. kind: connection or variable; key: of the connection, or "value"."""

    kind: str
    name: str
    key: str

    @property
    def shown(self) -> str:
        return f"{self.kind} '{self.name}'"


def lookups(text: str) -> list[Lookup]:
    """Return the connections and variables that Jinja in a text looks up.

    >>> [one.shown for one in lookups("{{ conn.warehouse.password }} {{ var.value.get('region') }} {{ ds }}")]
    ["connection 'warehouse'", "variable 'region'"]
    """
    result = []
    for code in re.findall(r"(?s)\{[{%]((?:(?!\{[{%]|[%}]\}).)*)[%}]\}", text):
        for match in _LOOKUP.finditer(code):
            name = match["got"] or match["item"] or match["name"]
            is_connection = match["kind"] == "conn"
            key = (match["field"] or "get_uri") if is_connection else "value"
            result.append(Lookup("connection" if is_connection else "variable", name, key))
    return result


def take(draft: Draft, base: str) -> None:
    """Take text with Jinja out of the task's container and the labels, for the DAG's arguments or VaultSecrets."""
    for path, container in list(draft.containers()):
        if path[2] == base and path[1] == "containers":
            _variables(draft, path, container)
            _words(draft, path, container)
    for section in ("labels", "annotations"):
        for key, value in list((draft.metadata.get(section) or {}).items()):
            if holds_jinja(value) and not kind_of_variable(key, str(value)):
                draft.take(("metadata", section, key), "left out", _STAYS.format(section))
                draft.arguments.setdefault(section, {})[key] = value


def _variables(draft: Draft, path: FieldPath, container: Mapping[str, Any]) -> None:
    for variable in list(container.get("env") or ()):
        name, text = str(variable.get("name")), str(variable.get("value") or "")
        if not holds_jinja(text):
            continue
        actual = lookups(text)
        at = (*path, "env", name)
        if not actual and kind_of_variable(name, text):
            # What lies beside the Jinja is taken out with the other credentials, and not shown.
            continue
        if not actual:
            draft.take(at, "left out", _STAYS.format("env_vars"))
            draft.arguments.setdefault("env_vars", {})[name] = text
            continue
        what = ", ".join(dict.fromkeys(one.shown for one in actual))
        draft.needed.append(_needed(name, text, actual, path[2]))
        draft.take(at, "VaultSecret", f"Airflow looks {what} up, and writes it into the pod")
        draft.credentials.append(f"env_vars[{name}]: {what}, by Jinja")


def _needed(name: str, text: str, actual: list[Lookup], container: str) -> Needed:
    first = actual[0]
    of_airflow = f"VaultSecret.{first.kind}({literal(first.name)})"
    if first.key in ("get_uri", "value") and _EXPRESSION.fullmatch(text) and len(actual) == 1:
        made = f"AIRFLOW_{'CONN' if first.kind == 'connection' else 'VAR'}_{first.name.upper()}"
        if name == made:
            return Needed(first.name, {"engine": first.kind, "container": container})
    comments = [f"TODO: the Vault path of the {first.shown}. Or {of_airflow}, if the program reads that."]
    if not _EXPRESSION.fullmatch(text) or len(actual) > 1:
        comments.append(f"TODO: {name} held more than this one value: put it together in the program, or by $(…).")
    key = f"{TODO}_key" if first.key == "get_uri" else first.key
    path = f"{TODO}/{first.kind}s/{first.name}"
    return Needed(path, {"env": {name: key}, "container": container}, tuple(comments))


def _words(draft: Draft, path: FieldPath, container: Mapping[str, Any]) -> None:
    for key, argument in _ARGUMENTS.items():
        words = container.get(key)
        if not words or not holds_jinja(words):
            continue
        if kind_of_words([str(word) for word in words]):
            continue
        what = ", ".join(dict.fromkeys(one.shown for word in words for one in lookups(str(word))))
        draft.arguments[argument] = draft.take((*path, key), "left out", _STAYS.format(argument))
        if what:
            draft.credentials.append(f"{argument}: {what}, by Jinja")
            draft.notes.append(
                f"{shown_path((*path, key))} holds {what}: what Airflow looks up lies in the pod. Name it "
                "in vault_secrets, and write $(NAME) of its variable."
            )
