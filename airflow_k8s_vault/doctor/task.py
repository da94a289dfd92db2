"""One real task of each team and delivery: the whole way that a task goes, with a canary secret or none."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from airflow_k8s_vault import VaultPodOperator, VaultSecret, config
from airflow_k8s_vault.compile import Source
from airflow_k8s_vault.doctor.check import Check, Outcome
from airflow_k8s_vault.templates.folder import folder

_LONGEST = timedelta(minutes=3)


def checks(sources: list[Source], canary: str) -> Iterator[Check]:
    """Yield a check of each team and delivery. canary: a KV 2 path and key ("secret/x/canary:value"), or ""."""
    for source in sources:
        for delivery in source.deliveries:
            about = f"{source.team.name}, delivery {delivery}"
            after = ("CLUSTER-REACHED", "CLUSTER-NAMESPACE", "CLUSTER-ACCOUNT", "VAULT-LOGIN")
            run = partial(_ran, source, delivery, canary)
            yield Check("POD-DELIVERY", run, about, source.team.name, after)


def _ran(source: Source, delivery: str, canary: str) -> Outcome:
    team = source.team
    if "cmds" not in team.overridable:
        return Outcome(
            "unknown", f"team '{team.name}' does not leave cmds open, and its own commands may do anything."
        )
    path, _, key = canary.partition(":")
    secrets = [VaultSecret(path, file="canary", key=key or None)] if canary else []
    available = folder(Path(config.get("templates_dir")).absolute()).available(team.name)
    try:
        # What the operator logs is a task's log, and no line of this report.
        with contextlib.redirect_stdout(sys.stderr):
            task = VaultPodOperator(
                task_id="k8s_vault_doctor",
                pod_template=f"{team.name}/{available[0]}",
                vault_secrets=secrets,
                delivery=delivery,
                execution_timeout=_LONGEST,
                cmds=["sh", "-c", "test -s /vault/secrets/canary" if secrets else "true"],
                dag=_dag(),
            )
            task.execute(_context(task))
    except Exception as error:
        # An operator's errors name keys and paths, never a value.
        return Outcome.of([str(error)])
    return Outcome("success")


def _dag() -> Any:
    from airflow.sdk import DAG

    return DAG("k8s_vault_doctor", schedule=None)


def _context(task: Any) -> dict[str, Any]:
    run_id = f"doctor__{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}"
    ti = SimpleNamespace(
        dag_id=task.dag.dag_id,
        task_id=task.task_id,
        run_id=run_id,
        try_number=1,
        map_index=-1,
        start_date=datetime.now(UTC),
        xcom_push=lambda *_, **__: None,
    )
    return {"ti": ti, "run_id": run_id, "dag": task.dag}
