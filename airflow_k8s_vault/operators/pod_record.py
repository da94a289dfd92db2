"""What a task writes down of its pod, for the page in Airflow's UI: names, references and times, and no value.

In Airflow's task state store, which belongs to the task instance, outlives its pod and goes with the run. Not in
XCom, which is for other tasks, nor in the rendered fields, which Airflow writes before the pod is there
(docs/decisions/0009). Writing it never makes a task fail.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from airflow.sdk.exceptions import AirflowFailException, TaskDeferred

from airflow_k8s_vault import metrics
from airflow_k8s_vault.delivery import steps_of
from airflow_k8s_vault.errors import K8sVaultError
from airflow_k8s_vault.operators.build import manifest_of
from airflow_k8s_vault.templates import PodTemplate
from airflow_k8s_vault.vault_secret import VaultSecret

KEY = "k8s_vault_pod"
RETENTION = timedelta(days=30)
# Airflow's limit of a value in the state store is 64 KiB, and a page has to show it.
_LONGEST_MANIFEST_BYTES = 40_000
_LONGEST_REASON = 2000


@contextmanager
def recorded(task: Any, context: Any) -> Iterator[None]:
    """Write down how the pod's run ended, and count it, whatever it raises."""
    try:
        yield
    except TaskDeferred:
        raise
    except Exception as error:
        _ended(task, context, error)
        raise
    else:
        _ended(task, context, None)


def started(task: Any, context: Any, sent: Mapping[str, Any]) -> None:
    """Write down the pod that was just created; sent: its manifest, with its name."""
    decision = task._decision
    tags = {"team": decision.template.team.name, "delivery": decision.delivery or "none"}
    metrics.count("k8s_vault.delivery.started", **tags)
    write(context, of_start(sent, decision.template, decision.delivery or "", decision.secrets, context), task.log)


def _ended(task: Any, context: Any, error: Exception | None) -> None:
    decision, seen = vars(task).get("_decision"), vars(task).get("_last_seen")
    if decision is None:
        return
    pod = manifest_of(seen) if seen is not None else None
    tags = {"team": decision.template.team.name, "delivery": decision.delivery or "none"}
    if error is not None:
        cause = metrics.cause_of(error.__cause__ or error)
        metrics.count("k8s_vault.delivery.failed", **tags, cause=cause)
    if pod is not None and (milliseconds := _ready_milliseconds(pod, task.base_container_name)) is not None:
        metrics.time("k8s_vault.delivery.ready_ms", milliseconds, **tags)
    if record := read(context):
        write(context, of_end(record, pod, task.base_container_name, _reason(error)), task.log)


def _reason(error: Exception | None) -> str:
    """Return what is written down of an error: all of ours, which names no value; of others, which may quote the
    pod's log, the first line."""
    if error is None:
        return ""
    ours = isinstance(error, K8sVaultError | AirflowFailException)
    return str(error) if ours else next(iter(str(error).splitlines()), type(error).__name__)


def _ready_milliseconds(pod: Mapping[str, Any], base: str) -> float | None:
    times = {step.name: step.at for step in steps_of(pod, base)}
    if "created" not in times or "main process started" not in times:
        return None
    begin, ready = (datetime.fromisoformat(times[name]) for name in ("created", "main process started"))
    return (ready - begin).total_seconds() * 1000


def of_start(
    pod: Mapping[str, Any], template: PodTemplate, delivery: str, secrets: Iterable[VaultSecret], context: Any
) -> dict[str, Any]:
    """Return the record of a pod that was just created; pod: its manifest as it was sent, with its name."""
    metadata = pod.get("metadata") or {}
    manifest = pod if len(json.dumps(pod)) <= _LONGEST_MANIFEST_BYTES else {"left out": "it is longer than 40 kB"}
    return {
        "pod_name": metadata.get("name"),
        "namespace": metadata.get("namespace"),
        "try_number": getattr(context.get("ti"), "try_number", None),
        "template_version": version(template),
        "delivery": delivery,
        "role": template.team.vault_role if delivery else "",
        "credentials": [line for secret in secrets for line in _credentials(secret)],
        "manifest": manifest,
        "steps": [],
        "failure": "",
    }


def of_end(record: Mapping[str, Any], pod: Mapping[str, Any] | None, base: str, failure: str) -> dict[str, Any]:
    """Return the record with the steps of the ended pod, and why it failed, in the task's own words."""
    taken = [list(step) for step in steps_of(pod, base)] if pod is not None else record.get("steps", [])
    return {**record, "steps": taken, "failure": failure[:_LONGEST_REASON]}


def version(template: PodTemplate) -> str:
    """Return twelve characters that change with any file that the template is made of."""
    return sha256("\0".join(template.texts()).encode()).hexdigest()[:12]


def write(context: Any, record: Mapping[str, Any], log: Any) -> None:
    """Write the record; where there is no state store, or it does not answer, the task goes on."""
    store = context.get("task_state_store") if context else None
    if store is None:
        return
    try:
        store.set(KEY, dict(record), retention=RETENTION)
    except Exception as error:
        log.debug("The pod's record for Airflow's page could not be written (%s).", type(error).__name__)


def read(context: Any) -> dict[str, Any]:
    """Return the record that was written last, {} where there is none."""
    store = context.get("task_state_store") if context else None
    try:
        result = store.get(KEY) if store is not None else None
    except Exception:
        return {}
    return result if isinstance(result, dict) else {}


def _credentials(secret: VaultSecret) -> list[dict[str, str]]:
    common = {"path": secret.path, "container": secret.container or "base"}
    return [{**common, "target": target, "key": key} for target, key in secret.targets.items()]
