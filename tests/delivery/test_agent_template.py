"""What a real agent renders from our templates, and what it says when it cannot."""

from __future__ import annotations

import json

import pytest
from k8s_vault_devcluster.openbao import OpenBao

from airflow_k8s_vault.delivery.agent.template import env_file, secret_file
from airflow_k8s_vault.vault_secret import VaultSecret
from tests.delivery.conftest import Render


@pytest.fixture
def warehouse(openbao: OpenBao, kv_mount: str) -> str:
    data = {"password": 'p$w{{ x }}"\\ \n2', "user-name": "etl", "port": 5432, "tls": True, "quoted": "it's"}
    openbao.request("POST", f"{kv_mount}/data/payments/warehouse", {"data": data})
    return f"{kv_mount}/payments/warehouse"


def test_variables_are_written_as_the_kubelet_reads_them(render: Render, warehouse: str) -> None:
    secrets = [
        VaultSecret(warehouse, env={"PASSWORD": "password", "USER_NAME": "user-name"}),
        VaultSecret(warehouse, env={"PORT": "port", "TLS": "tls"}),
    ]

    rendered = render(env_file(secrets))

    assert rendered == "PASSWORD='p$w{{ x }}\"\\ \n2'\nUSER_NAME='etl'\nPORT='5432'\nTLS='true'\n"


def test_a_file_holds_one_key_as_it_is(render: Render, warehouse: str) -> None:
    rendered = render(secret_file(VaultSecret(warehouse, file="password", key="password")))

    assert rendered == 'p$w{{ x }}"\\ \n2'


def test_a_file_without_a_key_holds_the_whole_secret_as_json(render: Render, warehouse: str) -> None:
    rendered = json.loads(render(secret_file(VaultSecret(warehouse, file="all.json"))))

    assert rendered["port"] == 5432
    assert rendered["quoted"] == "it's"


def test_kv_1_and_dynamic_secrets_are_read_without_data(render: Render, openbao: OpenBao, kv_mount: str) -> None:
    mount = f"{kv_mount}-v1"
    openbao.request("POST", f"sys/mounts/{mount}", {"type": "kv", "options": {"version": "1"}})
    openbao.request("POST", f"{mount}/old", {"word": "blue"})

    assert render(env_file([VaultSecret(f"{mount}/old", engine="kv1", env={"WORD": "word"})])) == "WORD='blue'\n"


@pytest.mark.parametrize(
    ("secret", "reason"),
    [
        ({"env": {"A": "pasword"}}, "has no key 'pasword'; it has: password, port, quoted, tls, user-name"),
        ({"file": "f", "key": "nope"}, "has no key 'nope'; it has: password"),
        ({"env": {"A": "quoted"}}, "key 'quoted' of '{path}' holds a single quote"),
        ({"env": {"A": "password"}, "engine": "kv1"}, "'{path}' is no KV 1 secret, or empty: is engine= right?"),
    ],
)
def test_a_secret_that_cannot_be_delivered_is_named_and_its_values_are_not(
    render: Render, warehouse: str, secret: dict[str, object], reason: str
) -> None:
    broken = VaultSecret(warehouse, **secret)  # type: ignore[arg-type]
    template = secret_file(broken) if broken.file else env_file([broken])

    with pytest.raises(AssertionError) as agent:
        render(template)

    assert reason.format(path=warehouse) in str(agent.value)
    assert "it's" not in str(agent.value)


def test_a_missing_secret_is_said_in_the_agents_own_words(render: Render, kv_mount: str) -> None:
    with pytest.raises(AssertionError, match=rf"no secret exists at {kv_mount}/data/payments/nothing"):
        render(env_file([VaultSecret(f"{kv_mount}/payments/nothing", env={"A": "a"})]))


def test_an_empty_value_is_refused_for_a_variable_since_the_kubelet_takes_it_for_a_missing_key(
    render: Render, openbao: OpenBao, kv_mount: str
) -> None:
    openbao.request("POST", f"{kv_mount}/data/a", {"data": {"empty": ""}})

    with pytest.raises(AssertionError) as failed:
        render(env_file([VaultSecret(f"{kv_mount}/a", env={"A": "empty"})]))
    # The agent redacts values in its words: an empty one between all letters.
    message = str(failed.value).replace("[redacted]", "")
    assert f"key 'empty' of '{kv_mount}/a' is empty, which no variable is given" in message


def test_an_empty_value_is_an_empty_file(render: Render, openbao: OpenBao, kv_mount: str) -> None:
    openbao.request("POST", f"{kv_mount}/data/a", {"data": {"empty": ""}})

    assert render(secret_file(VaultSecret(f"{kv_mount}/a", file="a", key="empty"))) == ""
