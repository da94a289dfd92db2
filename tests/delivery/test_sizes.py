"""How much a task may ask for: delivered where there is room, else refused with what, how much and the way out."""

from __future__ import annotations

import json
from typing import Any

import pytest
from k8s_vault_devcluster.openbao import OpenBao

from airflow_k8s_vault import VaultSecret
from airflow_k8s_vault.delivery import agent, sizes
from airflow_k8s_vault.delivery.agent.template import env_file
from airflow_k8s_vault.delivery.login import VaultLogin
from airflow_k8s_vault.delivery.secret import places, values
from airflow_k8s_vault.errors import DeliveryRefused
from tests.delivery.conftest import Render
from tests.delivery.pods import Pods

LOGIN = VaultLogin("https://vault:8200", "payments")
# Linux: MAX_ARG_STRLEN, for NAME=value with the byte that ends it.
LONGEST = 128 * 1024

MANY: dict[str, list[VaultSecret]] = {
    "130 variables of one secret": [
        VaultSecret("secret/payments/app", env={f"V{n:03d}": "k" * 40 + f"{n}" for n in range(130)})
    ],
    "77 secrets as variables": [VaultSecret(f"secret/payments/{n}", env={f"V{n}": "key"}) for n in range(77)],
    "200 files": [VaultSecret(f"secret/payments/{n:03d}", file=f"f{n}", key="password") for n in range(200)],
    "100 connections": [
        VaultSecret.connection(f"c{n}").resolved((f"secret/a/{n}", f"secret/b/{n}"), "kv2", ("secret",) * 2)
        for n in range(100)
    ],
    "300 keys with long names": [
        VaultSecret("secret/payments/app", env={f"V{n}": "ü" * 100 + f"{n}" for n in range(300)})
    ],
}


def agents(secrets: list[VaultSecret]) -> dict[str, Any]:
    pod = agent.attach({"spec": {"containers": [{"name": "base"}]}}, secrets, LOGIN)
    container: dict[str, Any] = pod["spec"]["initContainers"][0]
    return container


@pytest.mark.parametrize("requested", MANY)
def test_no_text_of_the_agents_container_is_longer_than_linux_takes(requested: str) -> None:
    container = agents(MANY[requested])

    # As the kubelet passes them on: $$ is one dollar sign by then.
    strings = [f"{e['name']}={e['value'].replace('$$', '$')}\0" for e in container["env"]]
    strings += [*container["command"], *container["lifecycle"]["postStart"]["exec"]["command"]]
    assert max(len(text.encode()) for text in strings) < LONGEST
    config = "".join(e["value"] for e in container["env"] if e["name"].startswith("AGENT_CONFIG")).replace(
        "$$", "$"
    )
    destinations = {template["destination"] for template in json.loads(config)["template"]}
    assert destinations <= set(container["lifecycle"]["postStart"]["exec"]["command"])


def test_more_than_a_pod_has_room_for_is_refused_with_the_limit_and_the_way_out() -> None:
    secrets = [VaultSecret(f"secret/payments/{n}", env={f"V{n}": "k" * 4000}) for n in range(200)]

    with pytest.raises(
        DeliveryRefused, match=rf"room for {sizes.AGENT_CONFIG_BYTES}: take whole secrets as files"
    ):
        agents(secrets)


@pytest.mark.parametrize("delivery", ["agent", "secret"])
def test_a_pod_gets_hundreds_of_variables_and_files(pods: Pods, delivery: str) -> None:
    keys = {f"key number {n}, with a long name that takes room: {'k' * 100}": f"value {n}" for n in range(300)}
    pods.servers.setup.kv("secret/payments/many", keys)
    secrets = [VaultSecret("secret/payments/many", env={f"V{n}": key for n, key in enumerate(keys)})]
    secrets += [
        VaultSecret("secret/payments/many", file=f"f{n}", key=key) for n, key in enumerate(list(keys)[:80])
    ]
    code = (
        "import os, pathlib\n"
        "assert [os.environ[f'V{n}'] for n in range(300)] == [f'value {n}' for n in range(300)]\n"
        "files = [pathlib.Path(f'/vault/secrets/f{n}').read_text() for n in range(80)]\n"
        "assert files == [f'value {n}' for n in range(80)]\n"
        "print('all there', [name for name in os.environ if 'AGENT' in name])"
    )

    run = pods.run(delivery, secrets, ["python", "-c", code])

    assert ("", "all there []\n") == (run.problem, run.log)


def test_more_variables_than_a_process_takes_are_refused_with_size_limit_and_way(
    openbao: OpenBao, kv_mount: str, render: Render
) -> None:
    openbao.request("POST", f"{kv_mount}/data/x", {"data": {"large": "x" * 32 * 1024}})

    def requested(count: int) -> VaultSecret:
        return VaultSecret(f"{kv_mount}/x", env={f"V{n:02d}": "large" for n in range(count)})

    assert len(render(env_file([requested(47)]))) < sizes.ENVIRONMENT_BYTES
    with pytest.raises(AssertionError, match=r"have 1573200 bytes together, and a process takes 1572864 from"):
        render(env_file([requested(48)]))


VARIABLE = VaultSecret("secret/payments/large", env={"LARGE": "large"})
FILE = VaultSecret("secret/payments/large", file="large", key="large")


@pytest.mark.parametrize(
    ("requested", "size", "reason"),
    [
        (VARIABLE, LONGEST - 7, ""),
        (VARIABLE, LONGEST - 6, "key 'large' of 'secret/payments/large' has 131066 bytes, and Linux takes 131072"),
        (FILE, 1024 * 1024, ""),
        (
            FILE,
            1024 * 1024 + 1,
            "have 1048577 bytes together, and a Secret of Kubernetes holds 1048576",
        ),
    ],
)
def test_what_neither_a_process_nor_a_secret_holds_is_refused_with_name_size_limit_and_way(
    requested: VaultSecret, size: int, reason: str
) -> None:
    errors = list(places([requested], "base"))
    data = {requested: {"large": "x" * size}}
    if not reason:
        assert len(values(errors, data)["value-0"]) == size
        return

    with pytest.raises(DeliveryRefused, match=reason):
        values(errors, data)
