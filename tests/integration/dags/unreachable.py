"""A Vault that nobody listens at, as pods of a wrongly configured platform see it."""

from __future__ import annotations

import os

from airflow.sdk import DAG

from airflow_k8s_vault import VaultPodOperator, VaultSecret, config

# In the process that runs the task, which has imported this file.
os.environ["AIRFLOW__K8S_VAULT__VAULT_ADDR"] = "http://127.0.0.1:9"
config.reload()

with DAG("unreachable", schedule=None, catchup=False):
    VaultPodOperator(
        task_id="main",
        pod_template="nowhere/etl",
        vault_secrets=[VaultSecret("secret/payments/warehouse", env={"A": "host"})],
        cmds=["sh", "-c", "echo the main process ran"],
    )
