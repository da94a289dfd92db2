"""What can happen while a task is deferred: the API server, the network, and the triggerer itself."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from tests.faults.case import Case, after
from tests.faults.endings import DELIVERIES, HELD
from tests.faults.fault_environment import FaultEnvironment
from tests.faults.fault_proxy import Fault
from tests.faults.outages import LEASE
from tests.faults.worker import Process, WatchedOperator, resume, run, trigger, triggerer, wait_until

WATCH = "GET .*watch=1"
DOWN_SECONDS, PARTITION_SECONDS = 5, 60
# Beside the case's own.
OTHER_TASKS = 2


def cases() -> Iterator[Case]:
    both: dict[str, Any] = {"mode": "deferrable", "slow": True}
    for delivery in DELIVERIES:
        yield Case("API server restarted while deferred", delivery, restarted, operator=HELD, **both)
        yield Case("watch has expired (410) while deferred", delivery, expired, operator=HELD, **both)
        yield Case("partition of 60 s while deferred", delivery, partitioned, operator=HELD, **both)
        count = OTHER_TASKS + 1
        name = "triggerer killed, and all of its triggers taken over by another"
        yield Case(name, delivery, taken_over, logins=count, leases=count, operator=HELD, **both)
        late = {"pod_template": "payments/held", "schedule_timeout_seconds": 2}
        # Of a gated pod the worker has logged in, and ends that.
        logged_in = {"logins": 0, "leases": 0} if delivery == "agent" else {}
        name = "not scheduled in time, deferred"
        yield Case(name, delivery, not_scheduled, ends="failed", ran=False, operator=late, **logged_in, **both)
    yield Case("slow start, deferred: its events are logged", "agent", events_logged, **both)
    lines = {**HELD, "logging_interval": 1}
    yield Case("log each logging_interval while deferred", "agent", logs_fetched, operator=lines, **both)


def _deferred(environment: FaultEnvironment, operator: WatchedOperator) -> Process:
    """Start a task; return its triggerer, once that watches and the main process runs."""
    serialized = run(operator).outcome()[1]
    watching = trigger(serialized)
    wait_until(lambda: environment.running(operator) and environment.kube.count(WATCH))
    return watching


def _end(environment: FaultEnvironment, operator: WatchedOperator) -> None:
    """Let the main process end, and wait until the cluster knows of it."""
    environment.run_in(environment.pods_of(operator)[0]["metadata"]["name"], "base", "touch /tmp/end")
    wait_until(lambda: environment.running(operator) is None)


def restarted(environment: FaultEnvironment, operator: WatchedOperator) -> tuple[str, Any]:
    watching = _deferred(environment, operator)
    environment.kube.faults = [Fault(".*", "cut", None)]
    environment.kube.restart()
    _end(environment, operator)
    time.sleep(DOWN_SECONDS)
    environment.kube.faults = []
    return after(operator, watching)


def expired(environment: FaultEnvironment, operator: WatchedOperator) -> tuple[str, Any]:
    """etcd was compacted while the watch was broken: where it was is not known any more."""
    watching = _deferred(environment, operator)
    gone = Fault(WATCH, 410)
    environment.kube.faults = [Fault(WATCH, "cut", None)]
    environment.kube.restart()
    _end(environment, operator)
    environment.kube.faults = [gone]
    ended = after(operator, watching)
    assert gone.times == 0
    return ended


def partitioned(environment: FaultEnvironment, operator: WatchedOperator) -> tuple[str, Any]:
    watching = _deferred(environment, operator)
    with environment.kube.partition():
        _end(environment, operator)
        time.sleep(PARTITION_SECONDS)
    return after(operator, watching)


def taken_over(environment: FaultEnvironment, operator: WatchedOperator) -> tuple[str, Any]:
    """Some pods end while nobody watches, and one when somebody does again."""
    given: dict[str, Any] = {"delivery": operator.delivery, "deferrable": True, **HELD}
    tasks = [operator, *(environment.operator(**given) for _ in range(OTHER_TASKS))]
    rows = [run(task).outcome()[1] for task in tasks]
    first = triggerer(rows)
    wait_until(lambda: all(map(environment.running, tasks)) and environment.kube.count(WATCH))
    first.kill()
    first.outcome()
    for task in tasks[1:]:
        _end(environment, task)
    seen = environment.kube.count(WATCH)
    second = triggerer(rows)
    wait_until(lambda: environment.kube.count(WATCH) > seen)
    _end(environment, operator)
    state, events = second.outcome()
    assert state == "ok", events
    outcomes = [resume(task, event).outcome() for task, event in zip(tasks, events, strict=True)]
    return next((outcome for outcome in outcomes if outcome[0] != "ok"), outcomes[0])


def not_scheduled(environment: FaultEnvironment, operator: WatchedOperator) -> tuple[str, Any]:
    state, event = trigger(run(operator).outcome()[1]).outcome()
    assert (state, event["status"]) == ("ok", "timeout"), event
    return resume(operator, event).outcome()


def events_logged(environment: FaultEnvironment, operator: WatchedOperator) -> tuple[str, Any]:
    """Vault is slow, so that the start is."""
    environment.vault.faults = [Fault(LEASE, 3.0)]
    log = Path(os.environ["K8S_VAULT_TEST_WORKER_LOG"])
    seen = log.stat().st_size
    serialized = run(operator).outcome()[1]
    with mock.patch.dict(os.environ, {"K8S_VAULT_TEST_DEBUG": "1"}):
        watching = trigger(serialized)
    ended = after(operator, watching)
    assert "The Pod has an Event: " in log.read_text(errors="replace")[seen:]
    return ended


def logs_fetched(environment: FaultEnvironment, operator: WatchedOperator) -> tuple[str, Any]:
    watching = _deferred(environment, operator)
    wait_until(lambda: environment.kube.count("GET .*/log.*container=base") >= 2)
    _end(environment, operator)
    return after(operator, watching)
