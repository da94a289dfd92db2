"""Into a team's namespace go pods of its templates: other ways of Airflow's Kubernetes provider are refused."""

from __future__ import annotations

import importlib
import inspect
import io
import os
import pkgutil
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from airflow import settings as airflow_settings
from airflow.exceptions import AirflowClusterPolicyViolation
from airflow.models.dag import DagModel
from airflow.models.dagbundle import DagBundleModel
from airflow.models.team import Team
from airflow.providers.cncf import kubernetes as provider
from airflow.providers.cncf.kubernetes.operators.job import (
    KubernetesDeleteJobOperator,
    KubernetesJobOperator,
    KubernetesPatchJobOperator,
)
from airflow.providers.cncf.kubernetes.operators.kueue import KubernetesStartKueueJobOperator
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.providers.cncf.kubernetes.operators.pod_exec import KubernetesPodExecOperator
from airflow.providers.cncf.kubernetes.operators.resource import (
    KubernetesCreateResourceOperator,
    KubernetesDeleteResourceOperator,
)
from airflow.providers.cncf.kubernetes.operators.spark_kubernetes import SparkKubernetesOperator
from airflow.providers.cncf.kubernetes.pod_generator import PodGenerator
from airflow.providers.cncf.kubernetes.sensors.spark_kubernetes import SparkKubernetesSensor
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, BaseOperator, task
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from airflow.sdk.execution_time import task_runner
from airflow.serialization.serialized_objects import DagSerialization
from airflow.utils.session import create_session
from kubernetes.client import models
from sqlalchemy import create_engine
from sqlalchemy.orm import sessionmaker

from airflow_k8s_vault import VaultPodOperator, VaultSecret
from airflow_k8s_vault.operators import aimed_namespaces, executor_guard, namespace_guard
from airflow_k8s_vault.operators.executor_pod import pod_override

ROOT = Path(__file__).parents[2]
POD = "apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: team-payments}\nspec: {containers: []}\n"
ALIASED = "x: &team\n  namespace: team-payments\napiVersion: v1\nkind: Pod\nmetadata:\n  <<: *team\n  name: a\n"
IN_TEAM = models.V1ObjectMeta(name="a", namespace="team-payments")
JOB = models.V1Job(metadata=IN_TEAM, spec=models.V1JobSpec(template=models.V1PodTemplateSpec()))
IN_JOB = models.V1Job(
    metadata=models.V1ObjectMeta(name="a"),
    spec=models.V1JobSpec(template=models.V1PodTemplateSpec(metadata=IN_TEAM)),
)
REFUSED = "namespace 'team-payments' of team 'payments'"


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    templates = Path(shutil.copytree(ROOT / "pod_templates", tmp_path / "pod_templates"))
    monkeypatch.setenv("AIRFLOW__K8S_VAULT__TEMPLATES_DIR", str(templates))
    monkeypatch.setenv("AIRFLOW__K8S_VAULT__VAULT_ADDR", "https://vault:8200")
    monkeypatch.setenv("AIRFLOW__K8S_VAULT__GUARD_TEAM_NAMESPACES", "True")
    monkeypatch.setenv("AIRFLOW_CONN_KUBERNETES_DEFAULT", '{"conn_type": "kubernetes"}')
    (tmp_path / "pod.yaml").write_text(POD)
    (tmp_path / "a\nb.yaml").write_text(POD)
    (tmp_path / "aliased.yaml").write_text(ALIASED)
    return tmp_path


@pytest.fixture
def task_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process is one in which Airflow runs a task, as Airflow itself tells."""
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", object(), raising=False)


def spark(namespace: str) -> dict[str, Any]:
    return {"apiVersion": "sparkoperator.k8s.io/v1beta2", "metadata": {"name": "a", "namespace": namespace}}


AIMED: dict[str, tuple[type, dict[str, Any]]] = {
    "namespace": (KubernetesPodOperator, {"namespace": "team-payments"}),
    "full_pod_spec": (KubernetesPodOperator, {"full_pod_spec": models.V1Pod(metadata=IN_TEAM)}),
    "pod_template_dict": (
        KubernetesPodOperator,
        {"pod_template_dict": {"metadata": {"namespace": "team-payments"}}},
    ),
    "pod_template_file": (KubernetesPodOperator, {"pod_template_file": "{folder}/pod.yaml"}),
    "an alias in a file": (KubernetesPodOperator, {"pod_template_file": "{folder}/aliased.yaml"}),
    "exec": (KubernetesPodExecOperator, {"namespace": "team-payments", "pod_name": "a", "command": ["id"]}),
    "job": (KubernetesJobOperator, {"namespace": "team-payments"}),
    "full_job_spec": (KubernetesJobOperator, {"full_job_spec": JOB}),
    "the pods of a job": (KubernetesJobOperator, {"full_job_spec": IN_JOB}),
    "job_template_file": (KubernetesJobOperator, {"job_template_file": "{folder}/pod.yaml"}),
    "delete a job": (KubernetesDeleteJobOperator, {"name": "a", "namespace": "team-payments"}),
    "kueue": (KubernetesStartKueueJobOperator, {"queue_name": "q", "namespace": "team-payments"}),
    "resource by name": (
        KubernetesCreateResourceOperator,
        {"yaml_conf": "kind: Pod\n", "namespace": "team-payments"},
    ),
    "resource by manifest": (KubernetesCreateResourceOperator, {"yaml_conf": f"kind: A\n---\n{POD}"}),
    "resource in a list": (
        KubernetesCreateResourceOperator,
        {"yaml_conf": '{"kind": "List", "items": [{"metadata": {"namespace": "team-payments"}}]}'},
    ),
    "resource by file": (KubernetesDeleteResourceOperator, {"yaml_conf_file": "{folder}/aliased.yaml"}),
    "the namespace itself": (
        KubernetesDeleteResourceOperator,
        {"yaml_conf": "kind: Namespace\nmetadata: {name: team-payments}\n"},
    ),
    "the namespace by another name": (
        KubernetesDeleteResourceOperator,
        {"yaml_conf": "kind: NamesListpace\nitems: [{metadata: {name: team-payments}}]\n"},
    ),
    "resource in one line": (
        KubernetesCreateResourceOperator,
        {"yaml_conf": "--- {kind: Pod, metadata: {namespace: team-payments}}"},
    ),
    "resource before a mistake": (KubernetesCreateResourceOperator, {"yaml_conf": f"{POD}---\na: [\n"}),
    "resource as bytes": (KubernetesCreateResourceOperator, {"yaml_conf": POD.encode("utf-16")}),
    "resource by a file with an odd name": (
        KubernetesCreateResourceOperator,
        {"yaml_conf_file": "{folder}/a\nb.yaml"},
    ),
    "a namespace that is no text": (
        KubernetesPodExecOperator,
        {"namespace": Path("team-payments"), "pod_name": "a", "command": ["id"]},
    ),
    "patch a job": (KubernetesPatchJobOperator, {"name": "a", "body": {}, "namespace": "team-payments"}),
    "watch a Spark job": (SparkKubernetesSensor, {"application_name": "a", "namespace": "team-payments"}),
    "spark": (SparkKubernetesOperator, {"namespace": "team-payments", "image": "a", "code_path": "a"}),
    "spark by dict": (
        SparkKubernetesOperator,
        {"template_spec": spark("team-payments"), "image": "a", "code_path": "a"},
    ),
}


def given(folder: Path, arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments with the folder in them."""
    return {k: v.replace("{folder}", str(folder)) if isinstance(v, str) else v for k, v in arguments.items()}


def refused(aimed: Any, *, what: str = REFUSED) -> None:
    with pytest.raises(AirflowClusterPolicyViolation, match=what):
        namespace_guard.task_policy(aimed)


@pytest.mark.parametrize("way", AIMED)
def test_a_task_that_aims_at_a_teams_namespace_fails_to_import(way: str, folder: Path) -> None:
    kind, arguments = AIMED[way]

    refused(kind(task_id="sneaky", **given(folder, arguments)))


@pytest.mark.parametrize("way", AIMED)
def test_a_mapped_task_that_aims_there_fails_to_import(way: str, folder: Path) -> None:
    kind, arguments = AIMED[way]
    (name, value), *others = reversed(given(folder, arguments).items())
    if "namespace" in arguments:
        name, others = "namespace", [(k, v) for k, v in given(folder, arguments).items() if k != "namespace"]
        value = "team-payments"
    with DAG("mapped", schedule=None):
        partial: Any = kind.partial(task_id="a", **dict(others), **{name: value})
        fixed = partial.expand(labels=[{"a": "b"}]) if issubclass(kind, KubernetesPodOperator) else None
        partial = kind.partial(task_id="b", **dict(others))
        expanded = partial.expand(**{name: [value]}) if not isinstance(value, dict) else None
        partial = kind.partial(task_id="c", **dict(others))
        by_kwargs = partial.expand_kwargs([{"retries": 1}, {name: value}])

    for mapped in filter(None, (fixed, expanded, by_kwargs)):
        refused(mapped)


def test_every_operator_of_the_installed_provider_is_tried_here() -> None:
    """One that a later provider brings is guarded all the same: it is found by where its class is."""
    matches = set()
    for module in pkgutil.walk_packages(provider.__path__, f"{provider.__name__}."):
        if any(f".{folder}." in module.name for folder in ("operators", "sensors", "decorators")):
            for kind in vars(importlib.import_module(module.name)).values():
                if inspect.isclass(kind) and issubclass(kind, BaseOperator) and kind.__module__ == module.name:
                    matches.add(kind)
    tried = {kind for kind, _ in AIMED.values()}

    assert tried <= matches
    # Base classes, decorated ones, and one that installs Kueue itself.
    others = {kind.__name__ for kind in matches - tried if not any(issubclass(each, kind) for each in tried)}
    assert others <= {
        "_KubernetesDecoratedOperator",
        "_KubernetesCmdDecoratedOperator",
        "KubernetesInstallKueueOperator",
    }
    assert all(namespace_guard._is_of_the_provider(SimpleNamespace(operator_class=kind)) for kind in matches)


def test_decorated_tasks_are_guarded_too() -> None:
    with DAG("decorated", schedule=None) as dag:

        @task.kubernetes(image="a", namespace="team-payments")
        def sneaky() -> None: ...

        sneaky()

    refused(dag.get_task("sneaky"))


def test_a_class_is_no_vault_pod_operator_because_it_is_called_so() -> None:
    kind = type(
        "VaultPodOperator", (KubernetesPodOperator,), {"__module__": "airflow_k8s_vault.operators.vault_pod"}
    )

    refused(kind(task_id="sneaky", namespace="team-payments"))


def test_what_aims_elsewhere_or_is_ours_imports(monkeypatch: pytest.MonkeyPatch) -> None:
    with DAG("fine", schedule=None):
        for fine in (
            VaultPodOperator(task_id="load", pod_template="payments/etl"),
            KubernetesPodOperator(task_id="elsewhere", namespace="default", labels={"namespace": "team-payments"}),
            KubernetesPodOperator(task_id="no_file", pod_template_file="/no/such/file"),
            KubernetesCreateResourceOperator(task_id="bad", yaml_conf="a: [namespace"),
            EmptyOperator(task_id="empty", params={"namespace": "team-payments"}),
        ):
            namespace_guard.task_policy(fine)
    monkeypatch.setenv("AIRFLOW__K8S_VAULT__GUARD_TEAM_NAMESPACES", "False")
    namespace_guard.task_policy(KubernetesPodOperator(task_id="off", namespace="team-payments"))


def run(aimed: Any, context: dict[str, Any] | None = None) -> None:
    """Do what Airflow does before it executes a task: render it, and call its pre_execute."""
    namespace_guard.task_policy(aimed)
    ti = SimpleNamespace(dag_id="d", task_id="t", try_number=1, map_index=-1)
    about = {"ti": ti, "run_id": "r", "dag": None, **(context or {})}
    aimed.render_template_fields(about)
    about.setdefault("task", aimed)
    hook = about["task"]._pre_execute_hook
    assert hook is not None
    hook(about)


LATE: dict[str, tuple[type, dict[str, Any]]] = {
    "namespace": (KubernetesPodOperator, {"namespace": "{{ params }}"}),
    "file": (KubernetesPodOperator, {"pod_template_file": "{{ file }}"}),
    "dict": (KubernetesPodOperator, {"pod_template_dict": {"metadata": {"namespace": "{{ params }}"}}}),
    "exec": (KubernetesPodExecOperator, {"namespace": "{{ params }}", "pod_name": "a", "command": ["id"]}),
    "resource": (
        KubernetesCreateResourceOperator,
        {"yaml_conf": "kind: A\nmetadata: {namespace: {{ params }} }\n"},
    ),
    "delete": (KubernetesDeleteJobOperator, {"name": "a", "namespace": "{{ params }}"}),
}


@pytest.mark.parametrize("way", LATE)
def test_what_airflow_fills_in_is_looked_at_when_the_task_runs(way: str, folder: Path) -> None:
    kind, arguments = LATE[way]
    about = {"params": "team-payments", "file": str(folder / "pod.yaml")}

    with pytest.raises(AirflowFailException, match=REFUSED):
        run(kind(task_id="late", **arguments), about)
    run(kind(task_id="fine", **arguments), {"params": "default", "file": "/no/such/file"})


def test_what_another_task_returns_is_looked_at_when_the_task_runs() -> None:
    with DAG("mapped", schedule=None):
        earlier = EmptyOperator(task_id="earlier")
        mapped: Any = KubernetesPodOperator.partial(task_id="m").expand(namespace=earlier.output)
    namespace_guard.task_policy(mapped)

    task = mapped.unmap({"namespace": "team-payments"})
    with pytest.raises(AirflowFailException, match=REFUSED):
        task._pre_execute_hook({"task": task})


@pytest.mark.parametrize("kind", [KubernetesPodExecOperator, KubernetesCreateResourceOperator])
def test_the_namespace_of_the_connection_counts(kind: type, monkeypatch: pytest.MonkeyPatch) -> None:
    extra = '{"conn_type": "kubernetes", "extra": {"namespace": "team-payments"}}'
    monkeypatch.setenv("AIRFLOW_CONN_KUBERNETES_DEFAULT", extra)
    arguments = (
        {"pod_name": "a", "command": ["id"]} if kind is KubernetesPodExecOperator else {"yaml_conf": "kind: A\n"}
    )

    with pytest.raises(AirflowFailException, match=REFUSED):
        run(kind(task_id="default", **arguments))


@pytest.mark.usefixtures("task_process")
def test_the_pod_itself_is_looked_at_as_it_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    extra = '{"conn_type": "kubernetes", "extra": {"namespace": "team-payments"}}'
    monkeypatch.setenv("AIRFLOW_CONN_KUBERNETES_DEFAULT", extra)
    by_default = KubernetesPodOperator(task_id="by_default", name="a", do_xcom_push=False)
    run(by_default)

    with pytest.raises(AirflowFailException, match=f"Pod 'a-.*' aims at {REFUSED}"):
        by_default.build_pod_request_obj({}, dry_run=True)


@pytest.mark.usefixtures("task_process")
def test_a_pod_that_another_task_builds_by_the_operator_is_refused() -> None:
    in_a_function = KubernetesPodOperator(task_id="a", namespace="team-payments")

    with pytest.raises(AirflowFailException, match=REFUSED):
        in_a_function.build_pod_request_obj(dry_run=True)


def test_a_pod_that_an_earlier_try_left_there_is_not_gone_on_with() -> None:
    stored = {"pod_identifier": {"name": "a", "namespace": "team-payments"}}

    with pytest.raises(AirflowFailException, match=REFUSED):
        run(KubernetesPodOperator(task_id="a", namespace="default"), {"task_state_store": stored})
    run(KubernetesPodOperator(task_id="a", namespace="default"), {"task_state_store": {}})


def test_what_cannot_be_looked_at_is_refused(folder: Path) -> None:
    (folder / "large.yaml").write_text(f"{POD}---\n{'#' * (9 << 20)}")
    os.mkfifo(folder / "pipe.yaml")

    for arguments in (
        {"yaml_conf_file": str(folder / "large.yaml")},
        {"yaml_conf_file": str(folder / "pipe.yaml")},
        {"yaml_conf": io.StringIO(POD)},
    ):
        refused(KubernetesCreateResourceOperator(task_id="a", **arguments), what="no file of at most|open file")


def test_mapped_values_cannot_take_the_second_look_away() -> None:
    with DAG("mapped", schedule=None):
        earlier = EmptyOperator(task_id="earlier")
        loose, strict = (
            KubernetesPodOperator.partial(task_id=name).expand_kwargs(earlier.output, strict=name == "strict")
            for name in ("loose", "strict")
        )
    namespace_guard.task_policy(strict)

    refused(loose, what="strict=False")
    with pytest.raises(TypeError, match="pre_execute"):
        strict.unmap({"namespace": "team-payments", "pre_execute": None})


def test_each_of_many_models_is_looked_at() -> None:
    """A dict that was made of a model and thrown away may have the identity of the next."""
    many = [models.V1Pod(metadata=models.V1ObjectMeta(namespace=f"n{number}")) for number in range(500)]

    assert 500 == len(set(aimed_namespaces.of({"pods": many})))


@pytest.mark.usefixtures("task_process")
def test_a_subclass_of_ours_that_builds_another_pod_is_refused() -> None:
    class Sneaky(VaultPodOperator):
        def build_pod_request_obj(self, context: Any = None, *, dry_run: bool = False) -> Any:
            self.namespace = "team-payments"
            return KubernetesPodOperator.build_pod_request_obj(self, context, dry_run=dry_run)

    honest, sneaky = (kind(task_id="a", pod_template="payments/etl") for kind in (VaultPodOperator, Sneaky))
    run(honest)
    run(sneaky)

    assert "team-payments" == honest.build_pod_request_obj(dry_run=True).metadata.namespace
    with pytest.raises(AirflowFailException, match=REFUSED):
        sneaky.build_pod_request_obj(dry_run=True)


def test_what_the_dag_runs_before_its_task_still_runs() -> None:
    called = []
    before = KubernetesPodOperator(task_id="a", pre_execute=lambda context: called.append(context["run_id"]))

    run(before)

    assert ["r"] == called


BROKEN = {
    "a wrong key": "namespace: team-payments\nvault_rule: payments\n",
    "no YAML": "a: [\nnamespace: team-payments\n",
    "brackets": '{"namespace": "team-payments"}',
    "an anchor": "namespace: &team !!str team-payments\n",
    "a byte-order mark": "\ufeffnamespace : team-payments\nx: 1\n",
    "tabs": "\tnamespace:\tteam-payments\n",
}


@pytest.mark.parametrize("mistake", BROKEN)
def test_a_broken_team_stops_no_other_teams_import_and_stays_guarded(mistake: str, folder: Path) -> None:
    namespace_guard._owners_in.cache_clear()
    (folder / "pod_templates/payments/team.yaml").write_text(BROKEN[mistake])

    namespace_guard.task_policy(KubernetesPodOperator(task_id="fine", namespace="default"))
    refused(KubernetesPodOperator(task_id="sneaky", namespace="team-payments"))
    refused(KubernetesPodOperator(task_id="other", namespace="team-data-science"), what="team 'data-science'")


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda file: file.symlink_to("/dev/zero")])
def test_a_team_whose_file_is_none_stops_no_other_teams_import(make: Callable[[Path], Any], folder: Path) -> None:
    namespace_guard._owners_in.cache_clear()
    file = folder / "pod_templates/payments/team.yaml"
    file.unlink()
    make(file)

    namespace_guard.task_policy(KubernetesPodOperator(task_id="fine", namespace="default"))
    refused(KubernetesPodOperator(task_id="other", namespace="team-data-science"), what="team 'data-science'")


def test_a_thousand_tasks_read_their_template_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[str] = []
    parse = yaml.safe_load_all
    monkeypatch.setattr(yaml, "safe_load_all", lambda text: reads.append(text) or parse(text))
    (folder / "many.yaml").write_text("metadata: {namespace: default}\n")

    for number in range(1000):
        file = str(folder / "many.yaml")
        namespace_guard.task_policy(KubernetesPodOperator(task_id=f"t{number}", pod_template_file=file))

    assert 1 == len(reads)


def test_a_pod_that_a_dag_makes_itself_for_a_worker_is_refused() -> None:
    ours = pod_override(pod_template="payments/python")
    theirs = models.V1Pod(metadata=IN_TEAM, spec=models.V1PodSpec(containers=[models.V1Container(name="base")]))
    changed = pod_override(pod_template="payments/python")
    changed.spec.containers[0].image = "evil"

    namespace_guard.task_policy(EmptyOperator(task_id="fine", executor_config={"pod_override": ours}))
    for pod in (theirs, changed):
        with pytest.raises(AirflowClusterPolicyViolation, match=f"has a pod_override that aims at {REFUSED}"):
            namespace_guard.task_policy(EmptyOperator(task_id="a", executor_config={"pod_override": pod}))


def worker(pod: models.V1Pod) -> models.V1Pod:
    """Return the pod as KubernetesExecutor has it before it calls the hook."""
    pod.metadata.labels = {**(pod.metadata.labels or {}), "kubernetes_executor": "True"}
    pod.metadata.annotations = {**(pod.metadata.annotations or {}), "dag_id": "report"}
    return pod


@pytest.mark.parametrize(("team", "fine"), [("payments", True), ("data-science", False), (None, False)])
def test_with_multi_team_a_worker_gets_no_pod_of_another_team(
    team: str | None, fine: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__MULTI_TEAM", "True")
    monkeypatch.setattr(executor_guard, "_team_of", lambda dag_id: {"report": team}[dag_id])
    by_hand = models.V1Pod(metadata=models.V1ObjectMeta(namespace="team-payments"))

    for pod in (pod_override(pod_template="payments/python"), by_hand):
        if fine:
            namespace_guard.pod_mutation_hook(worker(pod))
            continue
        with pytest.raises(AirflowException, match="asks for a worker pod of team 'payments'"):
            namespace_guard.pod_mutation_hook(worker(pod))
    namespace_guard.pod_mutation_hook(worker(models.V1Pod(metadata=models.V1ObjectMeta(namespace="airflow"))))


@pytest.mark.parametrize("secrets", [[], [VaultSecret("secret/payments/warehouse", file="a", key="b")]])
def test_what_the_executors_own_template_opens_is_refused_where_there_are_secrets(secrets: Any) -> None:
    own = models.V1Pod(
        metadata=models.V1ObjectMeta(namespace="airflow"),
        spec=models.V1PodSpec(containers=[models.V1Container(name="base")], share_process_namespace=True),
    )
    override = pod_override(pod_template="payments/python", vault_secrets=secrets)

    pod = worker(PodGenerator.reconcile_pods(own, override))
    if not secrets:
        namespace_guard.pod_mutation_hook(pod)
        return
    with pytest.raises(AirflowException, match=r"spec\.shareProcessNamespace shows each container"):
        namespace_guard.pod_mutation_hook(pod)


def test_whose_a_dag_is_the_scheduler_reads_from_its_database(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = create_engine("sqlite://")
    DagModel.metadata.create_all(engine, tables=[Team.__table__, *_tables(DagBundleModel, DagModel)])
    monkeypatch.setattr(airflow_settings, "NonScopedSession", sessionmaker(engine, expire_on_commit=False))
    with create_session(scoped=False) as session:
        bundle = DagBundleModel(name="bundle")
        bundle.teams = [Team(name="payments")]
        session.add_all([bundle, DagModel(dag_id="report", bundle_name="bundle")])

    assert "payments" == executor_guard._team_of("report")
    assert executor_guard._team_of("another") is None


def _tables(*models: Any) -> list[Any]:
    from airflow.models.team import dag_bundle_team_association_table

    return [*(model.__table__ for model in models), dag_bundle_team_association_table]


def test_the_same_dag_gives_the_same_bytes_at_each_import() -> None:
    secrets = [VaultSecret("secret/payments/warehouse", env={"PGPASSWORD": "password"})]

    def serialized() -> Any:
        with DAG("same", schedule=None) as dag:
            override = pod_override(pod_template="payments/python", vault_secrets=secrets)
            EmptyOperator(task_id="worker", executor_config={"pod_override": override})
            VaultPodOperator(task_id="ours", pod_template="payments/etl", vault_secrets=secrets)
            VaultPodOperator.partial(task_id="mapped", pod_template="payments/etl").expand(cmds=[["a"], ["b"]])
            KubernetesPodOperator(task_id="plain", namespace="default")
            KubernetesPodOperator.partial(task_id="many", namespace="default").expand(cmds=[["a"], ["b"]])
        for each in dag.tasks:
            namespace_guard.task_policy(each)
        return DagSerialization.to_dict(dag)

    first = serialized()

    assert first == serialized()
    assert "airflow-k8s-vault/request" not in str(first)
    DagSerialization.from_dict(first)
