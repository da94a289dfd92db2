"""One task instance: the pod it got, with which credentials, how far the delivery came, and why it ended there.

From what the task recorded of itself in Airflow's task state store, and, for a pod that is still there, from the
cluster. The record is the task's own word, and who may edit the task instance may edit it: it is shown, and never
followed. The pod of the cluster is looked for by the labels of this task instance in its team's namespace, not by
a name that the record gives.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import yaml
from airflow.models.dagrun import DagRun
from airflow.models.task_state_store import TaskStateStoreModel
from airflow.utils.session import create_session
from sqlalchemy import select

from airflow_k8s_vault import json_text, teams
from airflow_k8s_vault.delivery import Step, steps_of
from airflow_k8s_vault.errors import K8sVaultError
from airflow_k8s_vault.page import catalog, cluster, usage

RECORD_KEY = "k8s_vault_pod"


class Seen(NamedTuple):
    """What there is to see of a task instance. `record` is None where the task has recorded nothing yet."""

    dag_id: str
    task_id: str
    run_id: str
    map_index: int
    task: usage.Task | None
    record: Mapping[str, Any] | None
    live: cluster.LivePod

    @property
    def credentials(self) -> list[Mapping[str, Any]]:
        """Return what the pod was given, by name: of the record, else as the DAG declares it."""
        if self.record and isinstance(self.record.get("credentials"), list):
            return [item for item in self.record["credentials"] if isinstance(item, Mapping)]
        if self.task is None:
            return []
        return [
            {"path": row.path, "target": row.target, "key": row.key, "container": row.container}
            for row in usage.rows([self.task])
        ]

    @property
    def steps(self) -> list[Step]:
        """Return the steps with their times: of the live pod where it is seen, else as recorded."""
        if self.live.pod is not None:
            return steps_of(self.live.pod)
        recorded = (self.record or {}).get("steps")
        if not isinstance(recorded, list):
            return []
        return [Step(str(item[0]), str(item[1])) for item in recorded if isinstance(item, list) and len(item) == 2]

    @property
    def manifest(self) -> str:
        """Return the pod's manifest as it was sent, as YAML: references to secrets, and no value."""
        sent = (self.record or {}).get("manifest")
        return yaml.safe_dump(sent, sort_keys=False, allow_unicode=True) if isinstance(sent, Mapping) else ""

    @property
    def failure(self) -> str:
        """Return why the pod failed, in the words of the task's log; empty where it did not."""
        return str((self.record or {}).get("failure") or "")

    def recorded(self, name: str) -> str:
        """Return one fact of the record as text, empty where it has none."""
        return str((self.record or {}).get(name) or "")

    def facts(self) -> dict[str, Any]:
        """Return all of it for a program."""
        return {
            "dag_id": self.dag_id,
            "task_id": self.task_id,
            "run_id": self.run_id,
            "map_index": self.map_index,
            "pod_template": self.task.pod_template if self.task else "",
            "record": self.record,
            "credentials": [dict(item) for item in self.credentials],
            "steps": [step._asdict() for step in self.steps],
            "failure": self.failure,
            "events": self.live.events,
            "live": self.live.note or "seen",
        }


def of(dag_id: str, run_id: str, task_id: str, map_index: int) -> Seen:
    """Return what there is to see of the task instance; the caller has asked whether the user may."""
    declared = next((task for task in usage.tasks([dag_id]) if task.task_id == task_id), None)
    record = _record(dag_id, run_id, task_id, map_index)
    live = cluster.LivePod(None, [], "This task names no pod template.")
    if declared is not None:
        live = _live(declared, run_id, map_index)
    return Seen(dag_id, task_id, run_id, map_index, declared, record, live)


def _live(task: usage.Task, run_id: str, map_index: int) -> cluster.LivePod:
    try:
        namespace = teams.load(task.team, catalog.root()).namespace
    except K8sVaultError as error:
        return cluster.LivePod(None, [], str(error))
    return cluster.find(namespace, task.dag_id, task.task_id, run_id, map_index)


def _record(dag_id: str, run_id: str, task_id: str, map_index: int) -> Mapping[str, Any] | None:
    result = select(TaskStateStoreModel.value).join(DagRun, DagRun.id == TaskStateStoreModel.dag_run_id)
    result = result.where(
        DagRun.dag_id == dag_id,
        DagRun.run_id == run_id,
        TaskStateStoreModel.task_id == task_id,
        TaskStateStoreModel.map_index == map_index,
        TaskStateStoreModel.key == RECORD_KEY,
    )
    with create_session() as session:
        text = session.scalar(result)
    try:
        record = json_text.read(text) if text else None
    except ValueError:
        return None
    return record if isinstance(record, Mapping) else None
