"""Two teams in one DAG: `payments` loads with credentials from Vault, `data-science` gets none and proves it."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG

from airflow_k8s_vault import VaultPodOperator, VaultSecret

LOAD = """
test -s /vault/secrets/partner.key || { echo "the partner's key did not arrive"; exit 1; }
psql --set=ON_ERROR_STOP=1 --command="
  insert into payments (amount, loaded_by)
  select 100 * number, current_user from generate_series(1, 10) as number"
"""

PROVE = """
import os, pathlib, sys

for name, value in sorted(os.environ.items()):
    print(f"{name}={value}")
belongs_to_others = [name for name in os.environ if name.startswith(("PG", "VAULT"))]
belongs_to_others += [path for path in ("/vault", "/var/run/secrets") if pathlib.Path(path).exists()]
sys.exit(f"found {belongs_to_others}" if belongs_to_others else 0)
"""

with DAG("payments_load", catchup=False, schedule=None, default_args={"retries": 0}):
    load = VaultPodOperator(
        task_id="load",
        pod_template="payments/etl",
        template_vars={"memory": "256Mi"},
        vault_secrets=[
            VaultSecret(
                "secret/payments/warehouse",
                env={"PGHOST": "host", "PGPORT": "port", "PGDATABASE": "database"},
            ),
            VaultSecret(
                "database/creds/payments-rw",
                engine="dynamic",
                env={"PGUSER": "username", "PGPASSWORD": "password"},
            ),
            VaultSecret("secret/payments/partner", file="partner.key", key="api_key"),
        ],
        cmds=["sh", "-c", LOAD],
        execution_timeout=timedelta(minutes=10),
    )

    prove = VaultPodOperator(
        task_id="prove-isolation",
        pod_template="data-science/python",
        cmds=["python", "-c", PROVE],
        deferrable=True,
    )

    load >> prove
