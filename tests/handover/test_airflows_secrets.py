"""The worker hands over the connection or variable that the secrets backend would return."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from k8s_vault_devcluster.openbao import OpenBao

from airflow_k8s_vault import VaultSecret, VaultSecretsBackend
from airflow_k8s_vault.errors import DeliveryRefused, VaultRefused
from airflow_k8s_vault.handover.pod_values import PodValues
from airflow_k8s_vault.secret_value import SecretValue
from airflow_k8s_vault.vault import Session, Settings


@pytest.fixture
def put(openbao: OpenBao, kv_mount: str) -> Callable[[str, dict[str, Any]], None]:
    return lambda path, data: openbao.request("POST", f"{kv_mount}/data/{path}", {"data": data}) and None


def handed_over(openbao: OpenBao, secret: VaultSecret) -> str:
    session = Session(Settings(url=openbao.address), SecretValue(openbao.root_token))
    (value,) = PodValues([secret], "base", 60).read(session).reveal().values()
    return value


def test_a_refusal_says_whether_it_is_a_matter_of_rights(openbao: OpenBao, kv_mount: str) -> None:
    openbao.request("POST", f"sys/mounts/{kv_mount}-db", {"type": "database"})
    path = f"{kv_mount}-db/creds/nobody"
    openbao.request(
        "PUT", f"sys/policies/acl/{kv_mount}-db", {"policy": f'path "{path}" {{capabilities=["read"]}}'}
    )

    def message_of(policy: str) -> str:
        token = openbao.request("POST", "auth/token/create", {"policies": [policy]})["auth"]["client_token"]
        secret = VaultSecret(path, engine="dynamic", env={"A": "username"})
        session = Session(Settings(url=openbao.address), SecretValue(token))
        with pytest.raises(VaultRefused) as refused:
            PodValues([secret], "base", 60).read(session)
        return str(refused.value)

    assert f"'{path}' cannot be read (400 unknown role: nobody)." == message_of(f"{kv_mount}-db")
    assert f"it may not read '{path}' (403 permission denied)." == message_of("default")


@pytest.mark.parametrize(
    "data",
    [
        {"conn_uri": "postgres://etl:it's@db.example.com:5432/sales"},
        {"conn_type": "http", "host": "example.com", "password": "it's", "port": 5432, "extra": {"a": [1]}},
    ],
    ids=["URI", "fields"],
)
def test_a_connection_is_what_the_backend_returns(
    openbao: OpenBao, kv_mount: str, put: Callable[..., None], data: dict[str, Any]
) -> None:
    put("connections/x", data)
    backend = VaultSecretsBackend(url=openbao.address, token=openbao.root_token, mount_point=kv_mount)

    value = handed_over(openbao, VaultSecret.connection("x").resolved((f"{kv_mount}/connections/x",), "kv2"))

    assert backend.get_conn_value("x") == value


@pytest.mark.parametrize("value", ["it's\r\nplain", 5, True, {"a": "<&>"}], ids=str)
def test_a_variable_is_what_the_backend_returns(
    openbao: OpenBao, kv_mount: str, put: Callable[..., None], value: Any
) -> None:
    put("variables/x", {"value": value})
    backend = VaultSecretsBackend(url=openbao.address, token=openbao.root_token, mount_point=kv_mount)

    handed = handed_over(openbao, VaultSecret.variable("x").resolved((f"{kv_mount}/variables/x",), "kv2"))

    assert backend.get_variable("x") == handed


@pytest.mark.parametrize("there", [("own",), ("shared",), ("own", "shared")], ids=" and ".join)
def test_the_first_place_that_has_it_counts(
    openbao: OpenBao, kv_mount: str, put: Callable[..., None], there: tuple[str, ...]
) -> None:
    for folder in there:
        put(f"{folder}/x", {"conn_uri": f"http://{folder}"})
    expected = VaultSecret.connection("x").resolved((f"{kv_mount}/own/x", f"{kv_mount}/shared/x"), "kv2")

    assert f"http://{there[0]}" == handed_over(openbao, expected)


def test_what_is_in_no_place_is_refused_with_all_of_them(openbao: OpenBao, kv_mount: str) -> None:
    expected = VaultSecret.connection("x").resolved((f"{kv_mount}/own/x", f"{kv_mount}/shared/x"), "kv2")

    with pytest.raises(DeliveryRefused, match=f"no secret at '{kv_mount}/own/x', '{kv_mount}/shared/x' in Vault"):
        handed_over(openbao, expected)


def test_what_is_no_connection_is_refused_with_its_keys_and_no_value(
    openbao: OpenBao, kv_mount: str, put: Callable[..., None]
) -> None:
    put("connections/x", {"conn_type": "http", "pasword": "a-secret-value"})
    expected = VaultSecret.connection("x").resolved((f"{kv_mount}/connections/x",), "kv2")

    with pytest.raises(
        DeliveryRefused, match=r"'pasword' is no field of a connection\. Did you mean 'password'"
    ) as no:
        handed_over(openbao, expected)

    assert "a-secret-value" not in str(no.value)
    assert no.value.__context__ is None, json.dumps(str(no.value))
