"""A plain and a decorated task of one team, for the page."""

from __future__ import annotations

from airflow.sdk import DAG, task

from airflow_k8s_vault import VaultPodOperator, VaultSecret

LOGIN = VaultSecret(
    "database/creds/payments-ro", engine="dynamic", env={"PGUSER": "username", "PGPASSWORD": "password"}
)
KEY_FILE = VaultSecret("secret/payments/partner", file="partner.key", key="api_key")

with DAG("payments_load", schedule=None):
    VaultPodOperator(
        task_id="load",
        pod_template="payments/etl",
        template_vars={"memory": "1Gi"},
        vault_secrets=[LOGIN, KEY_FILE],
        cmds=["psql", "-c", "select 1"],
    )

    @task.vault_pod(pod_template="payments/python", vault_secrets=[KEY_FILE], delivery="secret")
    def check() -> None: ...

    check()
