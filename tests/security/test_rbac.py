"""Workers and triggerer get along with exactly the rights that are compiled for them."""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from kubernetes import client, config

from airflow_k8s_vault import templates
from airflow_k8s_vault.delivery import VaultLogin, agent
from tests.canary.endings import XCOM
from tests.faults.case import finish
from tests.faults.endings import LONG, SHORT
from tests.faults.fault_environment import KEY, NAMESPACE, FaultEnvironment
from tests.faults.worker import Dying, resume, run, trigger, wait_until

pytestmark = pytest.mark.integration

VERBS = {"POST": "create", "PATCH": "patch", "DELETE": "delete"}
ACCOUNTS = {who: f"system:serviceaccount:airflow:airflow-{who}" for who in ("worker", "triggerer")}
_EVENTS = "GET .*/events"
Rights = dict[str, set[tuple[str, str]]]
# What is needed only where the other way cannot be had: a list without watch. And for `logging_interval`, of which
# tests/faults/deferred.py has a case.
FALLBACKS: Rights = {"worker": set(), "triggerer": {("pods", "list"), ("pods/log", "get")}}


@contextlib.contextmanager
def compiled_for(environment: FaultEnvironment, keys: str) -> Iterator[Rights]:
    """Apply what is compiled with these keys in the team's file; give the rights of worker and triggerer."""
    file = environment.servers.templates_dir / "payments/team.yaml"
    before = file.read_text()
    file.write_text(before.replace("deliveries: [agent, secret]", keys))
    try:
        environment.servers.setup.teams(environment.servers.templates_dir, ["payments"])
        rbac = client.RbacAuthorizationV1Api(environment.servers.api)
        yield {who: _granted(rbac.read_namespaced_role(f"airflow-{who}", NAMESPACE)) for who in ACCOUNTS}
    finally:
        file.write_text(before)
        environment.servers.setup.teams(environment.servers.templates_dir, ["payments"])


def _granted(role: client.V1Role) -> set[tuple[str, str]]:
    return {(resource, verb) for rule in role.rules for resource in rule.resources for verb in rule.verbs}


def used_by(environment: FaultEnvironment, who: str) -> set[tuple[str, str]]:
    return used([request for subject, request in environment.kube.done_by if subject == ACCOUNTS[who]])


def used(requests: list[str]) -> set[tuple[str, str]]:
    """Return resource and verb of each request, as RBAC names them."""
    matches = set()
    for request in requests:
        method, path = request.split(" ", 1)
        match = re.search(r"/namespaces/[^/]+/([a-z]+)(/[^/?]+)?(/[a-z]+)?(\?.*)?$", path)
        if match:
            reading = "watch" if "watch=" in path else "get" if match[2] else "list"
            matches.add((match[1] + (match[3] or ""), VERBS.get(method, reading)))
    if ("pods/exec", "get") in matches:
        # A websocket is opened by GET, and from Kubernetes 1.35 on needs the right to POST as well.
        matches.add(("pods/exec", "create"))
    return matches


def held(environment: FaultEnvironment, delivery: str, deferrable: bool) -> tuple[str, Any]:
    """Run a task whose pod is slow to start; return how it ended."""
    operator = environment.operator(pod_template="payments/held", delivery=delivery, deferrable=deferrable)
    process = run(operator)
    name = wait_until(lambda: environment.pods_of(operator))[0]["metadata"]["name"]
    wait_until(lambda: _gates(environment, name) == ["example.com/hold"])
    before = environment.kube.count(_EVENTS)
    watching = trigger(process.outcome()[1]) if deferrable else process
    wait_until(lambda: environment.kube.count(_EVENTS) > before + 1)
    environment.core.patch_namespaced_pod(name, NAMESPACE, [{"op": "remove", "path": "/spec/schedulingGates"}])
    state, message = watching.outcome()
    return resume(operator, message).outcome() if deferrable and state == "ok" else (state, message)


def _gates(environment: FaultEnvironment, name: str) -> list[str]:
    return [
        gate.name for gate in environment.core.read_namespaced_pod(name, NAMESPACE).spec.scheduling_gates or ()
    ]


@pytest.mark.parametrize("delivery", ["agent", "secret"])
def test_the_compiled_rights_are_enough_and_all_are_needed(environment: FaultEnvironment, delivery: str) -> None:
    environment.begin()
    settings: dict[str, Any] = {"delivery": delivery}
    ended = {}
    with compiled_for(environment, f"deliveries: [{delivery}]") as granted:
        for mode in (False, True):
            operator = environment.operator(XCOM, do_xcom_push=True, deferrable=mode, **settings)
            ended[f"deferrable {mode}"] = finish(operator, run(operator))
            ended[f"held, deferrable {mode}"] = held(environment, delivery, mode)
        kept = environment.operator("exit 3", **settings)
        # As a team would have it that leaves this argument open: the shipped ones do not.
        kept.on_finish_action = kept._frozen["on_finish_action"] = type(kept.on_finish_action)("keep_pod")
        run(kept).outcome()
        killed = environment.operator(**settings, **LONG, deferrable=True)
        serialized = run(killed).outcome()[1]
        wait_until(lambda: environment.running(killed))
        ended["ended by a user"] = trigger(serialized, then="on_kill").outcome()
        again = environment.operator(**settings, **SHORT, execution_timeout=timedelta(minutes=5))
        again.at_step = Dying("login kept")
        first = run(again)
        if delivery == "agent":
            wait_until(lambda: environment.running(again))
            first.kill()
        first.outcome()
        again.at_step = lambda step: None
        ended["next try"] = run(again, try_number=2).outcome()
        requested = {who: used_by(environment, who) for who in ACCOUNTS}
    environment.clean()

    assert {name: state for name, (state, message) in ended.items()} == dict.fromkeys(ended, "ok"), ended
    superfluous = {who: granted[who] - requested[who] for who in ACCOUNTS}
    assert {} == {who: rights - FALLBACKS[who] for who, rights in superfluous.items() if rights - FALLBACKS[who]}


def test_without_the_right_to_run_commands_in_pods_a_task_that_returns_something_fails(
    environment: FaultEnvironment,
) -> None:
    environment.begin()
    with compiled_for(environment, "deliveries: [agent]\nxcom: false"):
        operator = environment.operator(XCOM, do_xcom_push=True, delivery="agent")
        state, message = run(operator).outcome()
    environment.clean()

    assert "failed" == state, message


@pytest.mark.parametrize(("delivery", "account"), [("agent", "airflow-payments"), ("secret", "default")])
def test_a_worker_gets_a_token_of_no_account_but_the_teams(
    environment: FaultEnvironment, delivery: str, account: str
) -> None:
    with compiled_for(environment, f"deliveries: [{delivery}]"), pytest.raises(client.ApiException) as refused:
        of_worker().create_namespaced_service_account_token(account, NAMESPACE, {"spec": {"audiences": ["vault"]}})

    assert refused.value.status == 403


def test_a_worker_of_delivery_agent_may_not_read_secrets(environment: FaultEnvironment) -> None:
    with compiled_for(environment, "deliveries: [agent]"), pytest.raises(client.ApiException) as refused:
        of_worker().list_namespaced_secret(NAMESPACE)

    assert refused.value.status == 403


def test_who_may_make_pods_of_a_team_gets_its_secrets(environment: FaultEnvironment) -> None:
    """No boundary: code on a worker that calls Kubernetes itself, past every check of this package."""
    pod = templates.find("payments/etl", environment.servers.templates_dir).render({})
    pod["metadata"]["name"] = "past-every-check"
    pod["spec"]["containers"][0]["command"] = ["cat", "/vault/secrets/partner.key"]
    core = of_worker()
    core.create_namespaced_pod(NAMESPACE, agent.attach(pod, [KEY], VaultLogin.of_role("payments")))
    wait_until(lambda: core.read_namespaced_pod("past-every-check", NAMESPACE).status.phase == "Succeeded")
    message = core.read_namespaced_pod_log("past-every-check", NAMESPACE, container="base")
    core.delete_namespaced_pod("past-every-check", NAMESPACE)
    environment.traces()

    # Not compared in the assert: a failure would show it.
    result = environment.servers.canary in message
    assert result


def of_worker() -> client.CoreV1Api:
    """Return a client with the worker's rights."""
    path = json.loads(os.environ["AIRFLOW_CONN_KUBERNETES_DEFAULT"])["extra"]["kube_config_path"]
    return client.CoreV1Api(config.new_client_from_config(path))
