"""Who may see what: Airflow's own auth manager decides, for each request.

Airflow mounts the FastAPI application of a plugin without any authentication of its own, so each route of the page
depends on `User`; a test walks all of them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import get_user
from airflow.models.dag import DagModel
from fastapi import Depends, HTTPException

from airflow_k8s_vault import config, teams

# Not `requires_authenticated`: it would hand over no user, and what a page shows depends on who looks.
User = Annotated[Any, Depends(get_user)]


def readable_dags(user: Any) -> set[str]:
    """Return the ids of the DAGs that the user may read."""
    return set(get_auth_manager().get_authorized_dag_ids(user=user, method="GET"))


def readable_teams(user: Any) -> list[str]:
    """Return the names of the teams that the user may read, sorted.

    Those whose DAGs the user may read. With `[core] multi_team` on, the user has to belong to the team as well;
    without it, Airflow knows no teams, and who may read DAGs sees all of them.
    """
    names = teams.names(Path(config.get("templates_dir")))
    manager = get_auth_manager()
    if not config.multi_team():
        return names if manager.is_authorized_dag(method="GET", user=user) else []
    own = manager.get_authorized_teams(user=user, method="GET")
    return [
        name
        for name in names
        if name in own and manager.is_authorized_dag(method="GET", details=DagDetails(team_name=name), user=user)
    ]


def require_team(team: str, user: Any) -> None:
    """Answer 404 unless the user may read the team, as for a team that is not there."""
    if team not in readable_teams(user):
        raise HTTPException(404, f"There is no team '{team}' that you may see.")


def require_task_instance(dag_id: str, user: Any) -> None:
    """Answer 403 unless the user may read the task instances of the DAG."""
    details = DagDetails(id=dag_id, team_name=DagModel.get_team_name(dag_id))
    if not get_auth_manager().is_authorized_dag(
        method="GET", access_entity=DagAccessEntity.TASK_INSTANCE, details=details, user=user
    ):
        raise HTTPException(403, "You may not see the task instances of this DAG.")
