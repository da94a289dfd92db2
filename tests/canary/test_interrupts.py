"""A signal may strike at any line of the hand-over: no value is in what an error tracker would send then."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from kubernetes import config
from kubernetes.client import CoreV1Api

from airflow_k8s_vault.delivery import REQUEST_ANNOTATION, VaultLogin, attempts
from airflow_k8s_vault.errors import DeliveryUnavailable
from airflow_k8s_vault.handover import Handover, handover
from tests.canary import values
from tests.faults.fault_environment import ALL, NAMESPACE, FaultEnvironment
from tests.faults.fault_proxy import Fault
from tests.faults.worker import context
from tests.frames import Strike, Struck, shown

pytestmark = pytest.mark.integration

# `make faults` strikes at each line, which takes a minute.
EVERY = int(os.environ.get("K8S_VAULT_TEST_STRIKE_EVERY", "7"))


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultEnvironment]:
    with FaultEnvironment(tmp_path_factory.mktemp("environment")) as made:
        yield made


class Pods:
    """Pods that wait for their credentials. `shown` is what of all errors so far holds a value in play."""

    def __init__(self, environment: FaultEnvironment) -> None:
        self._environment = environment
        operator = environment.operator(delivery="secret")
        pod = operator.build_pod_request_obj(context(operator))
        self._request = pod.metadata.annotations[REQUEST_ANNOTATION]
        self._text = json.dumps(environment.core.api_client.sanitize_for_serialization(pod))
        self._number = 0
        self._core = CoreV1Api(config.new_client_from_config(os.environ["K8S_VAULT_TEST_WORKER_KUBECONFIG"]))
        self.shown: list[tuple[str, str]] = []
        self.in_play: dict[str, set[str]] = {}
        environment.vault.exchanges, environment.kube.exchanges = [], []

    def new(self) -> Any:
        self._number += 1
        pod = json.loads(self._text.replace(self._request, f"{self._number:010x}"))
        pod["metadata"]["name"] = f"struck-{self._number}"
        return self._environment.core.create_namespaced_pod(NAMESPACE, pod)

    def handover(self) -> Handover:
        return Handover(self._core, VaultLogin.of_role("payments"), ALL, "base", 600)

    def keep(self, where: str, error: BaseException) -> None:
        exchanges = [*(self._environment.vault.exchanges or ()), *(self._environment.kube.exchanges or ())]
        self.in_play = dict(values.in_play(exchanges, self._environment.servers.canary))
        sought = {value for kind in self.in_play.values() for value in kind}
        self.shown += [(where, text) for text in shown(error) if any(value in text for value in sought)]


def struck_at_lines(pods: Pods, work: Callable[[], None]) -> int:
    """Do the work again and again, struck at another of its lines each time; return at how many it was."""
    struck = 0
    for number in itertools.count(0, EVERY):
        with Strike(number) as strike:
            try:
                work()
            except BaseException as error:
                pods.keep(strike.lines[-1], error)
                struck += isinstance(error, Struck)
        if len(strike.lines) <= number:
            break
    return struck


def test_every_line_of_a_delivery_and_its_end_runs_below_a_guard(environment: FaultEnvironment) -> None:
    pods = Pods(environment)
    pod, made = pods.new(), pods.handover()
    with Strike(None) as strike:
        made.deliver(pod)
        made.resume(pod)
        made.end(keeps_pod=True)
        made.discard(pod)
    environment.clean()

    assert strike.unguarded == []
    assert len(strike.lines) > 330


def test_a_strike_at_any_line_of_a_delivery_leaves_no_value_in_the_frames(
    environment: FaultEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    pods = Pods(environment)
    # What follows a strike takes longer than all before it, and is struck in the next test.
    monkeypatch.setattr(Handover, "discard", lambda self, pod: None)

    struck = struck_at_lines(pods, lambda: pods.handover().deliver(pods.new()))
    environment.clean()

    assert pods.shown == []
    assert struck > 250 / EVERY
    assert all(pods.in_play.values()), pods.in_play


def test_a_strike_at_any_line_of_the_end_leaves_no_value_in_the_frames(environment: FaultEnvironment) -> None:
    pods = Pods(environment)
    pod = pods.new()
    pods.handover().deliver(pod)

    def come_after_it() -> None:
        handover = pods.handover()
        handover.resume(pod)
        handover.end(keeps_pod=False)

    struck = struck_at_lines(pods, come_after_it)
    environment.clean()

    assert pods.shown == []
    assert struck > 80 / EVERY


@pytest.mark.parametrize("answer", ["POST .*/login", "GET .*/creds/", "GET .*/data/", "POST .*/token$"])
def test_an_answer_that_is_cut_off_leaves_no_value_in_the_frames(
    environment: FaultEnvironment, answer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pods = Pods(environment)
    monkeypatch.setattr(attempts, "_WAITS_SECONDS", (0.01,))
    monkeypatch.setattr(handover, "settings_of", partial(handover.settings_of, deadline_seconds=1))
    environment.vault.faults = [Fault(answer, "half", None)]
    environment.kube.faults = [Fault(answer, "half", None)]
    error = None
    try:
        pods.handover().deliver(pods.new())
    except DeliveryUnavailable as raised:
        error = raised
    finally:
        environment.vault.reset()
        environment.kube.reset()
    assert error is not None
    pods.keep(answer, error)
    environment.clean()

    assert pods.shown == []
    assert any(pods.in_play.values()), pods.in_play
