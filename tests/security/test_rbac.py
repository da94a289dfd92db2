"""Workers and triggerer get along with exactly the rights that docs/rbac lists."""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client

from tests.faults.arena import NAMESPACE, Arena
from tests.faults.case import finish
from tests.faults.endings import LONG, SHORT
from tests.faults.worker import Dying, run, trigger, wait_until

pytestmark = pytest.mark.integration

ROLES = Path(__file__).parents[2] / "docs/rbac"
VERBS = {"POST": "create", "PATCH": "patch", "DELETE": "delete"}
# Not asked for in each run: XCom is not tried here, and events are read only while a pod is slow to start.
SOMETIMES = {("pods/exec", "create"), ("pods/exec", "get"), ("events", "list"), ("events", "watch")}


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    with Arena(tmp_path_factory.mktemp("arena")) as made:
        yield made


@contextlib.contextmanager
def worker_account(arena: Arena, delivery: str) -> Iterator[set[tuple[str, str]]]:
    """Let workers be service account airflow/airflow-worker with the rights of that file; give these."""
    role, binding = yaml.safe_load_all((ROLES / f"worker-{delivery}.yaml").read_text())
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
    return found


@pytest.mark.parametrize("delivery", ["agent", "secret"])
def test_the_documented_rights_are_enough_and_all_are_needed(arena: Arena, delivery: str) -> None:
    arena.begin()
    settings: dict[str, Any] = {"delivery": delivery}
    ended = {}
    with worker_account(arena, delivery) as granted:
        for mode in (False, True):
            operator = arena.operator(deferrable=mode, **settings)
            ended[f"deferrable {mode}"] = finish(operator, run(operator))
        kept = arena.operator("exit 3", **settings)
        # As a team would have it that leaves this argument open: the shipped ones do not.
        kept.on_finish_action = kept._settled["on_finish_action"] = type(kept.on_finish_action)("keep_pod")
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
    assert granted - SOMETIMES == used(requests) - SOMETIMES
