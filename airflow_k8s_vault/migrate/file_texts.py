"""The files of an import: the template, its variables, and what team.yaml and platform.yaml need."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any

from airflow_k8s_vault import teams
from airflow_k8s_vault.errors import MigrationError, error_list
from airflow_k8s_vault.migrate import team_entries, team_text
from airflow_k8s_vault.migrate.differences import Merged
from airflow_k8s_vault.migrate.draft import Draft
from airflow_k8s_vault.migrate.target import Target
from airflow_k8s_vault.migrate.template_text import template, yaml_text
from airflow_k8s_vault.policy import pod_security_violations
from airflow_k8s_vault.teams import Team
from airflow_k8s_vault.templates import SUFFIX, VARIABLES_SUFFIX


def texts(
    drafts: list[Draft], merged: Merged, target: Target, team: Team | None, images: Mapping[str, str]
) -> dict[str, str]:
    """Return the text of each file by its path below the folder. images: image to alias.

    Raises MigrationError where the inputs are of several teams, or the pods need more than the platform gives.
    """
    base = f"{target.team}/{target.name}"
    names = ", ".join(FilePath(draft.name).name for draft in drafts)
    files = {f"{base}{SUFFIX}": template(merged.pod, f"Imported from {names}.")}
    if merged.variables:
        declared = {name: variable.schema for name, variable in merged.variables.items()}
        files[f"{base}{VARIABLES_SUFFIX}"] = yaml_text(declared)
    entries: dict[str, Any] = {}
    for draft in drafts:
        _require_one_team(entries, draft)
    named = {alias: image for image, alias in images.items()}
    level = team_entries.pod_security([draft.pod for draft in drafts])
    allowed = team.pod_security if team else teams.platform(target.folder).pod_security
    if team:
        text = _extended(team, named, entries)
        files |= {f"{target.team}/team.yaml": text} if text is not None else {}
    else:
        if level != "restricted" and _is_new(target.folder):
            files["platform.yaml"], allowed = team_text.platform(level), level
        entries |= {"secrets": _paths(drafts, written=False), "update": _paths(drafts, written=True)}
        files[f"{target.team}/team.yaml"] = team_text.new(target.team, entries, named, level)
    _require_allowed(drafts, level, allowed)
    return files


def _paths(drafts: list[Draft], written: bool) -> list[str]:
    """Return the paths that are known; written: those to which a task gives parameters, or all others."""
    needed = [one for draft in drafts for one in draft.needed if one.is_written is written]
    return sorted({path for one in needed if (path := one.known_path)})


def _is_new(folder: FilePath) -> bool:
    """Return whether nobody else's limits are widened by a platform.yaml here."""
    return not teams.names(folder) and not (folder / "platform.yaml").exists()


def _require_one_team(entries: dict[str, Any], draft: Draft) -> None:
    for key, value in draft.team.items():
        if key == "image_pull_secrets":
            entries[key] = list(dict.fromkeys([*entries.get(key, ()), *value]))
        elif entries.setdefault(key, value) != value:
            raise MigrationError(
                f"The inputs have more than one {key}: {entries[key]} and {value} ({draft.name}).\n"
                "  A team has one: import them into a team each."
            )


def _extended(team: Team, images: Mapping[str, str], entries: Mapping[str, Any]) -> str | None:
    """Return team.yaml with what it lacks; None where it lacks nothing."""
    additions: dict[str, Any] = {}
    if more := {alias: image for alias, image in images.items() if alias not in team.images}:
        additions["images"] = more
    missing = [n for n in entries.get("image_pull_secrets", ()) if n not in team.walls.image_pull_secrets]
    if missing:
        additions["image_pull_secrets"] = missing
    if not additions:
        return None
    return team_text.extended(team.file.read_text(encoding="utf-8"), additions, team.where(""))


def _require_allowed(drafts: list[Draft], level: str, allowed: str) -> None:
    errors = [
        f"{draft.name}: {sentence}"
        for draft in drafts
        for sentence in pod_security_violations(draft.pod, allowed)  # type: ignore[arg-type]
    ]
    if errors:
        raise MigrationError(
            error_list(f"The Pod Security Standard here is '{allowed}', and the pods need '{level}':", errors)
            + "\n  Change the pods, or widen pod_security in platform.yaml (for all teams) and in the team's."
        )
