"""Fields of a pod beside variables and commands: a probe's words and headers, a map of options."""

from __future__ import annotations

from typing import Any

from airflow_k8s_vault.policy.literals import kind_of_text, kind_of_variable, kind_of_words
from airflow_k8s_vault.policy.manifest import FieldPath

# Maps whose keys people, or drivers of volumes, choose: there a key says what its value is.
_FREE_MAPS = ("labels", "annotations", "options", "volumeAttributes")


def kind_of_field(path: FieldPath, value: Any) -> str | None:
    """Return what a field's literal looks like, by its value, or by its name where names are free; or None.

    value: as `flatten` gives it: of a list whose entries have no names all of it.

    >>> kind_of_field(("metadata", "annotations", "db-password"), "hunter2")
    'a credential, by the name of the variable'
    >>> kind_of_field(("livenessProbe", "exec", "command"), ["curl", "-u", "me:hunter2"])
    'a credential after an option'
    """
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        return kind_of_words(value)
    if isinstance(value, list):
        return next(filter(None, (_kind_of_entry(item) for item in value)), None) or kind_of_text(str(value))
    if path[-2:-1] and path[-2] in _FREE_MAPS:
        return kind_of_variable(path[-1], str(value))
    return kind_of_text(str(value))


def _kind_of_entry(item: Any) -> str | None:
    """Return what an entry with name and value looks like: a header of a probe."""
    if not isinstance(item, dict) or not isinstance(item.get("name"), str):
        return None
    value = item.get("value")
    return kind_of_variable(item["name"], value) if isinstance(value, str) else None
