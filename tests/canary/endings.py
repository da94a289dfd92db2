"""Tasks with secrets that end in every kind of way, looked at while they run."""

from __future__ import annotations

import signal
from datetime import timedelta
from typing import Any

from airflow_k8s_vault import VaultSecret
from tests.canary import pods
from tests.canary.machine import keep_all
from tests.faults.case import finish
from tests.faults.endings import LONG
from tests.faults.fault_environment import ALL, HAS_ALL, NAMESPACE, FaultEnvironment
from tests.faults.fault_proxy import Fault
from tests.faults.worker import Dying, WatchedOperator, run, trigger, wait_until

NO_SUCH_KEY = VaultSecret("secret/payments/partner", env={"X": "no_such_key"})
XCOM = 'mkdir -p /airflow/xcom && echo \'{"who": "pod"}\' > /airflow/xcom/return.json'
DELIVERIES = ("agent", "secret")
Ended = dict[str, tuple[str, Any]]
REFUSED_SECRET = "the API refuses the Secret"
TIMED_OUT = "execution_timeout in the hand-over"
# Delivery `agent` has no hand-over.
OF_SECRET = (REFUSED_SECRET, TIMED_OUT)
# How each has to end: the worker's outcome, and a part of what it said.
EXPECTED = {
    "success, sync": ("ok", ""),
    "success, deferred": ("ok", ""),
    "success with XCom": ("ok", "pod"),
    "failure, sync": ("failed", "ended with exit code 3"),
    "failure, deferred": ("failed", "ended with exit code 3"),
    "execution_timeout": ("failed", ""),
    "a key that is not there": ("failed", "no_such_key"),
    "refused": ("failed", "refused role"),
    "Vault answers 500": ("failed", "DeliveryUnavailable"),
    "retry": ("ok", ""),
    "ended by a user, sync": ("failed", ""),
    "ended by a user, deferred": ("ok", ""),
    REFUSED_SECRET: ("failed", "refused to create Secret"),
    TIMED_OUT: ("failed", "AirflowTaskTimeout"),
}


def all_of(environment: FaultEnvironment, delivery: str) -> Ended:
    """Run a task to each kind of end and return how it ended."""
    ended = _side_by_side(environment, delivery)
    ended |= _alone(environment, delivery)
    _looked_at(environment, delivery, ended)
    return ended


def _task(environment: FaultEnvironment, delivery: str, script: str = "true", **arguments: Any) -> WatchedOperator:
    return environment.operator(**{"script": script, "delivery": delivery, **arguments})


def _side_by_side(environment: FaultEnvironment, delivery: str) -> Ended:
    tasks = {
        "success, sync": _task(environment, delivery),
        "success, deferred": _task(environment, delivery, deferrable=True),
        "success with XCom": _task(environment, delivery, XCOM, do_xcom_push=True),
        "failure, sync": _task(environment, delivery, "exit 3"),
        "failure, deferred": _task(environment, delivery, "exit 3", deferrable=True),
        "execution_timeout": _task(environment, delivery, **LONG, execution_timeout=timedelta(seconds=8)),
        "a key that is not there": _task(environment, delivery, secrets=[*ALL, NO_SUCH_KEY]),
    }
    started = {name: run(operator) for name, operator in tasks.items()}
    return {name: finish(tasks[name], process) for name, process in started.items()}


def _alone(environment: FaultEnvironment, delivery: str) -> Ended:
    """What changes Vault, or needs two tries."""
    ended = {}
    for name, status in (("refused", 403), ("Vault answers 500", 500)):
        environment.vault.faults = [Fault("/login", status, None)]
        ended[name] = run(_task(environment, delivery)).outcome()
        environment.vault.faults = []
    if delivery == "secret":
        environment.kube.faults = [Fault(r"POST .*/secrets(\?|$)", 403, None)]
        ended[REFUSED_SECRET] = run(_task(environment, delivery)).outcome()
        environment.kube.faults = []
        late = _task(environment, delivery)
        late.at_step = Dying("read", lambda: signal.raise_signal(signal.SIGALRM))
        ended[TIMED_OUT] = run(late).outcome()
    # The second try is the same task but for its end: else its pod would not be this task's (decision 0008).
    again = _task(environment, delivery, "exit 3" if delivery == "agent" else "true")
    # `agent` has no steps: its first try fails.
    again.at_step = Dying("secret")
    run(again).outcome()
    again.at_step = lambda step: None
    again.cmds = ["sh", "-c", f"{HAS_ALL} && true"]
    ended["retry"] = run(again, try_number=2).outcome()
    return ended


def _looked_at(environment: FaultEnvironment, delivery: str, ended: Ended) -> None:
    """Two pods with secrets and one without are looked at from everywhere, then a user ends the tasks."""
    deferred = _task(environment, delivery, **LONG, deferrable=True, do_xcom_push=True)
    sync = _task(environment, delivery, **LONG, pod_template="payments/beside")
    starting, process = run(deferred), run(sync)
    serialized = starting.outcome()[1]
    with pods.running(environment, {"name": "base", "command": pods.WAITS}) as stranger:
        names = [
            wait_until(lambda task=task: environment.running(task))["metadata"]["name"]
            for task in (deferred, sync)
        ]
        keep_all(environment)
        for pod, container in zip((*names, stranger), ("airflow-xcom-sidecar", "beside", "base"), strict=True):
            pods.look(environment, pod, container)
    ended["ended by a user, deferred"] = trigger(serialized, then="on_kill").outcome()
    process.kill(signal.SIGTERM)
    ended["ended by a user, sync"] = process.outcome()
    # Airflow's sidecar ignores SIGTERM: its pod would take the 30 s that it has.
    environment.core.delete_collection_namespaced_pod(NAMESPACE, grace_period_seconds=2)
    wait_until(lambda: not environment.core.list_namespaced_pod(NAMESPACE).items)
