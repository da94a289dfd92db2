"""The loads."""

from datetime import datetime

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.providers.cncf.kubernetes.secret import Secret
from airflow.sdk import DAG
from kubernetes.client import models as k8s

with DAG("loads", start_date=datetime(2026, 1, 1)):
    # The nightly load.
    load = KubernetesPodOperator(
        task_id="load",
        namespace="team-etl",
        image="registry.example.com/etl:7",  # pinned
        # What runs.
        cmds=["python", "-m", "load"],
        arguments=["--day", "{{ ds }}"],  # one day
        env_vars={
            "PGHOST": "db",  # the host
            "PGPASSWORD": "{{ conn.warehouse.password }}",
        },
        secrets=[Secret("env", "SLACK_TOKEN", "slack", "token")],
        container_resources=k8s.V1ResourceRequirements(limits={"memory": "1Gi"}),
        service_account_name="etl",
        do_xcom_push=True,
    )
    # Small.
    check = KubernetesPodOperator(task_id="check", image="registry.example.com/etl:7", cmds=["check"])
    other = KubernetesPodOperator(
        task_id="other", image="other:1", dnspolicy="None", env_vars={"API_TOKEN": "Zx81hunter"}
    )
    named = KubernetesPodOperator(task_id="named", image="registry.example.com/etl:7", annotations={"a": "b"})
    mapped = KubernetesPodOperator.partial(task_id="mapped", image="registry.example.com/etl:7").expand(
        arguments=[["{{ var.value.api_key }}"], ["b"]]
    )
    load >> check
