"""A mapped task of another team, and a task that is none of ours."""

from __future__ import annotations

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG

from airflow_k8s_vault import VaultPodOperator, VaultSecret

with DAG("science_train", schedule=None):
    VaultPodOperator.partial(
        task_id="train",
        pod_template="data-science/python",
        vault_secrets=[VaultSecret("secret/data-science/registry", env={"TOKEN": "token"})],
    ).expand(arguments=[["a"], ["b"]])
    EmptyOperator(task_id="nothing")
