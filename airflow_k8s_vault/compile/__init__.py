"""What a team's file says, as what Vault and Kubernetes take: text in, text out, nothing is applied here.

Two rooms of their own are behind this one: vault (policies and roles, and how they are written down) and plan
(what is compiled beside what is there).
"""

from __future__ import annotations

from airflow_k8s_vault.compile.declared import Declared
from airflow_k8s_vault.compile.objects import account_names, kubernetes_objects
from airflow_k8s_vault.compile.refusals import source_refusals, team_refusals
from airflow_k8s_vault.compile.rights import RIGHTS
from airflow_k8s_vault.compile.source import Account, Source
from airflow_k8s_vault.compile.template_pods import team_pods

__all__ = [
    "RIGHTS",
    "Account",
    "Declared",
    "Source",
    "account_names",
    "kubernetes_objects",
    "source_refusals",
    "team_pods",
    "team_refusals",
]
