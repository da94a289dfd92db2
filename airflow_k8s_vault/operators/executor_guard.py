"""What KubernetesExecutor makes of `pod_override`: a pod of the DAG's own team, and with secrets a closed one.

Runs in the scheduler, which knows whose a DAG is, and what the executor's own template adds; where the DAG is
imported nobody does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from airflow.sdk.exceptions import AirflowException

from airflow_k8s_vault import neighbours
from airflow_k8s_vault.delivery import TEMPLATE_ANNOTATION, agent
from airflow_k8s_vault.errors import ConfigError, error_list


def require_closed(pod: Any) -> None:
    """Raise AirflowException where a worker pod with secrets has what opens one container to another.

    pod: the V1Pod that the executor is about to create: its own template's, with `pod_override` laid over it.
    """
    if agent.CONTAINER not in {each.name for each in (pod.spec and pod.spec.init_containers) or ()}:
        return
    from kubernetes.client import ApiClient, Configuration

    manifest = ApiClient(Configuration()).sanitize_for_serialization(pod)
    if errors := neighbours.openings(manifest, neighbours.secret_variables(manifest)):
        message = "A worker pod with secrets of Vault, pod_template_file included, may have none of this:"
        raise AirflowException(error_list(message, errors))


def require_own_team(pod: Any, owners: Callable[[], Mapping[str, str]]) -> None:
    """Raise AirflowException where a worker pod is of another team than its DAG: the executor fails the task.

    pod: the V1Pod that the executor is about to create. owners: gives namespace to team.
    """
    metadata = pod.metadata
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
