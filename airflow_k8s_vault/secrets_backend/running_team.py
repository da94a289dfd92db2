"""Whose task runs in this process: a worker does not tell its secrets backend, the API server does."""

from __future__ import annotations

import os
import sys

# Set by Airflow's task runner: also in the processes that an operator starts, where there is no context.
VARIABLE = "AIRFLOW_CONTEXT_TEAM_NAME"


def running_team() -> str | None:
    """Return the team of the running task's DAG run; None outside of a task, or where it has no team."""
    contexts = sys.modules.get("airflow.sdk.definitions._internal.contextmanager")
    stack = contexts._CURRENT_CONTEXT if contexts is not None else None
    if stack:
        team = getattr(stack[-1].get("dag_run"), "team_name", None)
        if team:
            return str(team)
    return os.environ.get(VARIABLE) or None
