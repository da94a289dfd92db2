"""Find a pod template by its name: a team's own, else the shared one of that name."""

from __future__ import annotations

import os
from pathlib import Path

from airflow_k8s_vault import teams
from airflow_k8s_vault.errors import TemplateError, did_you_mean
from airflow_k8s_vault.templates import strays
from airflow_k8s_vault.templates.folder import NAME, SUFFIX, template_folder
from airflow_k8s_vault.templates.template import PodTemplate


def find(name: str, templates_dir: Path, team: str | None = None) -> PodTemplate:
    """Return the template of that name: "payments/etl", or "etl" with the team beside it.

    Looks for the team's own `payments/etl.yaml.j2`, then for the shared `etl.yaml.j2`; with the shared one the
    pod is the team's all the same. Raises TeamError for an unknown team or an invalid team.yaml, and
    TemplateError, with where it looked and what there is, for an unknown template.
    """
    templates_dir = templates_dir.absolute()
    owner, _, short = str(name).rpartition("/")
    if not owner and not team:
        all_teams = teams.names(templates_dir)
        full = [f"{one}/{short}" for one in all_teams if short in template_folder(templates_dir).available(one)]
        write = ", ".join(full) or f"<team>/{short}, with one of: {', '.join(all_teams)}"
        raise TemplateError(f"Pod template '{name}' has no team.\n  Write it with its team: {write}.")
    if owner and team and owner != team:
        raise TemplateError(f"Pod template '{name}' is of team '{owner}', and the task's team is '{team}'.")
    result = teams.load(owner or team or "", templates_dir)
    files = template_folder(templates_dir)
    candidates = (f"{result.name}/{short}{SUFFIX}", f"{short}{SUFFIX}")
    if NAME.fullmatch(short):
        for file in candidates:
            if os.path.isfile(f"{files.root}/{file}"):
                return PodTemplate(f"{result.name}/{short}", result, file, files)
    known = files.available(result.name)
    there = "".join(
        f"\n  There is {stray.file}: rename it to {stray.name}."
        for stray in strays.near(files.root, result.name, short)
    )
    raise TemplateError(
        f"Team '{result.name}' has no pod template '{short}'.\n"
        f"  Looked for: {', '.join(candidates)} in {templates_dir}.\n"
        f"  Available to {result.name}: {', '.join(known) or 'none'}.{did_you_mean(short, known)}{there}"
    )
