"""The DAG of test_api_operator.py: unmodified KubernetesPodOperators."""

from __future__ import annotations

import os

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.sdk import DAG

COMMON = {
    "image": "python:3.12-slim",
    "namespace": os.environ.get("DEVCLUSTER_TEST_NAMESPACE", "default"),
    "config_file": os.environ.get("KUBECONFIG"),
    "in_cluster": False,
    "startup_check_interval_seconds": 1,
}

with DAG("devcluster_operator", schedule=None):
    KubernetesPodOperator(
        task_id="pushes",
        cmds=["python", "-c"],
        arguments=[
            "import json; print('made it'); json.dump({'answer': 42}, open('/airflow/xcom/return.json', 'w'))"
        ],
        do_xcom_push=True,
        **COMMON,
    ) >> KubernetesPodOperator(
        task_id="fails",
        cmds=["sh", "-c", "echo answer {{ ti.xcom_pull(task_ids='pushes')['answer'] }}; exit 3"],
        **COMMON,
    )
