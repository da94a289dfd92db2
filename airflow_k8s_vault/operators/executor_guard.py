"""KubernetesExecutor with Airflow's multi-team: a task's worker pod is of its own team's template, or of none.

Runs in the scheduler, which knows whose a DAG is; where it is imported nobody does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from airflow.sdk.exceptions import AirflowException

from airflow_k8s_vault.delivery import TEMPLATE_ANNOTATION
from airflow_k8s_vault.errors import ConfigError

# On each worker pod of KubernetesExecutor.
_LABEL = "kubernetes_executor"


def require_own_team(pod: Any, owners: Callable[[], Mapping[str, str]]) -> None:
    """Raise AirflowException where a worker pod is of another team than its DAG: the executor fails the task.

    pod: the V1Pod that the executor is about to create. owners: gives namespace to team.
    """
    metadata = pod.metadata
    if (metadata.labels or {}).get(_LABEL) is None:
        return
    annotations = metadata.annotations or {}
    template = str(annotations.get(TEMPLATE_ANNOTATION) or "")
    teams = {team for team in (template.partition("/")[0], _owner(str(metadata.namespace), owners)) if team}
    if not teams:
        return
    dag_id = str(annotations.get("dag_id"))
    own = _team_of(dag_id)
    if others := teams - {own}:
        whose = f"team '{own}'" if own else "no team"
        raise AirflowException(
            f"DAG '{dag_id}' is of {whose}, and its task asks for a worker pod of team '{sorted(others)[0]}'.\n"
            "  With [core] multi_team on, a task gets the pods of its own team only."
        )


def _owner(namespace: str, owners: Callable[[], Mapping[str, str]]) -> str | None:
    try:
        return owners().get(namespace)
    except ConfigError:
        # A scheduler whose executor makes no pods of templates needs no folder of them.
        return None


def _team_of(dag_id: str) -> str | None:
    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session

    # A session of its own: the scheduler's may not be committed here.
    with create_session(scoped=False) as session:
        team: str | None = DagModel.get_team_name(dag_id, session=session)
        return team
