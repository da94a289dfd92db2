"""One real task of a team: the whole way that a task goes, made as Airflow's worker makes it."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property, partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

from airflow_k8s_vault import VaultPodOperator, VaultSecret, causes, config
from airflow_k8s_vault.compile import Source
from airflow_k8s_vault.doctor.check import Check, Outcome
from airflow_k8s_vault.doctor.kube import DEFAULT_CONNECTION, Answer, Kube
from airflow_k8s_vault.templates import template_folder

_LONGEST = timedelta(minutes=3)
# Until the pod has its credentials, or will not get them.
_STARTUP_SECONDS = 90


class Ran(NamedTuple):
    """What became of a task. message: of its failure, "" where it succeeded; lacks: the right that it took."""

    message: str
    lacks: str = ""

    @property
    def step(self) -> str:
        """Return the code that the message ends with, "" where it names none."""
        return causes.step_of(self.message)


def checks(kube: Kube, sources: list[Source], canary: str) -> Iterator[Check]:
    """Yield a check of each team and delivery.

    canary: a KV 2 path and key ("secret/x/canary:value") for the team whose ceiling has it, or "".
    """
    for source in sources:
        for delivery in source.deliveries:
            about = f"{source.team.name}, delivery {delivery}"
            after = ("CLUSTER-REACHED", "CLUSTER-NAMESPACE", "CLUSTER-ACCOUNT", "VAULT-LOGIN")
            yield Check(
                "POD-DELIVERY", partial(_ran, kube, source, delivery, canary), about, source.team.name, after
            )


def _ran(kube: Kube, source: Source, delivery: str, canary: str) -> Outcome:
    if "cmds" not in source.team.overridable:
        message = f"team '{source.team.name}' does not leave cmds open, and its own commands may do anything."
        return Outcome("unknown", message)
    path, _, key = canary.partition(":")
    secrets = [VaultSecret(path, file="canary", key=key or None)] if source.team.allows_path(path) else []
    ran = run(
        kube, source, secrets, delivery, ["sh", "-c", "test -s /vault/secrets/canary" if secrets else "true"]
    )
    if ran.lacks:
        return Outcome("unknown", ran.lacks)
    return Outcome.of([ran.message] if ran.message else [])


def run(
    kube: Kube, source: Source, secrets: Sequence[VaultSecret], delivery: str, cmds: list[str] | None = None
) -> Ran:
    """Run a task of the team's first template, as Airflow's worker: only that may make the team's pods."""
    worker = source.worker.user
    try:
        kube.acting_as(worker).get("/version")
    except Answer as error:
        if error.status != 403:
            raise
        account = source.worker
        whom = (
            f"serviceaccounts '{account.name}' in {account.namespace}"
            if account.namespace
            else f"users '{worker}'"
        )
        return Ran("", f"whoever runs this needs the right: impersonate {whom}.")
    available = template_folder(Path(config.get("templates_dir")).absolute()).available(source.team.name)
    arguments: dict[str, Any] = {"cmds": cmds} if cmds else {}
    arguments |= {"kubernetes_conn_id": kube.conn_id} if kube.conn_id != DEFAULT_CONNECTION else {}
    try:
        # What the operator logs is a task's log, and no line of this report.
        with contextlib.redirect_stdout(io.StringIO()), _without_log():
            task = _operator("" if worker == kube.user else worker)(
                task_id="k8s_vault_doctor",
                pod_template=f"{source.team.name}/{available[0]}",
                vault_secrets=list(secrets),
                delivery=delivery,
                execution_timeout=_LONGEST,
                startup_timeout_seconds=_STARTUP_SECONDS,
                dag=_dag(),
                **arguments,
            )
            task.execute(_context(task))
    except Exception as error:
        # An operator's errors name keys and paths, never a value.
        return Ran(str(error))
    return Ran("")


def _operator(impersonated: str) -> type[VaultPodOperator]:
    class AsWorker(VaultPodOperator):
        @cached_property
        def client(self) -> Any:
            made = super().client
            if impersonated:
                made.api_client.set_default_header("Impersonate-User", impersonated)
            return made

    return AsWorker


@contextlib.contextmanager
def _without_log() -> Iterator[None]:
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


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
