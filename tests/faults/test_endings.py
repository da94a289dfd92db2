"""Whatever way a task ends, its credentials end with its pod."""

from __future__ import annotations

import pytest

from airflow_k8s_vault.delivery import REQUEST_ANNOTATION
from airflow_k8s_vault.delivery.secret import LABEL
from airflow_k8s_vault.handover import handover
from tests.faults import endings
from tests.faults.case import Case
from tests.faults.endings import AT_ONCE, SHORT
from tests.faults.fault_environment import NAMESPACE, FaultEnvironment
from tests.faults.worker import Dying, WatchedOperator, run, wait_until

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("case", [case for case in endings.cases() if not case.slow], ids=lambda case: case.id)
def test_credentials_end_with_the_pod(environment: FaultEnvironment, case: Case) -> None:
    row = case.run(environment)

    assert row.errors == []


def left_gated(environment: FaultEnvironment) -> WatchedOperator:
    """Return a task whose worker died in the middle of the hand-over."""
    operator = environment.operator(delivery="secret")
    operator.at_step = Dying("login kept")
    assert run(operator).outcome()[0] == "killed"
    return operator


def left_ended(environment: FaultEnvironment) -> WatchedOperator:
    """Return a task whose worker died while its pod ran; the pod has come to its own end since."""
    operator = environment.operator(delivery="secret", **SHORT)
    worker = run(operator)
    name = wait_until(lambda: environment.running(operator))["metadata"]["name"]
    worker.kill()
    worker.outcome()
    wait_until(lambda: environment.core.read_namespaced_pod(name, NAMESPACE).status.phase == "Succeeded")
    return operator


def another_task(environment: FaultEnvironment) -> list[str]:
    """Run one to its end; return the requests that its worker sent."""
    environment.kube.done = []
    assert run(environment.operator(delivery="secret")).outcome() == ("ok", None)
    return list(environment.kube.done)


def test_the_next_hand_over_ends_what_was_left_once_it_is_old_enough(
    environment: FaultEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment.begin()
    left_gated(environment)
    left_ended(environment)
    both = "2 pod, 3 Secret, 2 token, 1 role, 1 certificate"

    another_task(environment)
    young = str(environment.traces(until=both))
    monkeypatch.setattr(handover, "ABANDONED_SECONDS", AT_ONCE)
    another_task(environment)
    old = str(environment.traces(until="1 pod"))
    environment.clean()

    assert (both, "1 pod") == (young, old)


def test_an_ended_pod_is_looked_at_in_one_sweep_only(
    environment: FaultEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment.begin()
    meta = environment.pods_of(left_ended(environment))[0]["metadata"]
    monkeypatch.setattr(handover, "ABANDONED_SECONDS", AT_ONCE)

    seen = []
    for _ in range(2):
        requests = another_task(environment)
        about_it = [request for request in requests if meta["annotations"][REQUEST_ANNOTATION] in request]
        seen.append(about_it + [request for request in requests if meta["name"] in request])
    label = environment.core.read_namespaced_pod(meta["name"], NAMESPACE).metadata.labels[LABEL]
    environment.clean()

    # Read the login, delete both Secrets, label the pod.
    assert ("ended", 4, 0) == (label, len(seen[0]), len(seen[1])), seen
