"""The same secrets, handed over by the worker."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG

from airflow_k8s_vault import VaultPodOperator, VaultSecret

LOGIN = VaultSecret(
    "database/creds/payments-rw", engine="dynamic", env={"PGUSER": "username", "PGPASSWORD": "password"}
)
KEY_FILE = VaultSecret("secret/payments/partner", file="partner.key", key="api_key")

for mode in ("sync", "deferrable"):
    # agent.py says why.
    retries = {"retries": 3, "retry_delay": timedelta(seconds=1)} if mode == "deferrable" else {}
    with DAG(f"hands_over_{mode}", schedule=None, catchup=False, default_args=retries):
        VaultPodOperator(
            task_id="main",
            pod_template="payments/etl",
            vault_secrets=[LOGIN, KEY_FILE],
            delivery="secret",
            deferrable=mode == "deferrable",
            do_xcom_push=True,
            execution_timeout=timedelta(minutes=5),
            cmds=[
                "sh",
                "-c",
                'test -n "$PGPASSWORD" && test -s /vault/secrets/partner.key && mkdir -p /airflow/xcom '
                '&& echo \'{"who": "pod"}\' > /airflow/xcom/return.json',
            ],
        )
