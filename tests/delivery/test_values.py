"""What each kind of value becomes, by each way to a process: the table of docs/vault-secret.md, row by row."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSecretsBackendAccessDenied
from k8s_vault_devcluster.kubelet.env_file import value_of
from k8s_vault_devcluster.openbao import OpenBao

from airflow_k8s_vault import VaultSecret, VaultSecretsBackend, json_text
from airflow_k8s_vault.delivery.agent.template import env_file, secret_file
from airflow_k8s_vault.errors import DeliveryRefused
from airflow_k8s_vault.handover.pod_values import PodValues
from airflow_k8s_vault.secret_value import SecretValue
from airflow_k8s_vault.secrets_backend import masking
from airflow_k8s_vault.vault import Session, Settings
from tests.delivery import value_table
from tests.delivery.conftest import RenderAll
from tests.delivery.value_table import AS_JSON, ROWS, Refused, Row
from tests.vault.mounts import mount_kv

PAGE = Path(__file__).parents[2] / "docs/vault-secret.md"
MOUNT = "value-table"
NUMBERED = dict(enumerate(ROWS))


@pytest.fixture(scope="module", autouse=True)
def filled(openbao: OpenBao) -> Iterator[None]:
    """A mount with a secret for each row, at variables/<number>; its value is under `value`."""
    mount_kv(openbao, MOUNT)
    for number, row in NUMBERED.items():
        openbao.request("POST", f"{MOUNT}/data/variables/{number}", {"data": {"value": row.value, "other": "x"}})
    yield
    openbao.request("DELETE", f"sys/mounts/{MOUNT}")


def variable(number: int) -> VaultSecret:
    return VaultSecret(f"{MOUNT}/variables/{number}", env={f"V{number}": "value"})


def file(number: int) -> VaultSecret:
    return VaultSecret(f"{MOUNT}/variables/{number}", file="f", key="value")


def expected(row: Row, outcome: Any) -> str:
    return json_text.dumps(row.value) if outcome == AS_JSON else row.value


def test_what_arrives_by_the_agent(render_all: RenderAll) -> None:
    variables = [n for n, row in NUMBERED.items() if not isinstance(row.variable[0], Refused)]
    files = [n for n, row in NUMBERED.items() if not isinstance(row.file, Refused)]

    environment, *contents = render_all(
        [env_file(map(variable, variables)), *(secret_file(file(n)) for n in files)]
    )

    for n in variables:
        assert expected(ROWS[n], ROWS[n].variable[0]) == value_of(f"V{n}", environment), ROWS[n].name
    for n, content in zip(files, contents, strict=True):
        assert expected(ROWS[n], ROWS[n].file) == content.decode(), ROWS[n].name


REFUSED_BY_AGENT = [
    pytest.param(template, outcome, id=f"{row.name} as {what}")
    for n, row in NUMBERED.items()
    for what, outcome, template in (
        ("a variable", row.variable[0], env_file([variable(n)])),
        ("a file", row.file, secret_file(file(n))),
    )
    if isinstance(outcome, Refused)
]


@pytest.mark.parametrize(("template", "outcome"), REFUSED_BY_AGENT)
def test_what_the_agent_refuses(template: str, outcome: Refused, render_all: RenderAll) -> None:
    with pytest.raises(AssertionError) as failed:
        render_all([template])

    # The agent redacts values in its words: an empty one between all letters.
    assert outcome.words in str(failed.value).replace("[redacted]", "")


@pytest.mark.parametrize("requested", [variable, file])
@pytest.mark.parametrize("number", NUMBERED, ids=[row.name for row in ROWS])
def test_what_the_worker_hands_over(number: int, requested: Any, openbao: OpenBao) -> None:
    row = NUMBERED[number]
    outcome = row.variable[1] if requested is variable else row.file
    values = PodValues([requested(number)], "base", 60)
    session = Session(Settings(url=openbao.address), SecretValue(openbao.root_token))

    if isinstance(outcome, Refused):
        with pytest.raises(DeliveryRefused, match=outcome.words):
            values.read(session)
    else:
        assert [expected(row, outcome)] == list(values.read(session).reveal().values())


@pytest.mark.parametrize("number", NUMBERED, ids=[row.name for row in ROWS])
def test_what_airflow_is_given(number: int, openbao: OpenBao, monkeypatch: pytest.MonkeyPatch) -> None:
    # Airflow's maskers keep what they are given: with a megabyte among it the tests after this one would wait.
    monkeypatch.setattr(masking, "mask", lambda words: None)
    row = NUMBERED[number]
    backend = VaultSecretsBackend(url=openbao.address, token=openbao.root_token, mount_point=MOUNT)

    if isinstance(row.backend, Refused):
        with pytest.raises(AirflowSecretsBackendAccessDenied, match=row.backend.words):
            backend.get_variable(str(number))
        return
    result = backend.get_variable(str(number)) or ""
    assert row.value == (json.loads(result) if row.backend == AS_JSON else result)


def test_the_docs_have_this_table() -> None:
    assert value_table.table() in PAGE.read_text()
