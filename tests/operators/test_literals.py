"""Credentials that a DAG holds, or that Airflow renders into it: refused, never shown; and what passes."""

from __future__ import annotations

import base64
import pickle
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.log import mask_secret
from kubernetes.client import V1EnvVar, V1Pod, V1Toleration, V1Volume, V1VolumeMount

from airflow_k8s_vault import VaultPodOperator, VaultSecret
from airflow_k8s_vault.errors import PolicyError
from airflow_k8s_vault.operators import vault_pod_task
from airflow_k8s_vault.teams import OPENABLE

SHIPPED = Path(__file__).parents[2] / "pod_templates"
# Made up; a masker learns of them below.
RANDOM, WORD = "kD83jf-92Kd0sL", "airflow"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    result = Path(shutil.copytree(SHIPPED, tmp_path / "pod_templates"))
    monkeypatch.setenv("AIRFLOW__K8S_VAULT__TEMPLATES_DIR", str(result))
    monkeypatch.setenv("AIRFLOW__K8S_VAULT__VAULT_ADDR", "https://vault:8200")
    return result


@pytest.fixture
def opened(folder: Path) -> Path:
    for file in (folder / "platform.yaml", folder / "payments" / "team.yaml"):
        text = file.read_text()
        file.write_text(
            text.replace("  - name\n", "  - name\n  - allow_literals\n").replace(
                "overridable: [", "overridable: [allow_literals, "
            )
        )
    return folder


def made(**given: Any) -> VaultPodOperator:
    return VaultPodOperator(task_id="load", pod_template="payments/python", **given)


def checked(task: VaultPodOperator, rendered: dict[str, Any] | None = None) -> V1Pod:
    """Return the pod that the task would send, after Airflow rendered these of its fields."""
    for name, value in (rendered or {}).items():
        setattr(task, name, value)
    return task._checked(task.build_pod_request_obj(None, dry_run=True))


HELD = {"cmds": ["./load", "--password", "hunter2"], "env_vars": {"PGPASSWORD": "hunter2"}}


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("name", HELD)
def test_a_literal_is_refused_with_the_ways_out(name: str) -> None:
    with pytest.raises(PolicyError) as refused:
        made(**{name: HELD[name]})

    assert "put it in Vault and name it in vault_secrets, or set allow_literals" in str(refused.value)
    assert "hunter2" not in str(refused.value)


@pytest.mark.usefixtures("opened")
def test_a_task_is_freed_of_the_check_where_its_team_opens_that() -> None:
    pod = checked(made(**HELD, allow_literals=True))

    assert ["./load", "--password", "hunter2"] == pod.spec.containers[0].command
    with pytest.raises(PolicyError, match="cmds looks like a credential"):
        made(**HELD)
    with pytest.raises(PolicyError, match="cmds looks like a credential"):
        made(**HELD, allow_literals=False)


@pytest.mark.usefixtures("folder")
def test_a_task_cannot_free_itself() -> None:
    with pytest.raises(PolicyError, match="sets allow_literals, which team 'payments' does not leave open"):
        made(**HELD, allow_literals=True)
    with pytest.raises(PolicyError, match="sets allow_literals"), DAG("mapped", schedule=None):
        VaultPodOperator.partial(task_id="load", pod_template="payments/python", allow_literals=True).expand(
            cmds=[["true"]]
        )
    made(allow_literals=False)


@pytest.mark.usefixtures("folder")
def test_the_final_check_is_freed_by_nothing_that_is_set_later() -> None:
    task = made()
    task.allow_literals = True

    with pytest.raises(PolicyError, match="command looks like a credential"):
        checked(task, {"cmds": HELD["cmds"]})


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    "words", [["--password", "{{ conn.db.password }}", "etl"], ["--token={{ var.value.token }}"]]
)
def test_what_airflow_renders_is_left_to_the_final_check(words: list[str]) -> None:
    made(arguments=words)


@pytest.fixture
def masked() -> Iterator[Callable[[str], None]]:
    """Let Airflow's masker know a secret, as reading a connection or a variable does."""
    from airflow.sdk._shared.secrets_masker import reset_secrets_masker

    yield mask_secret
    reset_secrets_masker()


RENDERED: list[tuple[str, Any, Any]] = [
    ("env_vars", {"A": "{{ conn.db.password }}"}, "env[A].value"),
    ("env_vars", {"A": "x{{ conn.db.password }}y"}, "env[A].value"),
    ("arguments", ["-c", "{{ var.value.token }}"], "args"),
    ("cmds", ["sh", "-c", "echo {{ var.value.token }}"], "command"),
    ("labels", {"a": "{{ var.value.token }}"}, "labels[a]"),
]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("secret", [RANDOM, WORD])
@pytest.mark.parametrize(("name", "value", "where"), RENDERED, ids=[where for *_, where in RENDERED])
def test_a_secret_of_airflows_that_jinja_put_there_is_refused_and_not_shown(
    name: str, value: Any, where: str, secret: str, masked: Callable[[str], None]
) -> None:
    masked(secret)
    task = made(**{name: value})
    rendered = (
        {key: _rendered(item, secret) for key, item in value.items()}
        if isinstance(value, dict)
        else [_rendered(item, secret) for item in value]
    )

    if secret == WORD:
        # A word that the template has as well is no secret there, and so none elsewhere.
        checked(task, {name: rendered})
        return
    with pytest.raises(PolicyError) as refused:
        checked(task, {name: rendered})
    assert f"{where} holds a secret of Airflow's (not shown)" in str(refused.value)
    assert secret not in str(refused.value)


def _rendered(text: str, secret: str) -> str:
    return text.replace("{{ conn.db.password }}", secret).replace("{{ var.value.token }}", secret)


MOUNTED: dict[str, Any] = {"volumes": [V1Volume(name="x", empty_dir={})]}
# Arguments as Airflow renders them: the field that holds the secret, or is called so.
ELSEWHERE: list[tuple[dict[str, Any], str]] = [
    ({"env_vars": [V1EnvVar(name=RANDOM, value="x")]}, "spec.containers[base].env holds"),
    ({"labels": {RANDOM: "x"}}, "metadata.labels holds"),
    ({"labels": {"map_index": RANDOM}}, "metadata.labels[map_index] holds"),
    ({"annotations": {RANDOM: "x"}}, "metadata.annotations holds"),
    ({"node_selector": {RANDOM: "x"}}, "spec.nodeSelector holds"),
    ({"name": RANDOM.lower()}, "metadata.name holds"),
    ({"volumes": [V1Volume(name=RANDOM, empty_dir={})]}, "spec.volumes holds"),
    ({"configmaps": [RANDOM]}, "spec.containers[base].envFrom holds"),
    ({**MOUNTED, "volume_mounts": [V1VolumeMount(name="x", mount_path=f"/{RANDOM}")]}, "volumeMounts holds"),
    ({"tolerations": [V1Toleration(key="a", value=RANDOM)]}, "spec.tolerations holds"),
    ({"arguments": [base64.b64encode(f"etl:{RANDOM}".encode()).decode()]}, "args holds"),
    ({"arguments": [RANDOM.encode().hex()]}, "args holds"),
    ({"arguments": ["".join(f"%{ord(c):02x}" for c in RANDOM)]}, "args holds"),
]


@pytest.mark.parametrize(("rendered", "where"), ELSEWHERE, ids=[where for _, where in ELSEWHERE])
def test_a_secret_of_airflows_is_found_wherever_jinja_puts_it(
    rendered: dict[str, Any], where: str, folder: Path, masked: Callable[[str], None]
) -> None:
    (folder / "platform.yaml").write_text("pod_security: restricted\n")
    team = folder / "payments" / "team.yaml"
    text = team.read_text()
    team.write_text(f"{text[: text.index('overridable:')]}overridable: [{', '.join(OPENABLE)}]\n")
    masked(RANDOM)
    masked(RANDOM.lower())

    with pytest.raises(PolicyError) as refused:
        checked(made(), rendered)
    assert f"{where} a secret of Airflow's (not shown)" in str(refused.value)
    assert RANDOM.lower() not in str(refused.value).lower()


@pytest.mark.usefixtures("opened")
def test_a_word_of_the_dags_is_no_secret_in_a_model_either(masked: Callable[[str], None]) -> None:
    for word in ("warehouse", "Memory", "Never", "vault-env"):
        masked(word)
    variables = [V1EnvVar(name="warehouse_name", value="warehouse")]

    checked(made(env_vars=variables, vault_secrets=[VaultSecret("secret/payments/x", env={"A": "a"})]))


@pytest.mark.usefixtures("folder")
def test_a_secret_of_airflows_that_a_function_is_called_with_is_refused(masked: Callable[[str], None]) -> None:
    def load(password: str) -> None:
        print("warehouse", len(password))

    with DAG("called", schedule=None):
        task: Any = vault_pod_task(load, pod_template="payments/python")("{{ conn.db.password }}").operator
    masked("warehouse")
    masked(RANDOM)
    # As `execute` gives them to the pod.
    script, given = task.get_python_source().encode(), pickle.dumps({"args": [RANDOM]})
    variables = {"__PYTHON_SCRIPT": script, "__PYTHON_INPUT": given}
    rendered = [V1EnvVar(name=name, value=base64.b64encode(text).decode()) for name, text in variables.items()]

    with pytest.raises(PolicyError, match=r"env\[__PYTHON_INPUT\].value holds a secret of Airflow's") as refused:
        checked(task, {"env_vars": rendered})
    assert "__PYTHON_SCRIPT" not in str(refused.value)


@pytest.mark.usefixtures("folder")
def test_a_secret_that_the_dag_file_read_itself_is_refused_where_it_looks_like_one(
    masked: Callable[[str], None],
) -> None:
    masked(RANDOM)
    masked("postgres")

    with pytest.raises(PolicyError, match="holds a secret of Airflow's"):
        checked(made(env_vars={"A": RANDOM}))
    # A password that is a word, and that word in a DAG: no reason to stop it.
    checked(made(env_vars={"PGDATABASE": "postgres"}))


@pytest.mark.usefixtures("folder")
def test_a_secret_of_airflows_in_a_templates_variable_is_refused(
    folder: Path, masked: Callable[[str], None]
) -> None:
    (folder / "payments" / "x.yaml.j2").write_text(
        '{% extends "base.yaml.j2" %}\n{% block env %}\n        - {name: A, value: "{{ a }}"}\n{% endblock %}\n'
    )
    (folder / "payments" / "x.vars.yaml").write_text("a: {type: string}\n")
    masked(RANDOM)
    task = VaultPodOperator(task_id="load", pod_template="payments/x", template_vars={"a": "{{ var.value.a }}"})

    with pytest.raises(PolicyError, match=r"env\[A\].value holds a secret of Airflow's"):
        checked(task, {"template_vars": {"a": RANDOM}})


@pytest.mark.usefixtures("folder")
def test_what_the_run_and_the_platform_are_called_is_no_secret(masked: Callable[[str], None]) -> None:
    for word in ("payments", "managed", "python", "postgres:18", "restricted"):
        masked(word)

    checked(made(env_vars={"B": "1"}))
