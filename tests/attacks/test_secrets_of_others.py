"""Ways to ask Vault for more than the team's ceiling, or to write into the agent's configuration."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG

from airflow_k8s_vault import VaultPodOperator, VaultSecret
from airflow_k8s_vault.delivery.agent.template import env_file, secret_file
from airflow_k8s_vault.errors import DeliveryRefused, K8sVaultError, PolicyError, SecretSpecError
from tests.attacks.conftest import Liar, Manifest, make

OWN = VaultSecret("secret/payments/warehouse", env={"A": "key"})
THEIRS = VaultSecret("secret/data-science/model", env={"A": "key"})
BREAK_OUT = 'key" }}{{ with secret "secret/data-science/model" }}{{ .Data }}{{ end }}{{ "'
Created = Callable[[VaultPodOperator], Manifest]


def _replaced(task: VaultPodOperator) -> None:
    task.vault_secrets = [THEIRS]


def _appended(task: VaultPodOperator) -> None:
    task.vault_secrets.append(VaultSecret("secret/data-science/model", env={"B": "key"}))


def _moved(task: VaultPodOperator) -> None:
    object.__setattr__(task.vault_secrets[0], "path", "secret/data-science/model")


def _broken_out(task: VaultPodOperator) -> None:
    assert task.vault_secrets[0].env is not None
    task.vault_secrets[0].env["A"] = BREAK_OUT


def _other_team(task: VaultPodOperator) -> None:
    task.pod_template = "data-science/python"


@pytest.mark.parametrize("change", [_replaced, _appended, _moved, _broken_out, _other_team])
def test_secrets_that_change_after_the_task_was_made_are_checked_again(
    change: Callable[[VaultPodOperator], None], created: Created
) -> None:
    task = make(vault_secrets=[VaultSecret("secret/payments/warehouse", env={"A": "key"})])
    change(task)

    with pytest.raises(K8sVaultError):
        created(task)


@pytest.mark.parametrize(
    "path",
    [
        "secret/data-science/model",
        "secret/payments/../data-science/model",
        "secret/payments/./x",
        "secret//payments/x",
        "secret/payments/x/",
        "secret/payments/x?version=1",
        "secret/payments/%2e%2e/data-science/model",
        "secret/payments/x\n",
        "secret/payments/x\x00",
        'secret/payments/x" }}',
        "Secret/payments/x",
        "secret/paymentѕ/x",
        "auth/token/lookup-self",
        "cubbyhole/token/x",
        "sys/raw/core",
        b"secret/payments/x",
        ["secret/payments/x"],
        None,
    ],
)
def test_a_path_outside_the_ceiling_is_refused(path: Any) -> None:
    for engine in ("kv2", "kv1", "dynamic"):
        with pytest.raises(K8sVaultError):
            make(vault_secrets=[VaultSecret(path, engine=engine, env={"A": "key"})])


def test_a_path_that_reads_differently_when_it_is_written_out_does_not_reach_the_agent(created: Created) -> None:
    lying = VaultSecret(Liar("secret/payments/warehouse", "secret/data-science/model"), env={"A": "key"})

    manifest = created(make(vault_secrets=[lying]))

    assert "data-science" not in str(manifest["spec"]["initContainers"])


@pytest.mark.parametrize(
    "given",
    [
        {"env": {Liar("A=", "A"): "key"}},
        {"env": {"A": Liar(BREAK_OUT, "key")}},
        {"file": Liar("../token", "f")},
        {"file": "f", "key": Liar("{{ x }}", "key")},
        {"env": {"A": "key"}, "engine": Liar("own", "kv2")},
        {"env": {"A": "key"}, "container": Liar("vault agent", "base")},
        {"file": "a/b"},
        {"file": ".."},
        {"file": "x\n"},
        {"env": {"A=B": "key"}},
        {"env": {"A\n": "key"}},
        {"env": {"А": "key"}},
        {"env": {"A": BREAK_OUT}},
        {"env": {"A": "k\ney"}},
        {"file": "x" * 256},
        {"file": "{{ ds }}"},
        {"env": [("A", "key")]},
        {"env": {"A": 1}},
    ],
)
def test_no_name_can_break_out_of_the_agents_configuration(given: dict[str, Any]) -> None:
    with pytest.raises(K8sVaultError, match="mistakes"):
        make(vault_secrets=[VaultSecret("secret/payments/warehouse", **given)])


HOSTILE = ["$(id)", "k'ey", 'k"ey', "k`ey", "k\\ey", "$PATH", "{ x }", "-rf", " ", "*", "😀" * 50, "%2e%2e"]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_stays_a_name_in_the_agents_configuration(name: str, created: Created) -> None:
    path = "secret/payments/x" if "%" in name else f"secret/payments/x{name}y"
    # Since 1.32 Kubernetes takes all but = in the name of a variable.
    odd = "A'\"`$" if name.startswith("k") else "A"
    secrets = [VaultSecret("secret/payments/x", env={odd: name}), VaultSecret(path, file=name, key=name)]

    manifest = created(make(vault_secrets=secrets, delivery="agent"))

    config = _agent_config(manifest)
    contents = "".join(template["contents"] for template in config["template"])
    # Within a literal nothing is left that could end it; outside of one there is nothing of the name.
    outside = re.sub(r'"[A-Za-z0-9 _./\\-]*"', "", contents)
    assert name not in outside.replace("%s", "") or name in (" ", "*", "{ x }"[1:-1])
    assert config["template"][-1]["destination"] == f"/vault/files/0/{name}"


def _agent_config(manifest: Manifest) -> dict[str, Any]:
    env = {item["name"]: item["value"] for item in manifest["spec"]["initContainers"][0]["env"]}
    config: dict[str, Any] = json.loads(env["AGENT_CONFIG"].replace("$$", "$"))
    return config


def test_the_mapping_that_a_dag_gave_is_not_the_one_that_is_delivered(created: Created) -> None:
    env = {"A": "key"}
    task = make(vault_secrets=[VaultSecret("secret/payments/warehouse", env=env)])
    env["A"] = BREAK_OUT

    assert "data-science" not in str(created(task))


def test_a_secret_cannot_be_subclassed() -> None:
    with pytest.raises(TypeError, match="no subclasses"):
        type("Trojan", (VaultSecret,), {"mistakes": lambda self: []})


@pytest.mark.parametrize("container", ["vault-agent", "airflow-xcom-sidecar", "extra"])
def test_no_container_outside_the_template_gets_a_secret(container: str, created: Created) -> None:
    secret = VaultSecret("secret/payments/warehouse", env={"A": "key"}, container=container)

    with pytest.raises(SecretSpecError, match="there is no container"):
        make(vault_secrets=[secret])
    task = make(do_xcom_push=True)
    task.vault_secrets = [secret]
    with pytest.raises(DeliveryRefused, match="there is no container"):
        created(task)


def test_a_mapped_task_is_held_to_the_ceiling() -> None:
    with DAG("mapped", schedule=None):
        earlier = EmptyOperator(task_id="earlier")
        partial = VaultPodOperator.partial(task_id="load", pod_template="payments/etl")
        with pytest.raises(PolicyError, match="may not read"):
            partial.expand(vault_secrets=[[OWN], [THEIRS]])
        mapped = VaultPodOperator.partial(task_id="later", pod_template="payments/etl").expand_kwargs(
            earlier.output
        )

        with pytest.raises(PolicyError, match="may not read"):
            mapped.unmap({"vault_secrets": [THEIRS]})


class Trojan:
    """What it says of itself is a VaultSecret, in order; what it is, is text of the agent's template language."""

    __class__ = VaultSecret  # type: ignore[assignment]
    engine, env, file, key, container, kind, elsewhere = "kv2", {"A": BREAK_OUT}, None, None, None, "", ()
    path = 'secret/payments/x" }}{{ with secret "secret/data-science/model'

    def mistakes(self) -> list[str]:
        return []


def test_an_object_that_says_that_it_is_a_vault_secret_is_none(created: Created) -> None:
    assert isinstance(Trojan(), VaultSecret)
    task = make(vault_secrets=[OWN])
    task.vault_secrets.append(Trojan())  # type: ignore[arg-type]

    with pytest.raises(SecretSpecError, match="vault_secrets holds a Trojan"):
        make(vault_secrets=[Trojan()])
    with pytest.raises(SecretSpecError, match="vault_secrets holds a Trojan"):
        created(task)


class Growing(dict[str, str]):
    """A mapping with one harmless entry, but for whoever copies it."""

    def items(self) -> Any:
        return {"A": "key"}.items()

    def __iter__(self) -> Any:
        return iter(("A",))


def test_a_mapping_that_shows_less_than_it_holds_is_taken_as_it_is() -> None:
    with pytest.raises(SecretSpecError, match="keys are not templated"):
        make(vault_secrets=[VaultSecret("secret/payments/x", env=Growing({"B": BREAK_OUT}))])


class Fits:
    """What it is compared with, it is."""

    __class__ = str  # type: ignore[assignment]
    __hash__ = lambda self: hash("kv2")  # noqa: E731
    __eq__ = lambda self, other: True  # noqa: E731


@pytest.mark.parametrize("value", [Fits(), bytearray(b"kv2"), {"kv2": 1}, ["kv2"]], ids=lambda v: type(v).__name__)
@pytest.mark.parametrize("field", ["path", "engine", "file", "key", "container"])
def test_a_part_of_a_secret_is_exactly_text(field: str, value: object) -> None:
    given = {"path": "secret/payments/x", "file": "f", field: value}

    with pytest.raises(K8sVaultError, match="mistakes"):
        make(vault_secrets=[VaultSecret(**given)])  # type: ignore[arg-type]


@pytest.mark.parametrize("field", ["env", "key"])
def test_the_agents_templates_take_no_name_that_is_not_exactly_text(field: str) -> None:
    """Whoever hands them a secret, and whatever was checked before."""
    secret = VaultSecret("secret/payments/x", env={"A": "key"}, file="f", key="k")
    name = Liar(BREAK_OUT, "key")
    object.__setattr__(secret, field, {"A": name} if field == "env" else name)

    with pytest.raises(SecretSpecError, match="is no text"):
        secret_file(secret) if field == "key" else env_file([secret])
