"""The pod that the platform means a task to have: its template, rendered, with the secrets wired in."""

from __future__ import annotations

import copy
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from airflow_k8s_vault import config, policy, templates
from airflow_k8s_vault.delivery import (
    OWNER_ANNOTATION,
    POD_LABELS,
    REQUEST_ANNOTATION,
    TEMPLATE_ANNOTATION,
    bound_lifetime,
)
from airflow_k8s_vault.errors import PolicyError
from airflow_k8s_vault.operators import own_pods
from airflow_k8s_vault.teams import Team
from airflow_k8s_vault.templates import PodTemplate, without_repeats

# Airflow's name for the container of the task: no DAG may choose another.
BASE_CONTAINER = "base"
_RENDERED: dict[tuple[object, str, str], dict[str, Any] | None] = {}


@dataclass(frozen=True)
class TaskPod:
    """`rendered` is what the template gave for this team, `attached` the same with the delivery's additions."""

    template: PodTemplate
    rendered: dict[str, Any]
    attached: dict[str, Any]
    base_container: str
    hooked: policy.Hooked | None = None

    def after_hook(self, seen: Sequence[tuple[dict[str, Any], dict[str, Any]]]) -> TaskPod:
        """Return the same with what pod_mutation_hook did to the one pod that it saw."""
        if len(seen) != 1:
            return replace(self, hooked=None)
        # As the final pod is: a variable that both the DAG and the template set is there once.
        before, after = map(without_repeats, seen[0])
        return replace(self, hooked=policy.Hooked(before, after))

    def by_platform(self, xcom_sidecar: dict[str, Any] | None) -> frozenset[policy.FieldPath]:
        """Return the paths of what the delivery, pod_mutation_hook and KubernetesPodOperator (for XCom) gave."""
        added = policy.Expected(self.rendered, self.attached, "", xcom_sidecar, self.base_container).added
        before, after = (self.hooked.flat_before, self.hooked.flat_after) if self.hooked else ({}, {})
        return added | {path for path, value in after.items() if before.get(path) != value}

    def manifest(self) -> dict[str, Any]:
        """Return a copy of the v1 Pod manifest that KubernetesPodOperator starts from."""
        return copy.deepcopy(self.attached)

    def check(self, pod: dict[str, Any], xcom_sidecar: dict[str, Any] | None, requested: Sequence[str]) -> None:
        """Raise PolicyError, with all that is wrong, unless the manifest is still the pod that was meant.

        xcom_sidecar: the manifest of the container that is added for XCom, None where there is none.
        requested: the arguments that the DAG set, for the message.
        """
        source = self.template.where(None)
        expected = policy.Expected(
            self.rendered, self.attached, source, xcom_sidecar, self.base_container, self.hooked
        )
        policy.check(pod, self.template.team, expected, requested)


def find_template(name: str, team: str | None = None) -> PodTemplate:
    """Return the template of that name in `[k8s_vault] templates_dir`; team: where the name has none.

    Raises what templates.find raises. A DAG file may make a thousand operators in a second: the files are looked
    at again each second, not each time.
    """
    return _template(name, team, config.get("templates_dir"), int(time.monotonic()))


@lru_cache(maxsize=1024)
def _template(name: str, team: str | None, folder: str, second: int) -> PodTemplate:
    return templates.find(name, templates_dir=Path(folder), team=team)


def require_own_team(context: Any, team: Team) -> None:
    """With Airflow's multi-team on, raise PolicyError unless the run is of the team whose template it names.

    Nothing is checked outside of a run, or where `[core] multi_team` is off.
    """
    if not context or not config.multi_team():
        return
    own = getattr(context.get("dag_run"), "team_name", None)
    if own != team.name:
        whose = f"team '{own}'" if own else "no team"
        raise PolicyError(
            f"The run is of {whose}, and its task names a pod template of team '{team.name}'.\n"
            "  With [core] multi_team on, a task gets the pods of its own team only: name a template of that "
            f"team, or move the DAG to a bundle of '{team.name}'."
        )


def render(
    template: PodTemplate, variables: Mapping[str, Any], context: Any, execution_timeout: timedelta | None = None
) -> dict[str, Any]:
    """Return the template's manifest for the running task, in the team's namespace and under its account.

    context: Airflow's of the running task; None outside of a run. There is no request to create a pod then, and so
    no annotation that names one: an import gives the same bytes each time. execution_timeout bounds how long the
    pod, and so its credentials, may live. Raises TemplateError.
    """
    rendered = template.render(variables, context=running_task(context))
    bound_lifetime(rendered, execution_timeout)
    manifest = completed(rendered, template, secrets.token_hex(5) if context else None)
    if context:
        manifest["metadata"]["annotations"][OWNER_ANNOTATION] = own_pods.owner(running_task(context))
    return manifest


def completed(rendered: dict[str, Any], template: PodTemplate, request: str | None) -> dict[str, Any]:
    """Return the manifest with what the package says of the pod; request: one creation of it, None: none."""
    rendered["metadata"]["namespace"] = template.team.namespace
    rendered["spec"]["serviceAccountName"] = template.team.service_account
    annotations = rendered["metadata"].setdefault("annotations", {})
    annotations[TEMPLATE_ANNOTATION] = template.name
    if request:
        annotations[REQUEST_ANNOTATION] = request
    rendered["metadata"].setdefault("labels", {}).update(POD_LABELS)
    return rendered


def check_variables(template: PodTemplate, variables: Mapping[str, Any]) -> dict[str, Any] | None:
    """Render at import what the task will render, as far as its variables are known; once for equal ones.

    Returns that manifest, None where a variable holds Airflow's Jinja or comes from another task. Raises
    TemplateError with every mistake.
    """
    variables = {name: _as_jinja(value) for name, value in variables.items()}
    key = (template.folder.root, template.name, repr(variables))
    if key not in _RENDERED:
        template.check_vars(variables)
        known = "{{" not in key[2] and "{%" not in key[2]
        _RENDERED[key] = template.render(variables, context=running_task(None)) if known else None
    return _RENDERED[key]


def _as_jinja(value: Any) -> Any:
    """Return what another task will have returned (an XComArg) as Airflow's Jinja for it; all else as it is."""
    if isinstance(value, dict):
        return {key: _as_jinja(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_as_jinja(item) for item in value]
    return str(value) if hasattr(type(value), "iter_references") else value


def running_task(context: Any) -> dict[str, Any]:
    """Return the names that a template may use of the running task; empty values outside of a run."""
    if not context:
        return {"dag_id": "", "task_id": "", "run_id": "", "try_number": 1, "map_index": -1}
    ti = context["ti"]
    return {
        "dag_id": ti.dag_id,
        "task_id": ti.task_id,
        "run_id": context["run_id"],
        "try_number": ti.try_number,
        "map_index": ti.map_index if ti.map_index is not None else -1,
    }
