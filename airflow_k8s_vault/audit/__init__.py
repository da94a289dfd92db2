"""Who read what: audit files of Vault or OpenBao, joined with the task instances whose pods logged in.

Read in this order: log_files and entry (lines to entries), roles and session (entries to logins of the teams),
task_run and airflow_api (what ran), join (which login was of which), findings and report (what there is to say).
Nothing of it speaks to Vault.
"""

from airflow_k8s_vault.audit.airflow_api import AirflowApi
from airflow_k8s_vault.audit.findings import alarms, never_read, outlived, reads, shown
from airflow_k8s_vault.audit.join import Match, join
from airflow_k8s_vault.audit.log_files import LogFiles
from airflow_k8s_vault.audit.report import of_team
from airflow_k8s_vault.audit.roles import Roles
from airflow_k8s_vault.audit.session import Session, Sessions, seconds
from airflow_k8s_vault.audit.task_run import TaskRun

__all__ = [
    "AirflowApi",
    "LogFiles",
    "Match",
    "Roles",
    "Session",
    "Sessions",
    "TaskRun",
    "alarms",
    "join",
    "never_read",
    "of_team",
    "outlived",
    "reads",
    "seconds",
    "shown",
]
