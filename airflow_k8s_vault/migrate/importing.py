"""From pods as they are to the files of a template: what is written, and what became of each field."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from airflow_k8s_vault import dag_code, teams
from airflow_k8s_vault.errors import MigrationError, TeamError, error_list
from airflow_k8s_vault.migrate import (
    airflow_jinja,
    base_container,
    cluster_fields,
    file_places,
    file_texts,
    injected_secrets,
    kubernetes_secrets,
    literal_credentials,
    proof,
    team_entries,
)
from airflow_k8s_vault.migrate.differences import Merged, merge
from airflow_k8s_vault.migrate.draft import Draft, Fate, rows
from airflow_k8s_vault.migrate.needed import Needed, code
from airflow_k8s_vault.migrate.pods import InputPod
from airflow_k8s_vault.migrate.target import OF_TEAM, Target
from airflow_k8s_vault.neighbours import openings
from airflow_k8s_vault.policy import FieldPath, ShapeMistake, flatten, shape_mistakes, shown_path
from airflow_k8s_vault.teams import Team, dotted
from airflow_k8s_vault.templates import NAME, holds_jinja

_LABELS = ("metadata", "labels")
_RUN_ONLY = "holds Jinja, which only a run of the DAG renders: write it out, or give it by template_vars."


@dataclass(frozen=True)
class Imported:
    """What an import gives. files: text by path below the folder. fates: of each input, by its name.

    needed: the secrets of each input. variables: template_vars of each input. arguments: what stays in the DAG.
    notes: sentences for the user.
    """

    files: dict[str, str]
    fates: dict[str, list[Fate]]
    needed: dict[str, list[Needed]]
    variables: dict[str, dict[str, Any]]
    arguments: dict[str, dict[str, Any]]
    notes: list[str]

    def code(self, name: str) -> str:
        """Return the argument vault_secrets of an input, as code to paste."""
        return code(self.needed[name])

    def call(self, name: str, template_name: str) -> Iterator[str]:
        """Yield the lines of the task that sends the input's pod."""
        yield "VaultPodOperator("
        yield f"    task_id={dag_code.literal(template_name.rpartition('/')[2])},"
        yield f"    pod_template={dag_code.literal(template_name)},"
        if values := self.variables[name]:
            lines = dag_code.call("dict", [], values)
            if len(lines) == 1:
                yield f"    template_vars={dag_code.literal(values)},"
            else:
                yield "    template_vars={"
                yield from (
                    f"        {dag_code.literal(key)}: {dag_code.literal(item)}," for key, item in values.items()
                )
                yield "    },"
        yield from (f"    {line}" for line in self.code(name).splitlines())
        yield from (f"    {key}={dag_code.literal(value)}," for key, value in self.arguments[name].items())
        yield ")"


def import_pods(pods: Sequence[InputPod], target: Target) -> Imported:
    """Return the template of these pods, of a team that may be there already; nothing is written.

    Raises MigrationError with all reasons where it would not pass lint, or not give the pods again.
    """
    if not teams.is_name(target.team):
        raise TeamError(f"'{target.team}' can be no team's name: lower case, digits and - make one.")
    if not NAME.fullmatch(target.name):
        raise MigrationError(
            f"'{target.name}' can be no template's name: lower case, digits and - make one (--name)."
        )
    team = teams.load(target.team, target.folder) if target.team in teams.names(target.folder) else None
    if team and not target.namespace:
        target = replace(target, namespace=team.namespace)
    drafts = [drafted(pod, target) for pod in pods]
    if any("restartPolicy" in draft.spec for draft in drafts):
        # Whoever does not say it has it all the same, as an operator's pod: no variable for that.
        for draft in drafts:
            draft.spec.setdefault("restartPolicy", "Never")
    cleaned = [draft.pod for draft in drafts]
    images = team_entries.aliases(cleaned, team.images if team else {})
    merged = merge(cleaned, images)
    files = file_texts.texts(drafts, merged, target, team, images)
    every_note = (
        note for draft in drafts for note in (*draft.notes, *_warnings(draft), *_over_the_ceiling(draft, team))
    )
    notes = list(dict.fromkeys(every_note))
    proof.require_the_same(drafts, merged, files, target)
    return Imported(
        files=files,
        fates={draft.name: _fates(draft, merged, team, images) for draft in drafts},
        needed={draft.name: draft.needed for draft in drafts},
        variables={draft.name: merged.values(number) for number, draft in enumerate(drafts)},
        arguments={draft.name: draft.arguments for draft in drafts},
        notes=notes,
    )


def drafted(pod: InputPod, target: Target) -> Draft:
    """Return the pod as far as it is taken over. Raises MigrationError where it is none."""
    draft = Draft(pod.name, pod.pod, pod.live)
    _require_shape(draft, pod.from_dag)
    if pod.from_dag:
        _require_written_out(draft, target.images)
    with_null = _without_null(draft)
    cluster_fields.leave_out(draft)
    base = base_container.chosen(draft, pod.base or target.base)
    if pod.from_dag:
        airflow_jinja.take(draft, base)
    injected_secrets.take(draft)
    namespace = str(draft.metadata.get("namespace") or target.namespace)
    kubernetes_secrets.take(draft, target.origins, namespace)
    file_places.check(draft)
    literal_credentials.take(draft)
    team_entries.take(draft)
    team_entries.replace_images(draft, target.images)
    base_container.rename(draft, base)
    draft.needed = [needed.at(target.paths) for needed in draft.needed]
    draft.pod = _without_empty(draft.pod)
    for path in with_null:
        draft.add(path, "changed", "without its keys that are null, which say nothing")
    return draft


def _require_shape(draft: Draft, from_dag: bool) -> None:
    # Without the value, which may be a credential in a wrong place.
    errors = [
        f"{dotted(mistake.path)} {_reason(mistake, from_dag and _is_jinja(draft.pod, mistake.path))}"
        for mistake in shape_mistakes(draft.pod)
        # These are left out, or stay in the DAG.
        if not mistake.is_unknown and mistake.path != ("status",)
        if not (from_dag and mistake.path[:2] == _LABELS and _is_jinja(draft.pod, mistake.path))
    ]
    if errors:
        raise MigrationError(error_list(f"{draft.name} is no valid pod:", errors))


def _reason(mistake: ShapeMistake, is_jinja: bool) -> str:
    if is_jinja:
        return _RUN_ONLY
    start, _, rest = mistake.sentence.partition("; it must be")
    return f"must be{rest}" if rest else start


def _is_jinja(pod: Any, path: tuple[str | int, ...]) -> bool:
    """Return whether the value there is text with Jinja."""
    for step in path:
        try:
            pod = pod[step]
        except (KeyError, IndexError, TypeError):
            return False
    return isinstance(pod, str) and holds_jinja(pod)


def _require_written_out(draft: Draft, images: Collection[str]) -> None:
    """Raise MigrationError where a task's namespace, account or image is known to its run alone."""
    fields: list[FieldPath] = [*OF_TEAM, *((*path, "image") for path, _ in draft.containers())]
    errors = [
        f"{shown_path(path)} {_RUN_ONLY}"
        for path in fields
        if holds_jinja(value := draft.input.get(path)) and value not in images
    ]
    if errors:
        raise MigrationError(
            error_list(f"{draft.name} cannot become a template as it is:", errors)
            + "\n  An image can be named by --image OLD=NEW."
        )


def _without_null(draft: Draft) -> list[FieldPath]:
    """Take null out of the pod, and return the fields that are others without: lists of unnamed entries."""
    draft.pod = _filled_in(draft.pod)
    left = flatten(draft.pod)
    return [path for path, value in draft.input.items() if left.get(path) != value]


def _filled_in(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _filled_in(item) for key, item in value.items() if item is not None}
    return [_filled_in(item) for item in value] if isinstance(value, list) else value


def _without_empty(pod: dict[str, Any]) -> dict[str, Any]:
    """Return the pod without what is left empty of metadata, spec and containers.

    Elsewhere an empty mapping says something: `emptyDir: {}`.
    """
    spec = _filled(pod["spec"])
    for section in ("initContainers", "containers"):
        if section in spec:
            spec[section] = [_filled(container) for container in spec[section]]
    metadata = _filled(pod.get("metadata") or {})
    head = {"apiVersion": "v1", "kind": "Pod"} | ({"metadata": metadata} if metadata else {})
    return {**head, "spec": spec}


def _filled(mapping: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in mapping.items() if value not in ({}, [])}


def _over_the_ceiling(draft: Draft, team: Team | None) -> Iterator[str]:
    for one in draft.needed:
        path, written = one.known_path, one.is_written
        if team and path and not team.allows_path(path, written):
            key, may = ("update", "write to") if written else ("secrets", "read")
            yield f"Team '{team.name}' may not {may} {path}: add it to {key} ({team.where(key)})."


def _warnings(draft: Draft) -> Iterator[str]:
    if draft.needed:
        for sentence in openings(draft.pod, {}):
            yield f"A task with vault_secrets is refused in this pod: {sentence}."
    for path, value in flatten(draft.pod).items():
        if "{{" in str(value) or "{%" in str(value):
            yield (
                f"{shown_path(path)} holds Jinja, which a template gives as it is: Airflow renders it no more. "
                "Make it a variable, or let the DAG set it."
            )


def _fates(draft: Draft, merged: Merged, team: Team | None, images: Mapping[str, str]) -> list[Fate]:
    fates = dict(draft.fates)
    for path, key in zip(OF_TEAM, ("namespace", "service_account"), strict=True):
        if path in fates and team and draft.team.get(key) != getattr(team, key):
            fates[path] = Fate(path, "changed", f"'{getattr(team, key)}', as {team.where(key)} has it")
    for path, fate in draft.fates.items():
        if fate.why == "vault_role" and team and draft.team["vault_role"] != team.vault_role:
            fates[path] = Fate(path, "changed", f"'{team.vault_role}', as {team.where('vault_role')} has it")
    for path, _ in draft.containers():
        at = _in_input(draft, (*path, "image"))
        alias = images[str(next(c for p, c in draft.containers() if p == path)["image"])]
        fates.setdefault(at, Fate(at, "team.yaml", f"images.{alias}"))
    variables = {_in_input(draft, path): name for path, name in merged.fields.items()}
    for path, name in variables.items():
        if path in fates and fates[path].verdict == "team.yaml":
            fates[path] = Fate(path, "variable", f"{name}; {fates[path].why}")
    return rows(fates, draft.input, variables)


def _in_input(draft: Draft, path: FieldPath) -> FieldPath:
    """Return a path of the draft by the names that the input has."""
    if path[1:2] == ("containers",) and path[2:3] and path[2] in draft.renamed:
        return (*path[:2], draft.renamed[path[2]], *path[3:])
    return path
