"""The ways a task can end, each for both deliveries, sync and deferrable where that makes a difference."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from unittest import mock

from kubernetes.client import ApiException

from airflow_k8s_vault.handover import handover
from tests.faults.case import Case, finish, whole
from tests.faults.fault_environment import HAS_ALL, NAMESPACE, FaultEnvironment
from tests.faults.fault_proxy import Fault
from tests.faults.worker import Dying, Process, WatchedOperator, resume, run, trigger, wait_until

DELIVERIES, MODES = ("agent", "secret"), ("sync", "deferrable")
# A process 1 without a handler ignores SIGTERM, and its pod would take 30 s to end.
LONG = {"cmds": ["sh", "-c", f"{HAS_ALL} && {{ trap 'exit 143' TERM; sleep 60 & wait; }}"]}
SHORT = {"cmds": ["sh", "-c", f"{HAS_ALL} && sleep 3"]}
# Runs until the case lets it end: see `let_end`.
HELD = {"cmds": ["sh", "-c", f"{HAS_ALL} && until [ -e /tmp/end ]; do sleep 0.05; done"]}
# After which step of the hand-over the worker dies, and how many pods, logins and leases there were in the end.
STEPS = {
    "pod": (2, 1, 1),
    "pod token": (2, 1, 1),
    "login": (2, 2, 1),
    "login kept": (2, 2, 1),
    "read": (2, 2, 2),
    "secret": (2, 2, 2),
    "gate": (1, 1, 1),
}
# Less than any age of an abandoned pod: times are in whole seconds.
AT_ONCE = -1
# How long a login lives in the case where only its TTL can end it.
SHORT_TTL_SECONDS = 4
# With delivery `secret` the login lives as long as the task may run.
SHORT_LIMIT = timedelta(seconds=10)


# What shows once more what another case shows, with the other delivery or in the other mode.
_REPEATED = {
    "success": {("agent", "deferrable"), ("secret", "sync")},
    "failure": {("agent", "deferrable"), ("secret", "sync")},
    "execution_timeout": {("agent", "sync"), ("secret", "deferrable")},
    "pod deleted from outside": {("agent", "sync"), ("secret", "deferrable")},
    "pod evicted": {("agent", "deferrable"), ("secret", "sync")},
    "ended by a user": {("agent", "sync"), ("secret", "sync")},
    "triggerer killed": {("agent", "deferrable")},
    "worker killed before its pod is created": {("secret", "sync")},
    "worker killed after step 'pod'": {("secret", "sync")},
    "worker killed after step 'pod token'": {("secret", "sync")},
    "worker killed after step 'login kept'": {("secret", "sync")},
    "worker killed after step 'read'": {("secret", "sync")},
}


def cases() -> Iterator[Case]:
    """Yield all cases; the slow ones are for `make faults` alone."""
    for case in _all_cases():
        repeated = (case.delivery, case.mode) in _REPEATED.get(case.name, set())
        yield replace(case, slow=case.slow or repeated)


def _all_cases() -> Iterator[Case]:
    for delivery in DELIVERIES:
        for mode in MODES:
            yield Case("success", delivery, whole, mode)
            yield Case(
                "failure", delivery, whole, mode, "failed", operator={"cmds": ["sh", "-c", f"{HAS_ALL} && exit 3"]}
            )
            limit = {**LONG, "execution_timeout": timedelta(minutes=5)}
            ends = "failed"
            yield Case("execution_timeout", delivery, timed_out, mode, ends, operator=limit)
            yield Case("pod deleted from outside", delivery, deleted, mode, "failed", operator=LONG)
            yield Case("pod evicted", delivery, evicted, mode, "failed", operator=LONG)
        yield Case("ended by a user", delivery, ended_by_user, "sync", "failed", operator=LONG)
        well = {"cmds": ["sh", "-c", f"{HAS_ALL} && {{ trap 'exit 0' TERM; sleep 60 & wait; }}"]}
        name = "ended by a user, and its pod ends well"
        yield Case(name, delivery, ended_by_user, "sync", "failed", operator=well)
        yield Case("ended by a user", delivery, ended_by_user_deferred, "deferrable", operator=LONG)
        yield Case("triggerer killed", delivery, triggerer_killed, "deferrable", operator=HELD)
        yield Case("worker killed while the pod runs", delivery, killed_running, operator=HELD)
        # The ended pod itself stays, as with any pod of a worker that died; what the worker made for it goes with
        # it, or before: see the next case.
        limit = {**LONG, "execution_timeout": timedelta(minutes=5) if delivery == "agent" else SHORT_LIMIT}
        stays = "1 pod" if delivery == "agent" else "1 pod, 2 Secret"
        name = "worker killed, no other try"
        yield Case(
            name,
            delivery,
            killed_for_good,
            "sync",
            "killed",
            leaves=stays,
            slow=delivery == "secret",
            operator=limit,
        )
    name = "worker killed, no other try; another task's hand-over"
    yield Case(name, "secret", killed_and_swept, "sync", "killed", leaves="1 pod", slow=True, operator=limit)
    for delivery in DELIVERIES:
        yield Case(
            "retry after a failure", delivery, retried, pods=2, logins=2, leases=2, slow=delivery == "agent"
        )
        yield Case("worker killed before its pod is created", delivery, killed_at("before the pod"))
    yield Case("worker killed when its pod is created", "agent", killed_at("with the pod"), operator=HELD)
    yield Case("worker killed when its pod has logged in", "agent", killed_logged_in, operator=HELD)
    name = "worker killed after step 'gate'"
    yield Case(name, "secret", killed_at("gate"), "deferrable", operator=HELD, slow=True)
    for step, (pods, logins, leases) in STEPS.items():
        yield Case(
            f"worker killed after step '{step}'",
            "secret",
            killed_at(step),
            pods=pods,
            logins=logins,
            leases=leases,
            operator=HELD if step == "gate" else {},
        )
    name = "worker killed after step 'gate', and the pod ends before the next try"
    yield Case(name, "secret", killed_at("gate", and_ended=True), pods=2, logins=2, leases=2)
    yield Case(
        "ended by a user during the login", "secret", ended_at("login"), "sync", "failed", leases=0, ran=False
    )
    name = "ended by a user during the login"
    yield Case(name, "agent", ended_at_a_late_login, "sync", "failed", leases=None, ran=False)
    yield Case("given up by Airflow when the trigger is done", "secret", given_up, "deferrable", leaves="1 pod")
    yield Case("Vault is gone when the pod ends", "secret", revocation_lost, within_seconds=120, slow=True)


def deleted(environment: FaultEnvironment, operator: WatchedOperator) -> tuple[str, Any]:
    process = run(operator)
    pod = wait_until(lambda: environment.running(operator))
    if operator.deferrable:
        watching = _watching(environment, process.outcome()[1])
        environment.core.delete_namespaced_pod(pod["metadata"]["name"], NAMESPACE)
        return resume(operator, watching.outcome()[1]).outcome()
    environment.core.delete_namespaced_pod(pod["metadata"]["name"], NAMESPACE)
    return process.outcome()


def _watching(environment: FaultEnvironment, serialized: tuple[str, dict[str, Any]]) -> Process:
    """Start a triggerer; return it when it has looked at the pod and at what belongs to it."""
    seen = environment.kube.count("GET ")
    watching = trigger(serialized)
    wait_until(lambda: environment.kube.count("GET ") > seen)
    if serialized[1]["request"]:
        wait_until(lambda: environment.kube.count("GET .*/secrets/vault-.*-login"))
    return watching


def evicted(environment: FaultEnvironment, operator: WatchedOperator) -> tuple[str, Any]:
    process = run(operator)
    name = wait_until(lambda: environment.running(operator))["metadata"]["name"]
    watching = _watching(environment, process.outcome()[1]) if operator.deferrable else None
    body = {"metadata": {"name": name, "namespace": NAMESPACE}}
    environment.core.create_namespaced_pod_eviction(name, NAMESPACE, body)
    if watching is None:
        return process.outcome()
    return resume(operator, watching.outcome()[1]).outcome()


def ended_by_user(environment: FaultEnvironment, operator: WatchedOperator) -> tuple[str, Any]:
    """Airflow's supervisor sends SIGTERM to the task; its pod's object is still there when the pod has ended."""
    process = run(operator)
    name = wait_until(lambda: environment.running(operator))["metadata"]["name"]
    with environment.kubelet(removalSeconds=3600):
        process.kill(signal.SIGTERM)
        outcome = process.outcome()
    with contextlib.suppress(ApiException):
        environment.core.delete_namespaced_pod(name, NAMESPACE, grace_period_seconds=0)
    return outcome


def timed_out(environment: FaultEnvironment, operator: WatchedOperator) -> tuple[str, Any]:
    """In the worker Airflow's alarm strikes once the main process runs; deferred, the pod's deadline does."""
    process = run(operator)
    pod = wait_until(lambda: environment.running(operator))
    if operator.deferrable:
        _hasten(environment, pod["metadata"]["name"])
        return finish(operator, process)
    process.kill(signal.SIGALRM)
    return process.outcome()


def _hasten(environment: FaultEnvironment, pod: str) -> None:
    """Let the kubelet end the pod now, as it would when the task's time is over."""
    path = "/spec/activeDeadlineSeconds"
    environment.core.patch_namespaced_pod(pod, NAMESPACE, [{"op": "replace", "path": path, "value": 1}])


def let_end(
    environment: FaultEnvironment, operator: WatchedOperator, watching: Process, request: str = "GET .*/log"
) -> Process:
    """Let the main process end once whoever watches has sent that request; return him."""
    seen = environment.kube.count(request)
    pod = wait_until(lambda: environment.running(operator))
    wait_until(lambda: environment.kube.count(request) > seen)
    environment.run_in(pod["metadata"]["name"], "base", "touch /tmp/end")
    return watching


def ended_by_user_deferred(environment: FaultEnvironment, operator: WatchedOperator) -> tuple[str, Any]:
    """Only the trigger's on_kill runs."""
    serialized = run(operator).outcome()[1]
    wait_until(lambda: environment.running(operator))
    return trigger(serialized, then="on_kill").outcome()


def triggerer_killed(environment: FaultEnvironment, operator: WatchedOperator) -> tuple[str, Any]:
    """Another triggerer takes the trigger over."""
    serialized = run(operator).outcome()[1]
    first = trigger(serialized)
    wait_until(lambda: environment.running(operator))
    first.kill()
    second = let_end(environment, operator, trigger(serialized), "GET ")
    return resume(operator, second.outcome()[1]).outcome()


def given_up(environment: FaultEnvironment, operator: WatchedOperator) -> tuple[str, Any]:
    """No worker comes after the trigger: its pod stays, and nothing that it could hold."""
    trigger(run(operator).outcome()[1]).outcome()
    return "ok", None


def killed_running(environment: FaultEnvironment, operator: WatchedOperator) -> tuple[str, Any]:
    first = run(operator)
    wait_until(lambda: environment.running(operator))
    first.kill()
    first.outcome()
    return finish(operator, let_end(environment, operator, run(operator, try_number=2)), 2)


def killed_for_good(environment: FaultEnvironment, operator: WatchedOperator) -> tuple[str, Any]:
    """Nobody comes after: the kubelet ends the pod when the task's time is over.

    With `agent` the pod ends its login itself; with `secret` the login lived no longer than the task might.
    """
    process = run(operator)
    name = wait_until(lambda: environment.running(operator))["metadata"]["name"]
    process.kill()
    if operator.delivery == "agent":
        _hasten(environment, name)
    wait_until(lambda: environment.core.read_namespaced_pod(name, NAMESPACE).status.phase == "Failed")
    return process.outcome()


def killed_and_swept(environment: FaultEnvironment, operator: WatchedOperator) -> tuple[str, Any]:
    """The next hand-over in the namespace, ten minutes later, takes away what was left: here, at once."""
    ended = killed_for_good(environment, operator)
    before = list(environment.vault.done)
    with mock.patch.object(handover, "ABANDONED_SECONDS", AT_ONCE):
        assert run(environment.operator(delivery="secret")).outcome()[0] == "ok"
    environment.vault.done = before  # the row counts this task's logins, not the other's
    return ended


def retried(environment: FaultEnvironment, operator: WatchedOperator) -> tuple[str, Any]:
    fails = operator.cmds
    operator.cmds = ["sh", "-c", "exit 1"]
    run(operator).outcome()
    operator.cmds = fails
    return run(operator, try_number=2).outcome()


def killed_at(step: str, *, and_ended: bool = False) -> Any:
    """The worker dies after a step of the hand-over; the task's next try finds what it left, or its ended pod."""

    def script(environment: FaultEnvironment, operator: WatchedOperator) -> tuple[str, Any]:
        if step == "login":
            environment.login_ttl(SHORT_TTL_SECONDS)
        operator.at_step = Dying(step)
        first = run(operator).outcome()
        assert first[0] == "killed", first
        if step == "login":
            environment.login_ttl(600)
        if and_ended:
            wait_until(lambda: {pod["status"]["phase"] for pod in environment.pods_of(operator)} == {"Succeeded"})
        operator.at_step = lambda step: None
        second = run(operator, try_number=2)
        if operator.cmds == HELD["cmds"]:
            second = let_end(environment, operator, second, "GET " if operator.deferrable else "GET .*/log")
        return finish(operator, second, 2)

    return script


def killed_logged_in(environment: FaultEnvironment, operator: WatchedOperator) -> tuple[str, Any]:
    """The pod goes on by itself, and the next try finds it."""
    first = run(operator)
    wait_until(environment.logins)
    first.kill()
    first.outcome()
    return let_end(environment, operator, run(operator, try_number=2)).outcome()


def ended_at(step: str) -> Any:
    """SIGTERM comes in the middle of the hand-over."""

    def script(environment: FaultEnvironment, operator: WatchedOperator) -> tuple[str, Any]:
        operator.at_step = Dying(step, operator.on_kill)
        return run(operator).outcome()

    return script


def ended_at_a_late_login(environment: FaultEnvironment, operator: WatchedOperator) -> tuple[str, Any]:
    """SIGTERM comes when Vault has granted the login and the agent does not know it yet."""
    environment.vault.faults = [Fault("/login", "late")]
    process = run(operator)
    wait_until(environment.logins)
    process.kill(signal.SIGTERM)
    return process.outcome()


def revocation_lost(environment: FaultEnvironment, operator: WatchedOperator) -> tuple[str, Any]:
    """The login lives as long as the task may run, and nobody could end it earlier."""
    operator.execution_timeout = timedelta(seconds=20)
    environment.vault.faults = [Fault("revoke-self", 500, None)]
    return run(operator).outcome()
