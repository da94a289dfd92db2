"""Credentials that lie in a pod as plain text: they are told by their place, and never shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_k8s_vault.errors import MigrationError, error_list
from airflow_k8s_vault.migrate.draft import Draft
from airflow_k8s_vault.migrate.needed import TODO, Needed
from airflow_k8s_vault.policy import (
    FieldPath,
    flatten,
    kind_of_field,
    kind_of_text,
    kind_of_variable,
    kind_of_words,
    literals_in,
    shown_path,
)

_ROTATE = "Whoever could read the pod has it: put a new one into Vault."


def take(draft: Draft) -> None:
    """Take them out of the draft. Raises MigrationError where one is left that has no place in a template."""
    for path, container in list(draft.containers()):
        _variables(draft, path, container)
        _words(draft, path, container)
    for path, value in flatten(draft.pod).items():
        if kind_of_text(path[-1]):
            # A key that is one cannot be named either.
            draft.take(path[:-1], "left out", "holds what looks like a credential (not shown)")
            continue
        if what := kind_of_field(path, value):
            draft.credentials.append(f"{shown_path(path)}: looks like {what} (not shown)")
            draft.take(_whole(path), "left out", f"looks like {what} (not shown)")
    if left := list(literals_in(draft.pod, ())):
        raise MigrationError(error_list(f"{draft.name} holds credentials that cannot be taken out:", left))


def _whole(path: FieldPath) -> FieldPath:
    """Return what is taken with a field: a hook or a probe without its command is none."""
    return path[:-2] if path[-2:] == ("exec", "command") else path


def _variables(draft: Draft, path: FieldPath, container: Mapping[str, Any]) -> None:
    for variable in list(container.get("env") or ()):
        name = str(variable.get("name"))
        what = kind_of_variable(name, str(variable.get("value") or ""))
        if not what:
            continue
        comment = f"TODO: {name} was plain text. Path and key in Vault. {_ROTATE}"
        needed = Needed(f"{TODO}/{name.lower()}", {"env": {name: f"{TODO}_key"}, "container": path[2]}, (comment,))
        draft.needed.append(needed)
        draft.credentials.append(f"{shown_path((*path, 'env', name))}: looks like {what} (not shown)")
        draft.take((*path, "env", name), "VaultSecret", f"its text looks like {what} (not shown)")


def _words(draft: Draft, path: FieldPath, container: Mapping[str, Any]) -> None:
    command, args = ([str(word) for word in container.get(key) or ()] for key in ("command", "args"))
    for key, what in (
        ("command", kind_of_words(command)),
        ("args", kind_of_words([*command, *args]) or kind_of_words(args)),
    ):
        if what and draft.take((*path, key), "left out", f"holds {what} (not shown)"):
            draft.credentials.append(f"{shown_path((*path, key))}: {what} (not shown)")
            draft.notes.append(
                f"{shown_path((*path, key))} was left out: it holds {what}. Give the words again, with "
                "$(NAME) of a VaultSecret's variable in the credential's place. " + _ROTATE
            )
