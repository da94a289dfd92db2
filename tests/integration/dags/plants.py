"""A task that puts what it is told, backwards, where no secret may be: the search has to find it there."""

from __future__ import annotations

import logging

from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG


def plant(logged: str, returned: str, rendered: str) -> str:
    """Write the first to the task's log, at DEBUG; return the second as XCom; the third is a rendered field."""
    logging.getLogger(__name__).debug("what was read: %s", logged[::-1])
    return returned[::-1]


with DAG("plants", schedule=None, catchup=False):
    PythonOperator(
        task_id="main",
        python_callable=plant,
        op_kwargs={
            "logged": "{{ dag_run.conf['logged'] }}",
            "returned": "{{ dag_run.conf['returned'] }}",
            "rendered": "{{ dag_run.conf['rendered'][::-1] }}",
        },
    )
