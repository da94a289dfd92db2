"""The pods that a team's templates give: what is fixed in them, and what a variable or the run decides."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airflow_k8s_vault import templates
from airflow_k8s_vault.compile.cel import VARIES
from airflow_k8s_vault.teams import parse_yaml
from airflow_k8s_vault.templates import (
    SAMPLE_CONTEXT,
    Fragment,
    Text,
    Value,
    template_folder,
    values_at_the_limits,
)

# Names that a template can use and that are the same for each of its pods.
_FIXED = frozenset({"team", "images"})


def team_pods(team: str, templates_dir: Path) -> tuple[Mapping[str, Any], ...]:
    """Return the manifests of all templates of the team, over the limits and enums of their variables.

    VARIES stands where a value depends on a variable or the run. Raises TemplateError.
    """
    pods: dict[str, Mapping[str, Any]] = {}
    for short in template_folder(templates_dir.absolute()).available(team):
        template = templates.find(f"{team}/{short}", templates_dir)
        # Most values of variables leave the text as it is: a pod of that text is made once.
        known: set[str] = set()
        for values in values_at_the_limits(template):
            rendered = template.rendered(values, SAMPLE_CONTEXT)
            if (text := _fixed_text(rendered.fragment)) not in known:
                known.add(text)
                pod = _pod(rendered.fragment, rendered.pod)
                pods.setdefault(json.dumps(pod, sort_keys=True), pod)
    return tuple(pods.values())


def _fixed_text(fragment: Fragment) -> str:
    """Return the text with each value that is the same for all pods in its place, and VARIES for the others."""
    return json.dumps(
        [
            piece.text if isinstance(piece, Text) else VARIES if _differs(piece) else [piece.value]
            for piece in fragment.pieces
        ]
    )


def _pod(fragment: Fragment, complete: Mapping[str, Any]) -> dict[str, Any]:
    def fill(text: str, is_plain: bool) -> Any:
        return VARIES if _varies(fragment, text) else fragment.fill(text, is_plain)

    pod: dict[str, Any] = parse_yaml(fragment.text(), fill).data
    # What the template leaves out and the team's file says.
    pod["metadata"] = {**pod.get("metadata", {}), "namespace": complete["metadata"]["namespace"]}
    pod["spec"] = {**pod["spec"], "serviceAccountName": complete["spec"]["serviceAccountName"]}
    return pod


def _varies(fragment: Fragment, text: str) -> bool:
    return any(map(_differs, fragment.values_in(text)))


def _differs(value: Value) -> bool:
    return bool(set(value.names) - _FIXED)
