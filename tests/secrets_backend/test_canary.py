"""Secrets and credentials are looked for in all that a person or a machine could read of us, at DEBUG."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from k8s_vault_devcluster.openbao import OpenBao

from airflow_k8s_vault import VaultSecretsBackend
from tests.vault.conftest import AppRole
from tests.vault.proxy import FaultyProxy

CANARY = "canary-3f9a"
TESTS = Path(__file__).parents[1]


def shown_by(error: BaseException) -> str:
    """The error as the most talkative logger would print it: with the variables of every frame but the tests'."""
    text = ""
    left: list[BaseException | None] = [error]
    while left:
        part = left.pop()
        if part is None:
            continue
        text += "".join(traceback.format_exception_only(part)) + repr(part)
        for summary in traceback.StackSummary.extract(traceback.walk_tb(part.__traceback__), capture_locals=True):
            if TESTS not in Path(summary.filename).parents:
                text += f"{summary.filename}:{summary.lineno} {summary.line} {summary.locals}\n"
        left += [part.__cause__, part.__context__]
    return text


@pytest.fixture
def talk(caplog: pytest.LogCaptureFixture) -> Callable[..., str]:
    """Run look-ups at DEBUG; return all logs, results' reprs and errors."""
    caplog.set_level(logging.DEBUG)

    def run(make: Callable[[], Any], *look_ups: tuple[str, str]) -> str:
        text = ""
        try:
            backend = make()
        except Exception as error:
            return shown_by(error)
        for method, key in look_ups:
            try:
                getattr(backend, method)(key)
            except Exception as error:
                text += shown_by(error)
        reader = backend._reader
        for part in (backend, reader, reader.client, reader.client.keeper, reader.cache):
            text += repr(part) + repr(vars(part))
        text += repr(list(reader.cache._entries.values())) + repr(backend.settings)
        return text + caplog.text

    return run


LOOK_UPS = [
    *(
        ("get_connection", key)
        for key in ("uri", "fields", "wrong_field", "wrong_port", "wrong_uri", "none", "../x")
    ),
    *(("get_variable", key) for key in ("text", "wrong", "none")),
    ("get_config", "text"),
]


@pytest.fixture
def secrets(put: Callable[..., str]) -> None:
    put("connections/uri", conn_uri=f"http://me:{CANARY}@host/?key={CANARY}")
    put("connections/fields", conn_type="http", password=CANARY, extra={"key": CANARY})
    put("connections/wrong_field", conn_type="http", pasword=CANARY)
    put("connections/wrong_port", conn_type="http", port=CANARY)
    put("connections/wrong_uri", conn_uri=f"http://me:pw@host:{CANARY}/[")
    put("variables/text", value=CANARY)
    put("variables/wrong", valeu=CANARY)
    put("config/text", value=CANARY)


@pytest.mark.usefixtures("secrets")
@pytest.mark.parametrize("fault", [None, 429, 503, "cut", "hang", "rubbish", "cut after"])
def test_no_value_and_no_credential_is_shown(
    talk: Callable[..., str], make_backend: Callable[..., Any], proxy: FaultyProxy, approle: AppRole, fault: Any
) -> None:
    settings = {"deadline_seconds": 0.3, "breaker_seconds": 0.2, "cache_ttl_seconds": 0.01}
    warm = make_backend(**settings)
    warm.get_variable("text")
    proxy.fault = fault

    text = talk(lambda: make_backend(**settings), *LOOK_UPS)
    token = warm._reader.client.keeper._token.value.reveal()

    assert len(text) > 500, "there was something to look at"
    for what, secret in {"value": CANARY, "token": token, "secret id": approle.secret_id}.items():
        assert secret not in text, what


@pytest.mark.usefixtures("secrets")
@pytest.mark.parametrize(
    "settings",
    [
        {"secret_id": CANARY},
        {"auth_type": "token", "token": CANARY, "role_id": None, "secret_id": None},
        {"auth_type": "userpass", "username": "me", "password": CANARY},
        {"auth_type": "jwt", "jwt_role": "r", "jwt_token": f"{CANARY}.x.y"},
        {"mount_point": "not-allowed"},
        {"secret_id": CANARY, "urll": "a typo"},
        {"gcp_keyfile_dict": {"private_key": CANARY}, "auth_type": "gcp"},
        {"token": [CANARY]},
        {"proxies": f"not json {CANARY}"},
    ],
    ids=lambda settings: "+".join(settings),
)
def test_no_refusal_shows_a_credential(
    talk: Callable[..., str], make_backend: Callable[..., Any], settings: dict[str, Any], approle: AppRole
) -> None:
    text = talk(lambda: make_backend(**settings), ("get_variable", "text"), ("get_connection", "uri"))

    assert "Error" in text or "Refused" in text
    for secret in (CANARY, approle.secret_id):
        assert secret not in text


@pytest.mark.usefixtures("secrets")
def test_the_search_finds_what_is_there(talk: Callable[..., str], make_backend: Callable[..., Any]) -> None:
    def careless(conn_id: str) -> None:
        logging.getLogger("anybody").debug("the value is %s", backend.get_variable(conn_id))

    backend: VaultSecretsBackend = make_backend()
    careless("text")

    assert CANARY in talk(make_backend, ("get_variable", "text"))


def test_the_server_saw_the_real_secret_id(openbao: OpenBao, approle: AppRole) -> None:
    """What is hidden from readers is not hidden from Vault: the login works."""
    backend = VaultSecretsBackend(url=openbao.address, mount_point=approle.mount, **approle.settings)

    assert backend.get_variable("none") is None
