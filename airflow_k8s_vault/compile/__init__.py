"""What a team's file says, as what Vault and Kubernetes take: text in, text out, nothing is applied here."""

from __future__ import annotations

from airflow_k8s_vault.compile.declared import Declared
from airflow_k8s_vault.compile.source import Account, Source

__all__ = ["Account", "Declared", "Source"]
