"""Ways to a pod that the team may not have: text that lies, numbers that change, arguments by the back door."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from airflow.sdk import DAG
from kubernetes.client import models

from airflow_k8s_vault import VaultPodOperator, VaultSecret
from airflow_k8s_vault.errors import K8sVaultError, PolicyError, TemplateError
from tests.attacks.conftest import Liar, Manifest, make

SECRET = VaultSecret("secret/payments/warehouse", env={"A": "key"}, file="warehouse.json")
Created = Callable[[VaultPodOperator], Manifest]
MEMORY = models.V1EmptyDirVolumeSource(medium="Memory")


def _mount(name: str, path: str) -> dict[str, Any]:
    return {
        "volumes": [models.V1Volume(name="x", empty_dir=MEMORY)],
        "volume_mounts": [models.V1VolumeMount(name=name, mount_path=path)],
    }


@pytest.mark.parametrize(
    "given",
    [
        {"image": Liar("evil.example.com/x", "postgres:18")},
        {"init_containers": [models.V1Container(name="i", image=Liar("evil.example.com/x", "postgres:18"))]},
        _mount(Liar("vault-agent", "x"), "/steal"),
        _mount(Liar("vault-env", "x"), "/steal"),
        _mount("x", Liar("/vault/secrets", "/x")),
        {"env_vars": [models.V1EnvVar(name=Liar("A", "B"), value="x")]},
        {"labels": {Liar("sidecar.istio.io/inject", "tier"): "false"}},
        {"annotations": {Liar("vault.hashicorp.com/agent-inject", "note"): "true"}},
    ],
)
def test_text_that_claims_to_be_other_text_is_refused(given: dict[str, Any], created: Created) -> None:
    with pytest.raises(K8sVaultError):
        created(make(vault_secrets=[SECRET], **given))


@pytest.mark.parametrize(
    "name", ["vault.hashicorp.com/role", "a.b", "iam.amazonaws.com/role", "airflow-k8s-vault/pod-template"]
)
def test_an_annotation_that_a_controller_acts_on_is_refused(name: str, created: Created) -> None:
    with pytest.raises(PolicyError):
        created(make(annotations={name: "other"}))


@pytest.mark.parametrize("name", ["workload", "app.kubernetes.io/part-of"])
def test_a_label_of_the_template_stays_as_it_is(name: str, created: Created) -> None:
    """Network policies select pods by it."""
    with pytest.raises(PolicyError, match=f"labels.{name}"):
        created(make(labels={name: "other"}))


class Changing(int):
    """A number that is written out differently each time."""

    texts: Any = None

    def __str__(self) -> str:
        return "512" if next(self.texts) < 3 else "9" * 20

    __repr__ = __str__


def test_a_number_that_changes_between_check_and_use_does_not_pass_a_limit(created: Created) -> None:
    number = Changing(10**15)
    number.texts = count()

    with pytest.raises(TemplateError, match="more than the maximum"):
        created(make(template_vars={"memory": number}))


@pytest.mark.parametrize(
    "value",
    [[], {}, b"512Mi", 10**400, float("nan"), float("inf"), -1, "1e99", "٥12Mi", "512Mi\n", "512Mi\u200b", True],
    ids=repr,
)
def test_an_odd_value_of_a_variable_is_refused(value: object) -> None:
    with pytest.raises(TemplateError):
        make(template_vars={"memory": value})


def test_variables_that_change_after_the_task_was_made_are_checked_again(created: Created) -> None:
    task = make()
    for changed in ({"memory": "100Ti"}, {"images": {"etl": "evil"}}, {"team": {"namespace": "kube-system"}}):
        task.template_vars = changed

        with pytest.raises(TemplateError):
            created(task)


@pytest.mark.parametrize("name", ["namespace", "service_account_name", "config_file", "callbacks", "env_from"])
def test_a_locked_argument_is_refused_by_every_way_that_airflow_has(name: str) -> None:
    with pytest.raises(PolicyError, match=name):
        make(**{name: "x"})
    with DAG("defaults", schedule=None, default_args={name: "x"}), pytest.raises(PolicyError, match=name):
        make()
    with DAG("mapped", schedule=None):
        partial: Any = VaultPodOperator.partial(task_id="a", pod_template="payments/etl", **{name: "x"})
        fixed = partial.expand(cmds=[["a"]])
        mapped: Any = VaultPodOperator.partial(task_id="b", pod_template="payments/etl").expand(**{name: ["x"]})

        with pytest.raises(PolicyError, match=name):
            fixed.unmap({"cmds": ["a"]})
        with pytest.raises(PolicyError, match=name):
            mapped.unmap({name: "x"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("in_cluster", True),
        ("cluster_context", "other"),
        ("config_file", "/tmp/other"),
        ("callbacks", [object()]),
        ("progress_callback", print),
        ("trigger_kwargs", {"cluster_context": "other"}),
        ("on_kill_action", "keep_pod"),
        ("random_name_suffix", False),
        ("log_pod_spec_on_failure", True),
    ],
)
def test_a_locked_argument_that_leaves_no_trace_in_the_pod_cannot_be_set_later(
    name: str, value: Any, created: Created
) -> None:
    task = make(vault_secrets=[SECRET])
    setattr(task, name, value)

    with pytest.raises(PolicyError, match=name):
        created(task)


def test_a_dag_cannot_have_the_whole_pod_logged() -> None:
    with pytest.raises(PolicyError, match="log_pod_spec_on_failure"):
        make(log_pod_spec_on_failure=True)


@pytest.mark.parametrize(
    "name",
    [
        "payments/../data-science/python",
        "../etc",
        "payments//etl",
        "Payments/etl",
        "payments/etl\n",
        "payments\\etl",
    ],
)
def test_a_templates_name_cannot_leave_its_folder(name: str) -> None:
    with pytest.raises(K8sVaultError):
        make(pod_template=name)
