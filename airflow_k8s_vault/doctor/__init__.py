"""Is the whole chain sound, from the settings to a pod that has its credentials, as a task walks it."""

from __future__ import annotations

from airflow_k8s_vault.causes import CATEGORIES
from airflow_k8s_vault.doctor.check import Check, Done, Outcome, Report, run
from airflow_k8s_vault.doctor.checks import Depth, Environment, all_checks
from airflow_k8s_vault.doctor.kube import Kube
from airflow_k8s_vault.doctor.session import Vault
from airflow_k8s_vault.doctor.shown import MARKS, lines

__all__ = [
    "CATEGORIES",
    "MARKS",
    "Check",
    "Depth",
    "Done",
    "Environment",
    "Kube",
    "Outcome",
    "Report",
    "Vault",
    "all_checks",
    "lines",
    "run",
]
