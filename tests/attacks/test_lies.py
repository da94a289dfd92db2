"""Arguments that say one thing to the check and another to whoever uses them: names, defaults, mappings, ids."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow import settings as airflow_settings
from airflow.policies import hookimpl
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException
from kubernetes.client import V1Pod, models

from airflow_k8s_vault import VaultPodOperator, VaultSecret
from airflow_k8s_vault.errors import PolicyError, SecretSpecError, TemplateError
from airflow_k8s_vault.teams import dag_identity
from tests.attacks.conftest import make

LATER = "active_deadline_seconds"


def secret() -> VaultSecret:
    return VaultSecret("secret/payments/warehouse", env={"A": "key"})


def checked(task: VaultPodOperator) -> V1Pod:
    return task._checked(task.build_pod_request_obj(None, dry_run=True))


class TwoNames(str):
    """The name of an argument that any DAG may set, and of another one for who asks whether it is that."""

    other: str

    def __hash__(self) -> int:
        return str.__hash__(self)

    def __eq__(self, other: object) -> bool:
        return str.__eq__(self, other) is True or str.__eq__(self.other, other) is True


@pytest.mark.parametrize("name", ["config_file", "cluster_context", "on_kill_action", "callbacks"])
def test_the_name_of_an_argument_is_one_name(name: str, close: Callable[[], None]) -> None:
    close()
    both = TwoNames(LATER)
    both.other = name

    task = make(vault_secrets=[secret()], **{both: 60})

    assert 60 == task.active_deadline_seconds
    assert 60 != getattr(task, name)


class Hiding(dict[str, Any]):
    """Defaults that are not there for who looks at all of them, and are for who asks for one."""

    def __init__(self, **hidden: Any) -> None:
        super().__init__()
        self.hidden = hidden

    def __contains__(self, name: object) -> bool:
        return name in self.hidden

    def __getitem__(self, name: str) -> Any:
        return self.hidden[name]

    def get(self, name: str, otherwise: Any = None) -> Any:
        return self.hidden.get(name, otherwise)

    def __copy__(self) -> Hiding:
        return self

    __deepcopy__ = lambda self, memo: self  # noqa: E731


@pytest.mark.parametrize(
    ("name", "value"),
    [("config_file", "/tmp/x"), ("on_kill_action", "keep_pod"), ("in_cluster", True), ("env_vars", {"A": "1"})],
)
def test_a_default_that_the_checks_did_not_see_is_refused(
    name: str, value: Any, close: Callable[[], None]
) -> None:
    close()

    with (
        DAG("hiding", schedule=None, default_args=Hiding(**{name: value})),
        pytest.raises(PolicyError, match=f"sets {name},"),
    ):
        make(vault_secrets=[secret()])


@pytest.mark.parametrize(("name", "value"), [("name", "other"), ("labels", {"already_checked": "True"})])
def test_a_closed_argument_stays_closed_where_the_operator_sets_its_field_too(
    name: str, value: Any, close: Callable[[], None]
) -> None:
    close()
    task = make(vault_secrets=[secret()])
    setattr(task, name, value)

    with pytest.raises(PolicyError, match=f"^{name} of task 'load' changed after the task was made"):
        checked(task)


@pytest.fixture
def varied(templates_dir: Path) -> None:
    """A template whose variables limit what it may become."""
    (templates_dir / "payments" / "varied.yaml.j2").write_text(
        '{% extends "base.yaml.j2" %}\n{% block labels %}\n    tier: {{ place.tier }}\n'
        "    debug: {% if debug %}'on'{% else %}'off'{% endif +%}\n{% endblock %}\n"
    )
    (templates_dir / "payments" / "varied.vars.yaml").write_text(
        "place: {type: object, properties: {tier: {enum: [low], type: string}}, default: {tier: low}}\n"
        "debug: {type: boolean, enum: [false], default: false}\n"
    )


class True_:
    """Truth that says that it is falsehood."""

    __class__ = bool  # type: ignore[assignment]
    __hash__ = lambda self: 0  # noqa: E731
    __eq__ = lambda self, other: True  # noqa: E731
    bit_length = lambda self: 1  # noqa: E731


class Elsewhere(dict[Any, Any]):
    """A mapping that no copy can be made of, and that is another to the template than to the check."""

    def __iter__(self) -> Iterator[Any]:
        return iter((1,))

    def __getitem__(self, key: Any) -> Any:
        return "high" if key == "tier" else None


@pytest.mark.usefixtures("varied")
@pytest.mark.parametrize("given", [{"debug": True_()}, {"place": Elsewhere({1: 2})}], ids=["debug", "place"])
def test_a_variable_that_nobody_can_copy_is_refused(given: dict[str, Any]) -> None:
    task = make(pod_template="payments/varied")
    task.template_vars = given

    with pytest.raises(TemplateError, match=next(iter(given))):
        make(pod_template="payments/varied", template_vars=given)
    with pytest.raises(TemplateError, match=next(iter(given))):
        checked(task)


class Twofold(str):
    """The id of a DAG for Airflow's server, and another one for who makes a name of it."""

    encode = lambda self, *given: b"theirs"  # type: ignore[assignment]  # noqa: E731
    lower = lambda self: "theirs"  # type: ignore[assignment]  # noqa: E731


def test_a_dags_pod_is_of_the_dag_that_the_server_knows(templates_dir: Path) -> None:
    team = templates_dir / "payments" / "team.yaml"
    team.write_text(f"{team.read_text()}identity: dag\n")
    with DAG(Twofold("ours"), schedule=None):
        task = make(vault_secrets=[secret()])

    own = dag_identity("airflow-payments", "ours")
    assert own == checked(task).spec.service_account_name
    assert own == task._login().role


class Grown(list[Any]):
    """Tolerations that are there from the second look on."""

    looks = 0

    def __iter__(self) -> Iterator[Any]:
        self.looks += 1
        return super().__iter__() if self.looks != self.empty_at else iter(())

    empty_at = 1

    __deepcopy__ = lambda self, memo: self  # noqa: E731


@pytest.mark.parametrize("empty_at", range(1, 5))
def test_what_grows_while_the_hook_runs_is_not_the_hooks(
    empty_at: int, templates_dir: Path, close: Callable[[], None]
) -> None:
    close()
    (templates_dir / "platform.yaml").write_text("hook_fields: [spec.tolerations]\n")
    task = make(vault_secrets=[secret()])
    task.tolerations = Grown([models.V1Toleration(key="gpu", operator="Exists")])
    task.tolerations.empty_at = empty_at

    try:
        pod = checked(task)
    except PolicyError:
        return
    assert not pod.spec.tolerations


def test_what_the_hook_gets_is_what_is_compared() -> None:
    task = make(vault_secrets=[secret()], tolerations=[models.V1Toleration(key="gpu", operator="Exists")])
    seen: list[type] = []

    class Local:
        @staticmethod
        @hookimpl
        def pod_mutation_hook(pod: V1Pod) -> None:
            seen.append(type(pod.spec.tolerations))

    task.tolerations = Grown(task.tolerations)
    plugins, plugin = airflow_settings.get_policy_plugin_manager(), Local()
    plugins.register(plugin)
    try:
        task.build_pod_request_obj(None, dry_run=True)
    finally:
        plugins.unregister(plugin)

    assert [list] == seen


CHANGES: dict[str, Any] = {
    "config_file": "/tmp/x",
    "in_cluster": True,
    "cluster_context": "x",
    "callbacks": [object],
    "kubernetes_conn_id": "x",
    "on_finish_action": "keep_pod",
    "client": object(),
    "hook": object(),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_task_that_goes_on_after_its_trigger_is_as_it_was_made(name: str, close: Callable[[], None]) -> None:
    close()
    task = make(vault_secrets=[secret()])
    vars(task)[name] = CHANGES[name]
    ti = SimpleNamespace(dag_id="d", task_id="load", try_number=1, map_index=-1)
    event = {"status": "success", "name": "x", "namespace": "team-payments", "uid": "1"}

    with pytest.raises(AirflowFailException, match=name):
        task.trigger_reentry({"ti": ti, "run_id": "r"}, event)


def test_secrets_that_only_another_task_knows_are_refused() -> None:
    """Nobody would fill them in: the task would run without them."""
    with DAG("later", schedule=None):
        earlier = EmptyOperator(task_id="earlier").output
        for given in (earlier, [earlier], earlier.map(str)):
            with pytest.raises(SecretSpecError, match=r"comes from another task|holds a|of type"):
                make(vault_secrets=given)
        partial = VaultPodOperator.partial(task_id="a", pod_template="payments/etl", vault_secrets=earlier)
        with pytest.raises(SecretSpecError, match="comes from another task"):
            partial.expand(cmds=[["true"]])
        task = make(task_id="b")
        task.vault_secrets = earlier

        with pytest.raises(SecretSpecError, match="comes from another task"):
            checked(task)
