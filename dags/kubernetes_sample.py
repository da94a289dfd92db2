"""The same Python in two images: one that has Python, one that does not, and says so."""

from __future__ import annotations

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG

from airflow_k8s_vault import VaultPodOperator

HELLO = "import platform; print('hello from Python', platform.python_version())"

with DAG("kubernetes_sample", catchup=False, schedule=None, default_args={"retries": 0}):
    start = EmptyOperator(task_id="start")

    # The namespace is the team's: pod_templates/data-science/team.yaml names it.
    passing = VaultPodOperator(
        task_id="passing-task",
        pod_template="data-science/python",
        cmds=["python", "-c", HELLO],
        labels={"sample": "passing"},
    )

    failing = VaultPodOperator(
        task_id="failing-task",
        pod_template="data-science/ubuntu",
        cmds=["python", "-c", HELLO],
        labels={"sample": "failing"},
    )

    start >> [passing, failing]
