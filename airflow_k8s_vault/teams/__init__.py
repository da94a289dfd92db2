"""What the platform says of a team: `team.yaml` and `platform.yaml`, read with the place of every line."""

from __future__ import annotations

from airflow_k8s_vault.teams.agent_settings import BY_CLUSTER, AgentSettings
from airflow_k8s_vault.teams.document import (
    Document,
    DocumentPath,
    FillError,
    Mistake,
    dotted,
    parse_yaml,
    plain_value,
)
from airflow_k8s_vault.teams.files import FileCache, UnreadableFile
from airflow_k8s_vault.teams.identity import dag_identity, identity_fits
from airflow_k8s_vault.teams.key import json_schema
from airflow_k8s_vault.teams.pod_arguments import (
    ALLOW_LITERALS,
    OPENABLE,
    POD_ARGUMENTS,
    POD_ARGUMENTS_BY_NAME,
    PodArgument,
)
from airflow_k8s_vault.teams.team import Platform, Team, is_name, load, location, names, platform
from airflow_k8s_vault.teams.team_file import PLATFORM_KEYS, POD_SECURITY, TEAM_KEYS
from airflow_k8s_vault.teams.walls import Peer

__all__ = [
    "ALLOW_LITERALS",
    "BY_CLUSTER",
    "OPENABLE",
    "PLATFORM_KEYS",
    "POD_ARGUMENTS",
    "POD_ARGUMENTS_BY_NAME",
    "POD_SECURITY",
    "TEAM_KEYS",
    "AgentSettings",
    "Document",
    "DocumentPath",
    "FileCache",
    "FillError",
    "Mistake",
    "Peer",
    "Platform",
    "PodArgument",
    "Team",
    "UnreadableFile",
    "dag_identity",
    "dotted",
    "identity_fits",
    "is_name",
    "json_schema",
    "load",
    "location",
    "names",
    "parse_yaml",
    "plain_value",
    "platform",
]
