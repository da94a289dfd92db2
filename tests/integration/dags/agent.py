"""DAGs of the integration tests: one for each way a task with secrets can go."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, task

from airflow_k8s_vault import VaultPodOperator, VaultSecret

WAREHOUSE = VaultSecret("secret/payments/warehouse", env={"PGHOST": "host", "PGDATABASE": "database"})
LOGIN = VaultSecret(
    "database/creds/payments-rw", engine="dynamic", env={"PGUSER": "username", "PGPASSWORD": "password"}
)
KEY_FILE = VaultSecret("secret/payments/partner", file="partner.key", key="api_key")
HAVE_ALL = 'test -n "$PGUSER" && test -n "$PGPASSWORD" && test "$PGDATABASE" = postgres && test -s /vault/secrets/'
XCOM = 'mkdir -p /airflow/xcom && echo \'{"who": "pod"}\' > /airflow/xcom/return.json'


def dag(name: str, **operator: object) -> None:
    """Make a DAG of one task, `main`, of team payments unless told otherwise."""
    arguments = {"pod_template": "payments/etl", "task_id": "main", **operator}
    # One more try: on a busy machine a scheduler may take a deferred task that comes back for one that has ended,
    # and fail it. The test sees to it that this is the only reason why a second try was ever needed.
    retries = {"retries": 3, "retry_delay": timedelta(seconds=1)} if operator.get("deferrable") else {}
    with DAG(name, schedule=None, catchup=False, default_args=retries):
        VaultPodOperator(**arguments)  # type: ignore[arg-type]


for deferrable in (False, True):
    mode = "deferrable" if deferrable else "sync"
    dag(
        f"delivers_{mode}",
        vault_secrets=[WAREHOUSE, LOGIN, KEY_FILE],
        cmds=["sh", "-c", f"{HAVE_ALL}partner.key && {XCOM}"],
        do_xcom_push=True,
        deferrable=deferrable,
    )
    dag(
        f"refused_login_{mode}",
        pod_template="strangers/etl",
        vault_secrets=[WAREHOUSE],
        cmds=["sh", "-c", "echo the main process ran"],
        deferrable=deferrable,
    )

FAILING = {
    "missing_secret": VaultSecret("secret/payments/nothing", env={"A": "a"}),
    "missing_key": VaultSecret("secret/payments/warehouse", env={"A": "hots"}),
    "single_quote": VaultSecret("secret/payments/quoted", env={"A": "word"}),
    "forbidden_path": VaultSecret("secret/payments-of-others/warehouse", env={"A": "a"}),
}
for name, secret in FAILING.items():
    # Team `wide` may ask for any path, so that Vault itself has to say no.
    team = "wide" if name == "forbidden_path" else "payments"
    dag(
        name,
        pod_template=f"{team}/etl",
        vault_secrets=[secret],
        cmds=["sh", "-c", "echo the main process ran"],
        retries=2,
        retry_delay=timedelta(seconds=1),
    )

with DAG("retries", schedule=None, catchup=False):
    VaultPodOperator(
        task_id="main",
        pod_template="payments/etl",
        vault_secrets=[LOGIN],
        cmds=["sh", "-c", 'test -n "$PGPASSWORD" && test {{ ti.try_number }} = 2'],
        retries=1,
        retry_delay=timedelta(seconds=1),
    )

with DAG("maps", schedule=None, catchup=False):
    VaultPodOperator.partial(
        task_id="main",
        pod_template="payments/etl",
        vault_secrets=[KEY_FILE],
    ).expand(cmds=[["sh", "-c", f"test -s /vault/secrets/partner.key && echo {n}"] for n in (1, 2)])

with DAG("decorated", schedule=None, catchup=False):

    @task.vault_pod(pod_template="payments/python", vault_secrets=[KEY_FILE], task_id="main", do_xcom_push=True)
    def measure(unit: str) -> dict[str, object]:
        from pathlib import Path

        return {unit: len(Path("/vault/secrets/partner.key").read_bytes())}

    measure("bytes")
