"""The pods that a team's templates give: what is fixed in them, and what a variable or the run decides."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airflow_k8s_vault import templates
from airflow_k8s_vault.compile.cel import VARIES
from airflow_k8s_vault.teams import document
from airflow_k8s_vault.templates import PodTemplate, samples
from airflow_k8s_vault.templates.folder import folder
from airflow_k8s_vault.templates.fragment import Fragment

# Names that a template can use and that are the same for each of its pods.
_FIXED = frozenset({"team", "images"})


def of_team(team: str, templates_dir: Path) -> tuple[Mapping[str, Any], ...]:
    """Return the manifests of all templates of the team, over the limits and enums of their variables.

    VARIES stands where a value depends on a variable or the run. Raises TemplateError.
    """
    pods: dict[str, Mapping[str, Any]] = {}
    for short in folder(templates_dir.absolute()).available(team):
        template = templates.find(f"{team}/{short}", templates_dir)
        for values in samples.over_the_limits(template):
            pod = _pod(template, values)
            pods.setdefault(json.dumps(pod, sort_keys=True), pod)
    return tuple(pods.values())


def _pod(template: PodTemplate, values: Mapping[str, Any]) -> dict[str, Any]:
    rendered = template.rendered(values, samples.CONTEXT)

    def fill(text: str, is_plain: bool) -> Any:
        return VARIES if _varies(rendered.fragment, text) else rendered.fragment.fill(text, is_plain)

    pod: dict[str, Any] = document.parse(rendered.fragment.text(), fill).data
    # What the template leaves out and the team's file says.
    pod["metadata"] = {**pod.get("metadata", {}), "namespace": rendered.pod["metadata"]["namespace"]}
    pod["spec"] = {**pod["spec"], "serviceAccountName": rendered.pod["spec"]["serviceAccountName"]}
    return pod


def _varies(fragment: Fragment, text: str) -> bool:
    return any(set(value.names) - _FIXED for value in fragment.values_in(text))
