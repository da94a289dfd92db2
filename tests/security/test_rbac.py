"""Workers and triggerer get along with exactly the rights that docs/rbac lists."""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client, config

from airflow_k8s_vault import templates
from airflow_k8s_vault.delivery import agent
from airflow_k8s_vault.delivery.login import VaultLogin
from tests.canary.endings import XCOM
from tests.faults.arena import KEY, NAMESPACE, Arena
from tests.faults.case import finish
from tests.faults.endings import LONG, SHORT
from tests.faults.worker import Dying, resume, run, trigger, wait_until

pytestmark = pytest.mark.integration

ROLES = Path(__file__).parents[2] / "docs/rbac"
VERBS = {"POST": "create", "PATCH": "patch", "DELETE": "delete"}


@contextlib.contextmanager
def worker_account(arena: Arena, delivery: str, without: str = "") -> Iterator[set[tuple[str, str]]]:
    """Let workers be service account airflow/airflow-worker with the rights of that file; give these."""
    role, binding = yaml.safe_load_all((ROLES / f"worker-{delivery}.yaml").read_text())
    role["rules"] = [rule for rule in role["rules"] if without not in rule["resources"]]
    rbac = client.RbacAuthorizationV1Api(arena.ground.api)
    arena.core.create_namespace({"metadata": {"name": "airflow"}})
    arena.core.create_namespaced_service_account("airflow", {"metadata": {"name": "airflow-worker"}})
    rbac.create_namespaced_role(NAMESPACE, role)
    rbac.create_namespaced_role_binding(NAMESPACE, binding)
    token = arena.core.create_namespaced_service_account_token("airflow-worker", "airflow", {"spec": {}})
    before = os.environ["AIRFLOW_CONN_KUBERNETES_DEFAULT"]
    path = Path(json.loads(before)["extra"]["kube_config_path"])
    content = yaml.safe_load(path.read_text())
    content["users"][0]["user"] = {"token": token.status.token}
    mine = path.with_name("kubeconfig-of-airflow-worker")
    mine.write_text(yaml.safe_dump(content))
    os.environ["AIRFLOW_CONN_KUBERNETES_DEFAULT"] = before.replace(str(path), str(mine))
    try:
        yield {(res, verb) for rule in role["rules"] for res in rule["resources"] for verb in rule["verbs"]}
    finally:
        os.environ["AIRFLOW_CONN_KUBERNETES_DEFAULT"] = before
        rbac.delete_namespaced_role_binding("airflow-worker", NAMESPACE)
        rbac.delete_namespaced_role("airflow-worker", NAMESPACE)
        arena.core.delete_namespace("airflow")
        wait_until(lambda: "airflow" not in [n.metadata.name for n in arena.core.list_namespace().items])


def used(requests: list[str]) -> set[tuple[str, str]]:
    """Return resource and verb of each request, as RBAC names them."""
    found = set()
    for request in requests:
        method, path = request.split(" ", 1)
        match = re.search(r"/namespaces/[^/]+/([a-z]+)(/[^/?]+)?(/[a-z]+)?(\?.*)?$", path)
        if match:
            reading = "watch" if "watch=" in path else "get" if match[2] else "list"
            found.add((match[1] + (match[3] or ""), VERBS.get(method, reading)))
    if ("pods/exec", "get") in found:
        # A websocket is opened by GET, and from Kubernetes 1.35 on needs the right to POST as well.
        found.add(("pods/exec", "create"))
    return found


def held(arena: Arena, delivery: str, deferrable: bool) -> tuple[str, Any]:
    """Run a task whose pod is slow to start; return how it ended."""
    operator = arena.operator(pod_template="payments/held", delivery=delivery, deferrable=deferrable)
    process = run(operator)
    name = wait_until(lambda: arena.pods_of(operator))[0]["metadata"]["name"]
    wait_until(lambda: _gates(arena, name) == ["example.com/hold"])
    watching = trigger(process.outcome()[1]) if deferrable else process
    time.sleep(3)
    arena.core.patch_namespaced_pod(name, NAMESPACE, [{"op": "remove", "path": "/spec/schedulingGates"}])
    state, said = watching.outcome()
    return resume(operator, said).outcome() if deferrable and state == "ok" else (state, said)


def _gates(arena: Arena, name: str) -> list[str]:
    return [gate.name for gate in arena.core.read_namespaced_pod(name, NAMESPACE).spec.scheduling_gates or ()]


@pytest.mark.parametrize("delivery", ["agent", "secret"])
def test_the_documented_rights_are_enough_and_all_are_needed(arena: Arena, delivery: str) -> None:
    arena.begin()
    settings: dict[str, Any] = {"delivery": delivery}
    ended = {}
    with worker_account(arena, delivery) as granted:
        for mode in (False, True):
            operator = arena.operator(XCOM, do_xcom_push=True, deferrable=mode, **settings)
            ended[f"deferrable {mode}"] = finish(operator, run(operator))
            ended[f"held, deferrable {mode}"] = held(arena, delivery, mode)
        kept = arena.operator("exit 3", **settings)
        # As a team would have it that leaves this argument open: the shipped ones do not.
        kept.on_finish_action = kept._frozen["on_finish_action"] = type(kept.on_finish_action)("keep_pod")
        run(kept).outcome()
        killed = arena.operator(**settings, **LONG, deferrable=True)
        serialized = run(killed).outcome()[1]
        wait_until(lambda: arena.running(killed))
        ended["ended by a user"] = trigger(serialized, then="on_kill").outcome()
        again = arena.operator(**settings, **SHORT, execution_timeout=timedelta(minutes=5))
        again.at_step = Dying("login kept")
        first = run(again)
        if delivery == "agent":
            wait_until(lambda: arena.running(again))
            first.kill()
        first.outcome()
        again.at_step = lambda step: None
        ended["next try"] = run(again, try_number=2).outcome()
        requests = list(arena.kube.done)
    arena.clean()

    assert {name: state for name, (state, said) in ended.items()} == dict.fromkeys(ended, "ok"), ended
    assert granted == used(requests)


def test_without_the_right_to_run_commands_in_pods_a_task_that_returns_something_fails(arena: Arena) -> None:
    arena.begin()
    with worker_account(arena, "agent", without="pods/exec"):
        operator = arena.operator(XCOM, do_xcom_push=True, delivery="agent")
        state, said = run(operator).outcome()
    arena.clean()

    assert "failed" == state, said


@pytest.mark.parametrize(("delivery", "account"), [("agent", "airflow-payments"), ("secret", "default")])
def test_a_worker_gets_a_token_of_no_account_but_the_teams(arena: Arena, delivery: str, account: str) -> None:
    with worker_account(arena, delivery), pytest.raises(client.ApiException) as refused:
        of_worker().create_namespaced_service_account_token(account, NAMESPACE, {"spec": {"audiences": ["vault"]}})

    assert refused.value.status == 403


def test_a_worker_of_delivery_agent_may_not_read_secrets(arena: Arena) -> None:
    with worker_account(arena, "agent"), pytest.raises(client.ApiException) as refused:
        of_worker().list_namespaced_secret(NAMESPACE)

    assert refused.value.status == 403


def test_who_may_make_pods_of_a_team_gets_its_secrets(arena: Arena) -> None:
    """No boundary: code on a worker that calls Kubernetes itself, past every check of this package."""
    pod = templates.find("payments/etl", arena.ground.templates_dir).render({})
    pod["metadata"]["name"] = "past-every-check"
    pod["spec"]["containers"][0]["command"] = ["cat", "/vault/secrets/partner.key"]
    with worker_account(arena, "agent"):
        core = of_worker()
        core.create_namespaced_pod(NAMESPACE, agent.attach(pod, [KEY], VaultLogin.of_role("payments")))
        wait_until(lambda: core.read_namespaced_pod("past-every-check", NAMESPACE).status.phase == "Succeeded")
        said = core.read_namespaced_pod_log("past-every-check", NAMESPACE, container="base")
        core.delete_namespaced_pod("past-every-check", NAMESPACE)
    arena.traces()

    # Not compared in the assert: a failure would show it.
    found = arena.ground.canary in said
    assert found


def of_worker() -> client.CoreV1Api:
    """Return a client with the worker's rights."""
    path = json.loads(os.environ["AIRFLOW_CONN_KUBERNETES_DEFAULT"])["extra"]["kube_config_path"]
    return client.CoreV1Api(config.new_client_from_config(path))
