"""Where each field of a rendered pod comes from, and whether a DAG may change it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from airflow_k8s_vault import document
from airflow_k8s_vault.document import Path
from airflow_k8s_vault.pod_arguments import ARGUMENTS
from airflow_k8s_vault.policy import manifest
from airflow_k8s_vault.teams import Team, location
from airflow_k8s_vault.templates import PodTemplate
from airflow_k8s_vault.templates.template import Rendered


class Field(NamedTuple):
    """One field: its value, the file and line that set it, the variables in it, and what a DAG may set it with."""

    field: str
    value: Any
    set_by: str
    variables: tuple[str, ...]
    arguments: tuple[str, ...]

    def row(self) -> dict[str, Any]:
        """Return the field as the command shows it."""
        ways = [f"template_vars {name}" for name in self.variables] + list(self.arguments)
        return {
            "field": self.field,
            "value": self.value,
            "set by": self.set_by,
            "DAG may change it": f"yes: {', '.join(ways)}" if ways else "no",
        }


def explain(
    template: PodTemplate, values: Mapping[str, Any], context: Mapping[str, Any] | None = None
) -> list[Field]:
    """Return every field of the pod that the template gives with these variables, in the pod's own order."""
    rendered = template.rendered(values, context)
    # The same text once more, each scalar replaced by the names that its expressions used.
    names = document.parse(rendered.fragment.text(), lambda text, plain: _names(rendered, text)).data
    fields = []
    for path, value in _leaves(rendered.pod):
        used = set(_at(names, path)) & set(template.variables.variables)
        shown = _named(rendered.pod, path)
        set_by = _origin(template, rendered, path)
        fields.append(
            Field(manifest.shown(shown), value, set_by, tuple(sorted(used)), _open(shown, template.team))
        )
    return fields


def _leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    items: Any = enumerate(value) if isinstance(value, list) else value.items() if isinstance(value, dict) else ()
    # A list of plain values is one field: `command`, `drop`.
    if not items or (isinstance(value, list) and not any(isinstance(item, dict | list) for item in value)):
        yield path, value
        return
    for step, item in items:
        yield from _leaves(item, (*path, step))


def _names(rendered: Rendered, text: str) -> Any:
    used = tuple(name for value in rendered.fragment.values_in(text) for name in value.names)
    # Keys have to stay text for the paths to be the same.
    return used or text


def _at(names: Any, path: Path) -> tuple[str, ...]:
    for step in path:
        if isinstance(names, tuple):
            break
        names = names[step] if isinstance(names, list) and isinstance(step, int) else _get(names, step)
    return tuple(_collected(names))


def _get(names: Any, step: str | int) -> Any:
    return names.get(step) if isinstance(names, dict) else None


def _collected(names: Any) -> Iterator[str]:
    if isinstance(names, tuple):
        yield from names
    elif isinstance(names, list):
        for item in names:
            yield from _collected(item)


def _named(pod: dict[str, Any], path: Path) -> manifest.Path:
    """Return the path with the entries of lists by name, as the policy has them."""
    at: Any = pod
    steps: list[str] = []
    for step in path:
        at = at[step]
        key = manifest.KEYS.get(steps[-1]) if steps and isinstance(step, int) else None
        steps.append(str(at[key] if key and isinstance(at, dict) and key in at else step))
    return tuple(steps)


def _origin(template: PodTemplate, rendered: Rendered, path: Path) -> str:
    parsed, root = rendered.document, template.folder.root
    known: Path = path
    while known and known not in parsed.values:
        known = known[:-1]
    if not known or (known != path and known[-1] in ("metadata", "spec")):
        # Filled in from the team's file, because the template leaves it out.
        return template.team.where({"namespace": "namespace"}.get(str(path[-1]), "service_account"))
    place = parsed.values[known]
    file, line = rendered.fragment.origin(place.offset)
    return location(root / (file or template.file), root, line or None)


def _open(path: manifest.Path, team: Team) -> tuple[str, ...]:
    return tuple(
        argument.name
        for argument in ARGUMENTS
        if (argument.rule == "open" or (argument.rule == "team" and argument.name in team.overridable))
        and any(_below(path, manifest.parsed(field)) for field in argument.fields)
    )


def _below(path: manifest.Path, pattern: manifest.Path) -> bool:
    return path[: len(pattern)] == pattern
