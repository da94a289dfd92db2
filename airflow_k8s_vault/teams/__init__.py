"""What the platform says of a team: `team.yaml` and `platform.yaml`, read with the place of every line."""

from __future__ import annotations

from airflow_k8s_vault.teams.agent_settings import BY_CLUSTER, AgentSettings
from airflow_k8s_vault.teams.dag_identity import dag_identity
from airflow_k8s_vault.teams.files import FileCache, UnreadableFile
from airflow_k8s_vault.teams.team import (
    Platform,
    Team,
    is_name,
    load,
    location,
    names,
    platform,
)

__all__ = [
    "BY_CLUSTER",
    "AgentSettings",
    "FileCache",
    "Platform",
    "Team",
    "UnreadableFile",
    "dag_identity",
    "is_name",
    "load",
    "location",
    "names",
    "platform",
]
