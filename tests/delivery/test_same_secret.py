"""Whoever delivers reads the secret that `vault kv get` reads at that path."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any
from urllib.parse import quote

import pytest
from cryptography import x509
from k8s_vault_devcluster.kubelet.env_file import value_of
from k8s_vault_devcluster.openbao import OpenBao

from airflow_k8s_vault import VaultSecret
from airflow_k8s_vault.delivery.agent.template import env_file, file_key, secret_file
from airflow_k8s_vault.errors import DeliveryRefused
from airflow_k8s_vault.handover.pod_values import PodValues
from airflow_k8s_vault.secret_value import SecretValue
from airflow_k8s_vault.vault import Session, Settings
from tests.delivery.conftest import Render
from tests.vault.mounts import mount_kv

PATHS = [
    "payments/warehouse",
    "payments/data/warehouse",
    "payments/metadata/x",
    "metadata/payments/x",
    "subkeys/payments/x",
    "data",
    "metadata",
    "payments/client secret",
    "payments/100%25?v=1#x",
    "payments/a:b+c=d&e;f,g@h",
    'payments/it\'s "quoted" {y} \\ ` $(z)',
    "payments/a..b/.c",
    "payments/Übung/日本/😀",
    f"payments/{'x' * 300}",
]
KEYS = ["tls.crt", "client secret", "/etc/nginx/x.cert", 'it\'s "quoted" {y} \\ ` $(z)', "Übung 😀", "k" * 4000]


Deliver = Callable[[Sequence[VaultSecret]], dict[str, str]]


def by_worker(openbao: OpenBao, secrets: Sequence[VaultSecret]) -> list[str]:
    made = openbao.request("POST", "auth/token/create", {"ttl": "1h"})["auth"]["client_token"]
    session = Session(Settings(url=openbao.address), SecretValue(made))
    return list(PodValues(secrets, "base", None).read(session).reveal().values())


@pytest.fixture(params=["agent", "secret"])
def deliver(request: pytest.FixtureRequest, openbao: OpenBao, render: Render) -> Deliver:
    """Return the variables that the secrets become, by name."""

    def run(secrets: Sequence[VaultSecret]) -> dict[str, str]:
        names = [name for secret in secrets for name in secret.variables]
        if request.param == "secret":
            return dict(zip(names, by_worker(openbao, secrets), strict=True))
        content = render(env_file(secrets)).encode()
        return {name: value_of(file_key(name), content) for name in names}

    return run


@pytest.fixture(scope="module", params=["flat", "deep/mount"])
def mount(request: pytest.FixtureRequest, openbao: OpenBao) -> Iterator[str]:
    """A KV 2 mount of one segment or of two, with a secret at each path that says which one it is."""
    name = str(request.param)
    mount_kv(openbao, name)
    for number, path in enumerate(PATHS):
        # What whoever takes the path for one of the API would read.
        for folder in ("data/", "metadata/", "subkeys/"):
            if path.startswith(folder):
                errors = path.removeprefix(folder)
                openbao.request("POST", f"{name}/data/{quote(errors)}", {"data": {"at": "another secret"}})
        openbao.request("POST", f"{name}/data/{quote(path)}", {"data": {"at": f"number {number}"}})
    yield name
    openbao.request("DELETE", f"sys/mounts/{name}")


def test_a_path_means_what_it_means_to_vault(mount: str, deliver: Deliver) -> None:
    secrets = [VaultSecret(f"{mount}/{path}", env={f"V{n}": "at"}) for n, path in enumerate(PATHS)]

    assert [secret.mistakes() for secret in secrets if secret.mistakes()] == []
    assert {f"V{number}": f"number {number}" for number in range(len(PATHS))} == deliver(secrets)


@pytest.mark.parametrize("path", ["data/payments/x", "data/data/x"])
def test_a_path_that_may_be_the_apis_own_is_refused_with_both_meanings(path: str) -> None:
    (error,) = VaultSecret(f"secret/{path}", env={"A": "a"}).mistakes()

    assert f"may be the API's path of 'secret/{path.removeprefix('data/')}', or a secret in a folder" in error


@pytest.mark.parametrize("places", [1, 2], ids=["one place", "two places"])
def test_a_connection_is_the_one_below_its_path_whatever_that_is_called(
    places: int, mount: str, openbao: OpenBao, deliver: Deliver
) -> None:
    folders = {"A": "data/payments/conn", "B": "metadata/payments/conn", "C": "conn"}
    for folder in ("payments/conn", *folders.values()):
        openbao.request("POST", f"{mount}/data/{folder}/w", {"data": {"conn_uri": f"http://{folder}"}})

    for folder in folders.values():
        paths = (f"{mount}/{folder}/w", f"{mount}/nowhere/w")[:places]
        (result,) = deliver([VaultSecret.connection("w").resolved(paths, "kv2", (mount,) * places)]).values()
        assert f"http://{folder}" == result


def test_a_key_and_a_variable_may_be_called_what_vault_and_kubernetes_take(
    openbao: OpenBao, kv_mount: str, deliver: Deliver
) -> None:
    expected = {f"MY-DB.{number}": key for number, key in enumerate(KEYS)}
    openbao.request("POST", f"{kv_mount}/data/x", {"data": {key: name for name, key in expected.items()}})
    secret = VaultSecret(f"{kv_mount}/x", env=expected)

    assert secret.mistakes() == []
    assert {name: name for name in expected} == deliver([secret])


NAMES = ['it\'s "q" {y} \\ ` $(z)', "a=b,c", "$PATH %41", "Übung 😀"]


def test_what_vault_is_sent_is_what_the_dag_says(openbao: OpenBao, kv_mount: str, deliver: Deliver) -> None:
    mount = f"{kv_mount}-pki"
    openbao.request("POST", f"sys/mounts/{mount}", {"type": "pki"})
    openbao.request("POST", f"{mount}/root/generate/internal", {"common_name": "root", "key_type": "ec"})
    any_name = {"allow_any_name": True, "enforce_hostnames": False, "cn_validations": "disabled"}
    openbao.request("POST", f"{mount}/roles/any", {**any_name, "key_type": "ec"})
    secrets = [
        VaultSecret(
            f"{mount}/issue/any", engine="dynamic", parameters=parameters, env={f"C{number}": "certificate"}
        )
        for number, parameters in enumerate({"common_name": name, "ttl": 600} for name in NAMES)
    ]

    assert [secret.mistakes() for secret in secrets if secret.mistakes()] == []
    made = [x509.load_pem_x509_certificate(text.encode()) for text in deliver(secrets).values()]
    assert NAMES == [one.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value for one in made]
    assert all((one.not_valid_after_utc - one.not_valid_before_utc).total_seconds() < 700 for one in made)


@pytest.mark.parametrize("engine", ["kv1", "dynamic"])
def test_the_envelope_of_kv_2_is_no_secret_of_another_engine(
    engine: str, openbao: OpenBao, kv_mount: str, deliver: Deliver
) -> None:
    openbao.request("POST", f"{kv_mount}/data/x", {"data": {"a": "its value"}})

    with pytest.raises((DeliveryRefused, AssertionError), match="or empty: is engine= right"):
        deliver([VaultSecret(f"{kv_mount}/data/x", engine=engine, env={"A": "data"})])


PRINTED: dict[str, Any] = {
    "b": 1,
    "a": [1.5, True, None, {"z": 0.1, "y": -3}],
    "numbers": [1e-7, 1e22, 5.10, 100.0],
    "text": "<&> é \u2028 \x7f \b\t\n 😀",
    "😀": 1,
    "\uffee": 2,
    "Z": 4,
}


def test_a_whole_secret_is_the_same_bytes_in_both_deliveries(
    openbao: OpenBao, kv_mount: str, render: Render
) -> None:
    openbao.request("POST", f"{kv_mount}/data/x", {"data": PRINTED})
    secret = VaultSecret(f"{kv_mount}/x", file="all.json")

    assert by_worker(openbao, [secret]) == [render(secret_file(secret))]
