"""A pod that is found, and not made this moment, may be anybody's: it is neither read nor deleted nor counted."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes.client import ApiException

from airflow_k8s_vault.delivery import OWNER_ANNOTATION, REQUEST_ANNOTATION, TEMPLATE_ANNOTATION
from airflow_k8s_vault.operators.pod_manager import GONE
from tests.faults.endings import LONG
from tests.faults.fault_environment import NAMESPACE, FaultEnvironment
from tests.faults.worker import WatchedOperator, context, resume, run, trigger, wait_until

pytestmark = pytest.mark.integration

Manifest = dict[str, Any]
ELSEWHERE = "team-data-science"
# What a pod of somebody else writes to its log.
THEIRS = "their-log-42"
WAITS = "echo their-log-$((40 + 2)); trap 'exit 0' TERM; sleep 60 & wait"


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultEnvironment]:
    with pytest.MonkeyPatch.context() as patch, FaultEnvironment(tmp_path_factory.mktemp("environment")) as made:
        patch.setenv("K8S_VAULT_TEST_DEBUG", "1")
        yield made


@pytest.fixture(autouse=True)
def templates_dir() -> None:
    """The environment's: this room's own is for tests without a cluster."""


@pytest.fixture(autouse=True)
def clean(environment: FaultEnvironment) -> Iterator[None]:
    environment.begin()
    yield
    environment.clean()
    for pod in environment.core.list_namespaced_pod(ELSEWHERE).items:
        environment.core.delete_namespaced_pod(pod.metadata.name, ELSEWHERE, grace_period_seconds=0)


class StateStore:
    """Airflow's task state store, as a task sees it: in a file, for workers are forked."""

    def __init__(self, folder: Path, **stored: Any) -> None:
        self._file = folder / "state.json"
        self._file.write_text(json.dumps(stored))

    def get(self, key: str) -> Any:
        return json.loads(self._file.read_text()).get(key)

    def set(self, key: str, value: Any) -> None:
        self._file.write_text(json.dumps({**json.loads(self._file.read_text()), key: value}))


def sent(environment: FaultEnvironment, operator: WatchedOperator) -> Manifest:
    """Return the manifest that the task would send, which is what an attacker would copy."""
    # A copy: a task whose pod was built before it begins is refused.
    pod = copy.copy(operator).build_pod_request_obj(context(operator))
    manifest: Manifest = environment.core.api_client.sanitize_for_serialization(pod)
    manifest["metadata"]["name"] = "theirs"
    manifest["spec"].pop("schedulingGates", None)
    manifest["spec"]["containers"][0]["command"] = ["sh", "-c", WAITS]
    return manifest


def plain(manifest: Manifest) -> None:
    """No credentials, and no agent."""
    spec = manifest["spec"]
    spec.pop("initContainers", None)
    spec.pop("volumes", None)
    for container in spec["containers"]:
        container.pop("env", None)
        container.pop("volumeMounts", None)


def other_image(manifest: Manifest) -> None:
    manifest["spec"]["containers"][0]["image"] = "python:3.12-slim"


def other_command(manifest: Manifest) -> None:
    """Nothing but the command, which is set anyhow."""


def another_container(manifest: Manifest) -> None:
    base = manifest["spec"]["containers"][0]
    extra = {key: base[key] for key in ("image", "command", "resources", "securityContext")}
    manifest["spec"]["containers"].append({"name": "extra", **extra})


def other_account(manifest: Manifest) -> None:
    manifest["spec"]["serviceAccountName"] = "default"


def no_owner(manifest: Manifest) -> None:
    del manifest["metadata"]["annotations"][OWNER_ANNOTATION]


def owner_of_another(manifest: Manifest) -> None:
    manifest["metadata"]["annotations"][OWNER_ANNOTATION] = "0" * 32


def other_template(manifest: Manifest) -> None:
    manifest["metadata"]["annotations"][TEMPLATE_ANNOTATION] = "payments/python"


def no_request(manifest: Manifest) -> None:
    del manifest["metadata"]["annotations"][REQUEST_ANNOTATION]


FORGED = [
    (plain, "store"),
    (plain, "labels"),
    (other_image, "store"),
    (other_image, "labels"),
    (other_command, "labels"),
    (another_container, "store"),
    (other_account, "labels"),
    (no_owner, "store"),
    (owner_of_another, "labels"),
    (other_template, "store"),
    (no_request, "labels"),
]


def log_of_workers() -> str:
    return Path(os.environ["K8S_VAULT_TEST_WORKER_LOG"]).read_text(errors="replace")


def is_untouched(environment: FaultEnvironment, pod: Any) -> bool:
    """Whether a pod runs as it did, and nobody read its log or wrote on it."""
    requests = [request for request in environment.kube.done if f"/{pod.metadata.name}/log" in request]
    try:
        now = environment.core.read_namespaced_pod(pod.metadata.name, pod.metadata.namespace)
    except ApiException:
        return False
    same = now.metadata.uid == pod.metadata.uid and now.metadata.labels == pod.metadata.labels
    return same and now.metadata.deletion_timestamp is None and not requests and THEIRS not in log_of_workers()


def killed_while_its_pod_runs(environment: FaultEnvironment, operator: WatchedOperator) -> Any:
    """Run a task until its worker dies; return the pod."""
    worker = run(operator)
    name = wait_until(lambda: environment.running(operator))["metadata"]["name"]
    worker.kill()
    worker.outcome()
    return environment.core.read_namespaced_pod(name, NAMESPACE)


def replaced(environment: FaultEnvironment, pod: Any) -> Any:
    """Put another pod in its place, of the same name and with all that can be copied; return that."""
    copied = environment.core.api_client.sanitize_for_serialization(pod)
    environment.core.delete_namespaced_pod(pod.metadata.name, NAMESPACE, grace_period_seconds=0)
    wait_until(lambda: not environment.core.list_namespaced_pod(NAMESPACE).items)
    copied["metadata"] = {key: copied["metadata"][key] for key in ("name", "annotations", "labels")}
    copied["spec"].pop("nodeName", None)
    plain(copied)
    copied["spec"]["containers"][0]["command"] = ["sh", "-c", WAITS]
    # What was read until now was the task's own.
    environment.kube.forget()
    return environment.core.create_namespaced_pod(NAMESPACE, copied)


@pytest.mark.parametrize(
    ("forge", "found_by"), FORGED, ids=[f"{forge.__name__} by {found_by}" for forge, found_by in FORGED]
)
def test_a_pod_of_somebody_else_is_left_alone_and_the_task_makes_its_own(
    environment: FaultEnvironment, forge: Callable[[Manifest], None], found_by: str, tmp_path: Path
) -> None:
    operator = environment.operator(delivery="secret" if forge is plain else "agent")
    manifest = sent(environment, operator)
    forge(manifest)
    if found_by == "store":
        manifest["metadata"]["labels"] = {"dag_id": "other", "try_number": "1"}
    theirs = environment.core.create_namespaced_pod(NAMESPACE, manifest)
    if found_by == "store":
        operator.state_store = StateStore(tmp_path, pod_identifier={"name": "theirs", "namespace": NAMESPACE})

    ended = run(operator).outcome()

    assert ended == ("ok", None), ended[1]
    assert is_untouched(environment, theirs)
    assert "Pod team-payments/theirs, which " in log_of_workers()
    assert environment.started(operator)


def test_a_pod_in_a_namespace_of_others_is_not_even_looked_at(
    environment: FaultEnvironment, tmp_path: Path
) -> None:
    operator = environment.operator(delivery="secret")
    manifest = sent(environment, operator)
    manifest["metadata"]["namespace"] = ELSEWHERE
    manifest["spec"]["serviceAccountName"] = "airflow-data-science"
    plain(manifest)
    theirs = environment.core.create_namespaced_pod(ELSEWHERE, manifest)
    operator.state_store = StateStore(tmp_path, pod_identifier={"name": "theirs", "namespace": ELSEWHERE})

    ended = run(operator).outcome()

    assert ended == ("ok", None), ended[1]
    assert is_untouched(environment, theirs)
    assert not [request for request in environment.kube.done if ELSEWHERE in request]


@pytest.mark.parametrize(
    "stored",
    ["theirs", {}, {"name": None, "namespace": NAMESPACE}, {"name": "../../secrets", "namespace": NAMESPACE}],
    ids=repr,
)
def test_what_no_task_wrote_into_the_store_names_no_pod(
    environment: FaultEnvironment, stored: Any, tmp_path: Path
) -> None:
    operator = environment.operator(secrets=[], cmds=["true"])
    operator.state_store = StateStore(tmp_path, pod_identifier=stored)

    assert run(operator).outcome() == ("ok", None)


def test_the_very_same_pod_is_another_one_where_kubernetes_gave_another_uid(
    environment: FaultEnvironment, tmp_path: Path
) -> None:
    operator = environment.operator("sleep 2")
    operator.state_store = StateStore(tmp_path)
    theirs = replaced(environment, killed_while_its_pod_runs(environment, operator))

    ended = run(operator, try_number=2).outcome()

    assert ended == ("ok", None), ended[1]
    assert is_untouched(environment, theirs)


@pytest.mark.parametrize("with_store", [True, False])
@pytest.mark.parametrize("delivery", ["agent", "secret"])
def test_the_next_try_goes_on_with_its_own_pod(
    environment: FaultEnvironment, delivery: str, with_store: bool, tmp_path: Path
) -> None:
    operator = environment.operator("until [ -e /tmp/go ]; do sleep 0.1; done", delivery=delivery)
    if with_store:
        operator.state_store = StateStore(tmp_path)
    pod = killed_while_its_pod_runs(environment, operator)

    second = run(operator, try_number=2)
    wait_until(lambda: f"Reusing existing pod '{pod.metadata.name}'" in log_of_workers())
    environment.run_in(pod.metadata.name, "base", "touch /tmp/go")
    ended = second.outcome()

    assert ended == ("ok", None), ended[1]
    assert len(environment.pods_of(operator)) == 1


@pytest.mark.parametrize("event", ["no uid", "uid"])
def test_a_task_that_goes_on_after_its_trigger_reads_no_other_pod(
    environment: FaultEnvironment, event: str
) -> None:
    operator = environment.operator(deferrable=True, **LONG)
    payload = run(operator).outcome()[1][1]
    name = wait_until(lambda: environment.running(operator))["metadata"]["name"]
    theirs = replaced(environment, environment.core.read_namespaced_pod(name, NAMESPACE))
    event_ = {"status": "success", "name": name, "namespace": NAMESPACE}
    event_ |= {"uid": payload["uid"]} if event == "uid" else {}

    state, message = resume(operator, event_).outcome()

    assert (state, "is not this task's" in message) == ("failed", True), message
    assert is_untouched(environment, theirs)


def test_a_task_that_goes_on_after_its_trigger_looks_into_no_other_namespace(
    environment: FaultEnvironment,
) -> None:
    operator = environment.operator(deferrable=True)

    state, message = resume(operator, {"status": "success", "name": "x", "namespace": ELSEWHERE}).outcome()

    assert (state, "in no namespace of this task's" in message) == ("failed", True), message


@pytest.mark.parametrize("then", ["", "on_kill"])
def test_a_trigger_neither_watches_nor_deletes_another_pod(environment: FaultEnvironment, then: str) -> None:
    operator = environment.operator(deferrable=True, **LONG)
    serialized = run(operator).outcome()[1]
    name = wait_until(lambda: environment.running(operator))["metadata"]["name"]
    theirs = replaced(environment, environment.core.read_namespaced_pod(name, NAMESPACE))

    state, event = trigger(serialized, then).outcome()

    assert state == "ok", event
    assert is_untouched(environment, theirs)
    assert then or event["status"] in ("failed", "error")


def test_a_worker_whose_pod_was_replaced_says_so_and_leaves_the_other_alone(environment: FaultEnvironment) -> None:
    operator = environment.operator(**LONG)
    worker = run(operator)
    name = wait_until(lambda: environment.running(operator))["metadata"]["name"]
    theirs = replaced(environment, environment.core.read_namespaced_pod(name, NAMESPACE))

    state, message = worker.outcome()

    # It may look in the moment between the two.
    assert state == "failed"
    assert "another one took its name" in message or GONE in message, message
    assert is_untouched(environment, theirs)


def test_on_kill_deletes_no_other_pod(environment: FaultEnvironment) -> None:
    operator = environment.operator(secrets=[], cmds=["sleep", "60"])
    mine = operator.get_or_create_pod(operator.build_pod_request_obj(context(operator)), context(operator))
    theirs = replaced(environment, environment.core.read_namespaced_pod(mine.metadata.name, NAMESPACE))

    operator.on_kill()

    assert is_untouched(environment, theirs)
