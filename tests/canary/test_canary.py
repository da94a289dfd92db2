"""No secret value, dynamic password, Vault token or service-account token is where it should not be."""

from __future__ import annotations

import os
import re
import tempfile
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from k8s_vault_devcluster.demo import isolation

from tests.canary import endings, values
from tests.canary.surfaces import SURFACES, Surface
from tests.faults.fault_environment import FaultEnvironment

pytestmark = pytest.mark.integration

SURFACE = pytest.mark.parametrize("surface", SURFACES, ids=lambda surface: surface.name)
# What each of them has at hand it writes at DEBUG: Airflow's operators and hooks, both Kubernetes clients (whole
# bodies), HTTP.
LOGGERS = (
    "airflow.task.hooks",
    "kubernetes.client.rest",
    "kubernetes_asyncio.client.rest",
    "urllib3.connectionpool",
)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultEnvironment]:
    """Both deliveries, ended in all kinds of ways, with everything logged at DEBUG."""
    with pytest.MonkeyPatch.context() as patch, FaultEnvironment(tmp_path_factory.mktemp("environment")) as made:
        patch.setenv("K8S_VAULT_TEST_DEBUG", "1")
        patch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("temporary")))
        made.vault.exchanges = []
        made.ended = {delivery: endings.all_of(made, delivery) for delivery in endings.DELIVERIES}
        made.traces(10)
        yield made


def _in_play(environment: FaultEnvironment) -> Any:
    return values.in_play(environment.vault.exchanges or (), environment.servers.canary)


@pytest.mark.parametrize(
    ("delivery", "ending"),
    [
        (delivery, ending)
        for delivery in endings.DELIVERIES
        for ending in endings.EXPECTED
        if delivery == "secret" or ending not in endings.OF_SECRET
    ],
)
def test_a_task_came_to_each_kind_of_end(environment: FaultEnvironment, delivery: str, ending: str) -> None:
    state, message = environment.ended[delivery][ending]
    expected, reason = endings.EXPECTED[ending]

    assert state == expected, message
    assert reason in str(message)


def test_all_kinds_of_secrets_were_in_play(environment: FaultEnvironment) -> None:
    counted = {kind: len(result) for kind, result in _in_play(environment).items()}

    assert counted["KV value"] == 1
    # One for each pod that Vault let in: 9 of each delivery at least, and the refused ones had tokens to show.
    assert counted["Vault token"] >= 18, counted
    assert counted["dynamic password"] >= 16, counted
    assert counted["issued private key"] >= 14, counted
    assert counted["decoded bytes"] == 2, counted
    assert counted["service-account token"] > counted["Vault token"], counted


@pytest.mark.parametrize("logger", LOGGERS)
def test_the_log_is_as_talkative_as_it_gets(environment: FaultEnvironment, logger: str) -> None:
    log = open(os.environ["K8S_VAULT_TEST_WORKER_LOG"]).read()  # noqa: SIM115

    assert re.search(rf"\[debug *\].*\[{re.escape(logger)}", log)


@SURFACE
def test_no_secret_is_there(environment: FaultEnvironment, surface: Surface) -> None:
    texts = surface.texts(environment)
    result = {kind: isolation.found_in(texts, expected) for kind, expected in _in_play(environment).items()}

    assert len(texts) > 0, f"nothing was there to search: {surface.name}"
    assert {kind: places for kind, places in result.items() if places} == {}


@SURFACE
def test_a_secret_that_is_planted_there_is_found(environment: FaultEnvironment, surface: Surface) -> None:
    value = f"planted-{uuid.uuid4().hex}"
    before = isolation.found_in(surface.texts(environment), [value])
    surface.plant(environment, value)
    after = isolation.found_in(surface.texts(environment), [value])

    assert before == []
    assert after != [], f"{surface.name}: a value that is there was not found"
