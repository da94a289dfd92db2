"""One team's policies and roles in Vault, and how they are written down."""

from __future__ import annotations

from airflow_k8s_vault.compile.vault.formats import vault_requests, written
from airflow_k8s_vault.compile.vault.policy import Policy, Rule, asks_for, policies
from airflow_k8s_vault.compile.vault.role import Role, roles

__all__ = [
    "Policy",
    "Role",
    "Rule",
    "asks_for",
    "policies",
    "roles",
    "vault_requests",
    "written",
]
