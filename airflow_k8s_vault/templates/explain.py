"""Where each field of a rendered pod comes from, and whether a DAG may change it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from airflow_k8s_vault.policy import MERGE_KEYS, FieldPath, parsed_path, shown_path
from airflow_k8s_vault.teams import POD_ARGUMENTS, DocumentPath, Team, location, parse_yaml
from airflow_k8s_vault.templates import PodTemplate
from airflow_k8s_vault.templates.template import Rendered


class Field(NamedTuple):
    """One field: its value, the file and line that set it, the variables in it, and what a DAG may set it with."""

    path: FieldPath
    value: Any
    set_by: str
    variables: tuple[str, ...]
    arguments: tuple[str, ...]

    def row(self) -> dict[str, Any]:
        """Return the field as the command shows it."""
        return {
            "field": shown_path(self.path),
            "value": self.value,
            "set by": self.set_by,
            "DAG may change it": f"yes: {', '.join(self._ways())}" if self._ways() else "no",
        }

    def _ways(self) -> list[str]:
        return [f"template_vars {name}" for name in self.variables] + list(self.arguments)

    def line(self, root: str) -> dict[str, str]:
        """Return the same for a tree; files are below the templates folder, which is named `root`."""
        plain = isinstance(self.value, str) and "\n" not in self.value
        value = self.value if plain else json.dumps(self.value, ensure_ascii=False)
        file = self.set_by.removeprefix(f"{root}/").replace(", line ", ":")
        return _line(self.path, f" {value}", file, ", ".join(self._ways()))


def field_tree(fields: Iterable[Field], root: str) -> Iterator[dict[str, str]]:
    """Yield the fields as YAML has them, below the keys that hold them: full paths are wider than a terminal."""
    before: FieldPath = ()
    for field in fields:
        for depth in range(1, len(field.path)):
            if field.path[:depth] != before[:depth]:
                yield _line(field.path[:depth])
        yield field.line(root)
        before = field.path


def _line(path: FieldPath, value: str = "", set_by: str = "", ways: str = "") -> dict[str, str]:
    of_list = len(path) > 1 and path[-2] in MERGE_KEYS
    name = f"[{path[-1]}]" if of_list or path[-1].isdigit() else path[-1]
    return {"field": f"{'  ' * (len(path) - 1)}{name}:{value}", "set by": set_by, "a DAG may set": ways}


def explained_fields(
    template: PodTemplate, values: Mapping[str, Any], context: Mapping[str, Any] | None = None
) -> list[Field]:
    """Return every field of the pod that the template gives with these variables, in the pod's own order."""
    rendered = template.rendered(values, context)
    # The same text once more, each scalar replaced by the names that its expressions used.
    names = parse_yaml(rendered.fragment.text(), lambda text, plain: _names(rendered, text)).data
    fields = []
    for path, value in _leaves(rendered.pod):
        used = set(_at(names, path)) & set(template.variables.variables)
        shown = _named(rendered.pod, path)
        set_by = _origin(template, rendered, path)
        fields.append(Field(shown, value, set_by, tuple(sorted(used)), _open(shown, template.team)))
    return fields


def _leaves(value: Any, path: DocumentPath = ()) -> Iterator[tuple[DocumentPath, Any]]:
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


def _at(names: Any, path: DocumentPath) -> tuple[str, ...]:
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


def _named(pod: dict[str, Any], path: DocumentPath) -> FieldPath:
    """Return the path with the entries of lists by name, as the policy has them."""
    at: Any = pod
    steps: list[str] = []
    for step in path:
        at = at[step]
        key = MERGE_KEYS.get(steps[-1]) if steps and isinstance(step, int) else None
        steps.append(str(at[key] if key and isinstance(at, dict) and key in at else step))
    return tuple(steps)


def _origin(template: PodTemplate, rendered: Rendered, path: DocumentPath) -> str:
    parsed, root = rendered.document, template.folder.root
    known: DocumentPath = path
    while known and known not in parsed.values:
        known = known[:-1]
    if not known or (known != path and known[-1] in ("metadata", "spec")):
        # Filled in from the team's file, because the template leaves it out.
        return template.team.where({"namespace": "namespace"}.get(str(path[-1]), "service_account"))
    place = parsed.values[known]
    file, line = rendered.fragment.origin(place.offset)
    return location(root / (file or template.file), root, line or None)


def _open(path: FieldPath, team: Team) -> tuple[str, ...]:
    return tuple(
        argument.name
        for argument in POD_ARGUMENTS
        if (argument.rule == "open" or (argument.rule == "team" and argument.name in team.overridable))
        and any(_below(path, parsed_path(field)) for field in argument.fields)
    )


def _below(path: FieldPath, pattern: FieldPath) -> bool:
    return path[: len(pattern)] == pattern
