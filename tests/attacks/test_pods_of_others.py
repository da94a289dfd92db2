"""Ways to a pod that the team may not have: text that lies, numbers that change, arguments by the back door."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from datetime import timedelta
from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.cncf.kubernetes.callbacks import KubernetesPodOperatorCallback
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.providers.cncf.kubernetes.secret import Secret
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException
from kubernetes.client import models

from airflow_k8s_vault import VaultPodOperator, VaultSecret
from airflow_k8s_vault.errors import K8sVaultError, PolicyError, TemplateError
from airflow_k8s_vault.teams import POD_ARGUMENTS
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
        earlier = EmptyOperator(task_id="earlier")
        partial: Any = VaultPodOperator.partial(task_id="a", pod_template="payments/etl", **{name: "x"})
        with pytest.raises(PolicyError, match=name):
            partial.expand(cmds=[["a"]])
        for mapped in ({name: ["x"]}, {name: earlier.output}):
            partial = VaultPodOperator.partial(task_id="b", pod_template="payments/etl")
            with pytest.raises(PolicyError, match=name):
                partial.expand(**mapped)
        # Only another task says that it is set at all.
        later = VaultPodOperator.partial(task_id="c", pod_template="payments/etl").expand_kwargs(earlier.output)

        with pytest.raises(PolicyError, match=name):
            later.unmap({name: "x"})


# Each locked argument that the final pod does not tell of, with a value that KubernetesPodOperator takes.
TRACELESS: dict[str, Any] = {
    "in_cluster": True,
    "cluster_context": "other",
    "config_file": "/tmp/other",
    "callbacks": [KubernetesPodOperatorCallback],
    "progress_callback": print,
    "trigger_kwargs": {"cluster_context": "other"},
    "on_kill_action": "keep_pod",
    "is_delete_operator_pod": False,
    "random_name_suffix": False,
    "log_pod_spec_on_failure": False,
    "secrets": [Secret("env", "A", "any")],
    "full_pod_spec": models.V1Pod(),
    "pod_template_file": "/tmp/pod.yaml",
    "pod_template_dict": {"spec": {}},
    "base_container_name": "other",
    "xcom_sidecar_container_security_context": {"privileged": True},
}


def kept_in(name: str, value: Any) -> list[str]:
    """Return the attributes in which KubernetesPodOperator keeps an argument: those that it makes another."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plain, other = (vars(KubernetesPodOperator(task_id="a", **given)) for given in ({}, {name: value}))
    return [key for key, result in other.items() if result != plain.get(key) and "init_kwargs" not in key]


def test_all_locked_arguments_without_a_trace_are_tried_here() -> None:
    assert {a.name for a in POD_ARGUMENTS if a.rule == "locked" and not a.fields} == TRACELESS.keys()


@pytest.mark.parametrize("name", TRACELESS)
def test_a_locked_argument_that_leaves_no_trace_in_the_pod_cannot_be_set_later(
    name: str, created: Created
) -> None:
    # What this provider does with is_delete_operator_pod is nothing: on_finish_action is what counts.
    for attribute in kept_in(name, TRACELESS[name]) or ["_is_delete_operator_pod"]:
        task = make(vault_secrets=[SECRET])
        setattr(task, attribute, "changed")

        with pytest.raises(PolicyError, match=attribute):
            created(task)


@pytest.mark.parametrize("name", [argument.name for argument in POD_ARGUMENTS if argument.rule == "locked"])
@pytest.mark.parametrize("value", [None, False, 0, "", []])
def test_a_locked_argument_that_is_passed_is_refused_whatever_its_value(name: str, value: Any) -> None:
    with pytest.raises(PolicyError, match=f"sets {name},"):
        make(**{name: value})


class Agrees:
    """An object that says of itself what everybody wants to hear."""

    def __init__(self, kind: type) -> None:
        self.kind = kind

    @property
    def __class__(self) -> type:  # type: ignore[override]
        return self.kind

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False

    def __hash__(self) -> int:
        return 0

    def __bool__(self) -> bool:
        return False


@pytest.mark.parametrize(
    "name",
    [
        *("config_file", "cluster_context", "in_cluster", "kubernetes_conn_id", "on_kill_action", "callbacks"),
        *("trigger_kwargs", "_progress_callback", "pod_template", "team"),
    ],
)
def test_an_object_that_is_equal_to_everything_is_no_way_around_the_locks(
    name: str, created: Created, close: Callable[[], None]
) -> None:
    close()
    task = make(vault_secrets=[SECRET])
    setattr(task, name, Agrees(type(getattr(task, name))))

    with pytest.raises(K8sVaultError, match=name):
        created(task)


@pytest.mark.parametrize("name", ["pod", "pod_request_obj", "remote_pod", "hook", "client", "pod_manager"])
def test_a_task_begins_without_a_pod_and_without_a_client(name: str) -> None:
    task = make(vault_secrets=[SECRET])
    vars(task)[name] = SimpleNamespace(metadata=SimpleNamespace(name="theirs", namespace="team-data-science"))

    with pytest.raises(PolicyError, match=f"has {name} before it has begun") as refused:
        task.execute({})
    assert isinstance(refused.value, AirflowFailException)


class Wavering(str):
    """Text that is another each time it is read."""

    def __new__(cls, *texts: str) -> Wavering:
        text = super().__new__(cls, texts[0])
        text.texts = list(texts)  # type: ignore[attr-defined]
        return text

    def __str__(self) -> str:
        texts: list[str] = self.texts  # type: ignore[attr-defined]
        return texts.pop(0) if len(texts) > 1 else texts[0]

    __format__ = lambda self, spec: str(self)  # noqa: E731
    __eq__ = lambda self, other: str(self) == other  # noqa: E731
    __hash__ = str.__hash__


def test_a_templates_name_that_wavers_gives_one_teams_pod_and_role(created: Created) -> None:
    task = make(pod_template=Wavering("payments/etl", "data-science/python"), vault_secrets=[SECRET])

    manifest = created(task)

    assert "team-payments" == manifest["metadata"]["namespace"]
    assert "data-science" not in str(manifest)


def test_a_delivery_that_wavers_is_the_one_that_is_written_there(created: Created) -> None:
    task = make(vault_secrets=[SECRET])
    task.delivery = Wavering("agent", "none")

    for each in (task, make(vault_secrets=[SECRET], delivery=Wavering("agent", "none"))):
        assert "vault-agent" == created(each)["spec"]["initContainers"][0]["name"]


@pytest.mark.parametrize("delivery", [lambda: Agrees(str), lambda: b"agent", lambda: 1])
def test_a_delivery_that_is_no_text_is_refused(delivery: Callable[[], Any], created: Created) -> None:
    task = make(vault_secrets=[SECRET])
    task.delivery = delivery()

    with pytest.raises(K8sVaultError, match="delivery is of type"):
        make(vault_secrets=[SECRET], delivery=delivery())
    with pytest.raises(K8sVaultError, match="delivery is of type"):
        created(task)


class Wide(timedelta):
    """A time span that is short for whoever looks at it first."""

    looked = 0

    def total_seconds(self) -> float:
        self.looked += 1
        return 60.0 if self.looked == 1 else 1e9


def test_a_time_span_that_grows_bounds_pod_and_credentials_alike(created: Created) -> None:
    task = make(vault_secrets=[SECRET])
    task.execution_timeout = Wide(seconds=1)

    manifest = created(task)

    decided = task._decision.execution_timeout
    assert decided is not None
    assert decided.total_seconds() == manifest["spec"]["activeDeadlineSeconds"] == 60


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


def test_a_pod_whose_agent_has_no_time_to_end_its_login_is_refused() -> None:
    task = make(vault_secrets=[SECRET], termination_grace_period=0)

    with pytest.raises(PolicyError, match=r"has 0 s to end .*: the Vault agent needs 5 s to end its login"):
        task._checked(task.build_pod_request_obj(None, dry_run=True))
