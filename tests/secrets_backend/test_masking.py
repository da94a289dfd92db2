"""Every value that the backend returns is masked in Airflow's logs, whatever its name."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest
from airflow._shared.secrets_masker import redact as redact_core
from airflow._shared.secrets_masker import reset_secrets_masker as reset_core
from airflow.sdk._shared.secrets_masker import reset_secrets_masker as reset_sdk
from airflow.sdk.log import redact as redact_sdk

from airflow_k8s_vault import VaultSecretsBackend

Put = Callable[..., str]


@pytest.fixture(autouse=True)
def clean_maskers() -> Iterator[None]:
    reset_core()
    reset_sdk()
    yield
    reset_core()
    reset_sdk()


def shown(text: str) -> set[str]:
    """What is left of the text in the logs of the core and of the task SDK."""
    return {str(redact_core(text)), str(redact_sdk(text))}


def test_a_variable_with_a_harmless_name_is_masked(backend: VaultSecretsBackend, put: Put) -> None:
    put("variables/greeting", value="hello-there")

    backend.get_variable("greeting")

    assert shown("it said hello-there twice") == {"it said *** twice"}


def test_so_is_each_string_of_a_json_variable(backend: VaultSecretsBackend, put: Put) -> None:
    put("variables/settings", value='{"list": ["first-part", {"deep": "second-part"}], "n": 5}')

    backend.get_variable("settings")

    assert shown("first-part second-part") == {"*** ***"}


def test_and_a_config_value(backend: VaultSecretsBackend, put: Put) -> None:
    put("config/sql", value="sqlite:///somewhere")

    backend.get_config("sql")

    assert shown("sqlite:///somewhere") == {"***"}


@pytest.mark.parametrize(
    "data",
    [
        {"conn_uri": "http://me:pass%2Fword@host/?colour=dark-blue&__extra__=%7B%22deep%22%3A%22dark-green%22%7D"},
        {"conn_type": "http", "password": "pass/word", "extra": {"colour": "dark-blue", "more": ["dark-green"]}},
        {"conn_type": "http", "password": "pass/word", "extra": '{"colour": "dark-blue", "m": "dark-green"}'},
    ],
    ids=["uri", "extra as object", "extra as text"],
)
@pytest.mark.parametrize("method", ["get_connection", "get_conn_value", "aget_connection"])
def test_password_and_every_extra_of_a_connection_are_masked(
    backend: VaultSecretsBackend, put: Put, data: dict[str, object], method: str
) -> None:
    put("connections/web", **data)

    result = getattr(backend, method)("web")
    if method == "aget_connection":
        asyncio.run(result)

    assert shown("pass/word dark-blue dark-green") == {"*** *** ***"}


def test_host_and_type_stay_readable(backend: VaultSecretsBackend, put: Put) -> None:
    put("connections/db", conn_type="postgres", host="warehouse.example", login="loader", password="pass-word")

    backend.get_connection("db")

    assert shown("postgres warehouse.example loader") == {"postgres warehouse.example loader"}


def test_a_value_from_memory_is_masked_again_after_airflow_reset_its_maskers(
    backend: VaultSecretsBackend, put: Put
) -> None:
    put("variables/greeting", value="hello-there")
    backend.get_variable("greeting")
    reset_core()
    reset_sdk()

    backend.get_variable("greeting")

    assert shown("hello-there") == {"***"}
