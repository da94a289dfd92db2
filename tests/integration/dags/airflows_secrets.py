"""A connection and a variable of Airflow, in the pod alone: this Airflow has no secrets backend."""

from __future__ import annotations

import os

from airflow.sdk import DAG

from airflow_k8s_vault import VaultPodOperator, VaultSecret, config

# In the process that runs the task, which has imported this file.
os.environ["AIRFLOW__K8S_VAULT__SECRETS_BACKEND_KWARGS"] = '{"connections_path": "payments/connections"}'
config.reload()

SHOW = """
import json, os

found = json.loads(os.environ["AIRFLOW_CONN_MY-WAREHOUSE"])
os.makedirs("/airflow/xcom", exist_ok=True)
with open("/airflow/xcom/return.json", "w") as file:
    json.dump({"host": found["host"], "password_length": len(found["password"])}, file)
"""

for delivery in ("agent", "secret"):
    with DAG(f"connection_by_{delivery}", schedule=None, catchup=False):
        VaultPodOperator(
            task_id="main",
            pod_template="payments/python",
            vault_secrets=[VaultSecret.connection("my-warehouse")],
            delivery=delivery,
            do_xcom_push=True,
            cmds=["python", "-c", SHOW],
        )
