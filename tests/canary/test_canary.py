"""No secret value, dynamic password, Vault token or service-account token is where it should not be."""

from __future__ import annotations

import json
import logging
import os
import uuid
from collections.abc import Iterator

import pytest
from kubernetes.client import ApiException

from airflow_k8s_vault import VaultSecret
from airflow_k8s_vault.demo import isolation
from tests.canary.surfaces import SURFACES, Surface, processes
from tests.faults.arena import HAS_ALL, LOGIN, NAMESPACE, Arena
from tests.faults.case import finish
from tests.faults.endings import LONG
from tests.faults.worker import Dying, run, trigger, wait_until

pytestmark = pytest.mark.integration

KEY = VaultSecret("secret/payments/partner", file="partner.key", key="api_key")


def _values(arena: Arena) -> dict[str, set[str]]:
    """Return every secret that went to or from Vault, by kind."""
    found: dict[str, set[str]] = {"KV value": {arena.ground.canary}, "password": set(), "Vault token": set()}
    found["service-account token"] = set()
    for request, sent, answered in arena.vault.exchanges or ():
        answer = json.loads(answered) if answered.startswith(b"{") else {}
        if request.endswith("/login"):
            found["service-account token"].add(json.loads(sent)["jwt"])
            found["Vault token"].add((answer.get("auth") or {}).get("client_token"))
        if "/creds/" in request:
            found["password"].add((answer.get("data") or {}).get("password"))
    return {kind: values - {None} for kind, values in found.items()}


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    """Both deliveries in all the ways that matter, with everything logged at DEBUG."""
    root, before = logging.getLogger(), logging.getLogger().level
    root.setLevel(logging.DEBUG)
    for name in ("kubernetes.client.rest", "kubernetes_asyncio.client.rest", "urllib3", "airflow_k8s_vault"):
        logging.getLogger(name).setLevel(logging.DEBUG)
    handler = logging.StreamHandler(open(os.devnull, "w"))  # noqa: SIM115 - replaced in each worker
    root.addHandler(handler)
    with Arena(tmp_path_factory.mktemp("arena")) as made:
        made.vault.exchanges = []
        os.environ["K8S_VAULT_TEST_DEBUG"] = "1"
        for delivery in ("agent", "secret"):
            _run_all(made, delivery)
        made.traces(10)
        yield made
        del os.environ["K8S_VAULT_TEST_DEBUG"]
    root.removeHandler(handler)
    root.setLevel(before)


def _run_all(arena: Arena, delivery: str) -> None:
    for deferrable in (False, True):
        for script in ("true", "exit 3"):
            operator = arena.operator(script, [LOGIN, KEY], delivery=delivery, deferrable=deferrable)
            finish(operator, run(operator))
    missing = VaultSecret("secret/payments/partner", env={"X": "no_such_key"})
    finish(operator := arena.operator(secrets=[LOGIN, KEY, missing], delivery=delivery), run(operator))
    dying = arena.operator(secrets=[LOGIN, KEY], delivery=delivery)
    dying.at_step = Dying("secret")
    run(dying).outcome()
    dying.at_step = lambda step: None
    run(dying, try_number=2).outcome()
    ended = arena.operator(secrets=[LOGIN, KEY], delivery=delivery, deferrable=True, **LONG)
    serialized = run(ended).outcome()[1]
    wait_until(lambda: arena.running(ended))
    arguments, environments = processes()
    arena.keep("process arguments", arguments)
    arena.keep("environments", environments)
    pods = arena.core.list_namespaced_pod(NAMESPACE).items
    arena.keep("outputs", {pod.metadata.name: str(pod.to_dict()) for pod in pods})
    trigger(serialized, then="on_kill").outcome()
    _look_from_another_container(arena, delivery)


def _look_from_another_container(arena: Arena, delivery: str) -> None:
    operator = arena.operator(
        secrets=[LOGIN, KEY],
        delivery=delivery,
        pod_template="payments/beside",
        cmds=["sh", "-c", f"{HAS_ALL} && sleep 4"],
    )
    process = run(operator)
    name = wait_until(lambda: arena.running(operator))["metadata"]["name"]
    said = str(wait_until(lambda: "FILES" in (text := _log_of(arena, name, "beside")) and text))
    environment, _, others = said.partition("FILES")
    arena.keep("other environment", {delivery: environment})
    arena.keep("other files", {delivery: others or "none"})
    process.outcome()


def _log_of(arena: Arena, pod: str, container: str) -> str:
    """Return what the container has written so far; nothing while it has not started."""
    try:
        return str(arena.core.read_namespaced_pod_log(pod, NAMESPACE, container=container))
    except ApiException:
        return ""


def test_the_log_is_as_talkative_as_it_gets(arena: Arena) -> None:
    log = open(os.environ["K8S_VAULT_TEST_WORKER_LOG"]).read()  # noqa: SIM115

    assert "response body: " in log


def test_all_kinds_of_secrets_were_in_play(arena: Arena) -> None:
    counted = {kind: len(values) for kind, values in _values(arena).items()}

    assert min(counted.values()) >= 1, counted
    assert counted["Vault token"] >= 10, counted


@pytest.mark.parametrize("surface", SURFACES, ids=lambda surface: surface.name)
def test_no_secret_is_there(arena: Arena, surface: Surface) -> None:
    texts = surface.texts(arena)
    found = {kind: isolation.found_in(texts, values) for kind, values in _values(arena).items()}

    assert texts, f"nothing was there to search: {surface.name}"
    assert {kind: places for kind, places in found.items() if places} == {}


@pytest.mark.parametrize("surface", SURFACES, ids=lambda surface: surface.name)
def test_a_secret_that_is_planted_there_is_found(arena: Arena, surface: Surface) -> None:
    value = f"planted {uuid.uuid4().hex}"
    surface.plant(arena, value)

    assert isolation.found_in(surface.texts(arena), [value]) != []
