"""A pod's name, and the annotation that its Secrets are named after, can be taken by others at any moment."""

from __future__ import annotations

import asyncio
import base64
import copy
import json
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client, config
from kubernetes.client import ApiException
from kubernetes_asyncio import client as async_client

from airflow_k8s_vault.delivery import REQUEST_ANNOTATION
from airflow_k8s_vault.delivery.secret import GATE, login_name, secret_name
from airflow_k8s_vault.handover import handover
from airflow_k8s_vault.operators import VaultPodTrigger
from tests.attacks.test_foreign_pods import log_of_workers, plain
from tests.faults.endings import AT_ONCE, HELD
from tests.faults.fault_environment import NAMESPACE, FaultEnvironment
from tests.faults.fault_proxy import Fault
from tests.faults.worker import Dying, WatchedOperator, context, resume, run, seen, trigger, wait_until
from tests.frames import shown

pytestmark = pytest.mark.integration

THEIRS = "their-log-42"
# Runs on, and says so where a log and an XCom are read; its XCom sidecar is as the task's own.
WAITS = (
    'echo their-log-$((40 + 2)); [ ! -d /airflow/xcom ] || echo \\"their-log-$((40 + 2))\\" > '
    "/airflow/xcom/return.json; trap 'exit 0' TERM; sleep 60 & wait"
)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultEnvironment]:
    with FaultEnvironment(tmp_path_factory.mktemp("environment")) as made:
        yield made


@pytest.fixture(autouse=True)
def templates_dir() -> None:
    """The environment's: this room's own is for tests without a cluster."""


@pytest.fixture(autouse=True)
def clean(environment: FaultEnvironment) -> Iterator[None]:
    environment.begin()
    yield
    environment.clean()


class Taker:
    """Puts a pod of its own, without credentials, in the place of the only one there is. `pod` is that one."""

    def __init__(self, environment: FaultEnvironment) -> None:
        self._core = environment.core
        self.pod: Any = None

    def __call__(self) -> None:
        (before,) = self._core.list_namespaced_pod(NAMESPACE).items
        manifest = self._core.api_client.sanitize_for_serialization(before)
        self._core.delete_namespaced_pod(before.metadata.name, NAMESPACE, grace_period_seconds=0)
        wait_until(lambda: not self._core.list_namespaced_pod(NAMESPACE).items)
        manifest["metadata"] = {key: manifest["metadata"][key] for key in ("name", "annotations", "labels")}
        manifest["spec"].pop("nodeName", None)
        results = [volume for volume in manifest["spec"].get("volumes", []) if volume["name"] == "xcom"]
        plain(manifest)
        for container in manifest["spec"]["containers"] if results else ():
            container["volumeMounts"] = [{"name": "xcom", "mountPath": "/airflow/xcom"}]
        manifest["spec"]["volumes"] = results
        manifest["spec"]["containers"][0]["command"] = ["sh", "-c", WAITS]
        name = self._core.create_namespaced_pod(NAMESPACE, manifest).metadata.name
        wait_until(lambda: THEIRS in self._log(name))
        self.pod = self._core.read_namespaced_pod(name, NAMESPACE)

    def _log(self, name: str) -> str:
        try:
            return str(self._core.read_namespaced_pod_log(name, NAMESPACE, container="base"))
        except ApiException:
            return ""

    def is_untouched(self) -> bool:
        """Whether the pod, and each of its containers, runs as it did, and bears what it bore."""
        now = self._core.read_namespaced_pod(self.pod.metadata.name, NAMESPACE)
        same = all(
            getattr(now.metadata, name) == getattr(self.pod.metadata, name)
            for name in ("uid", "labels", "deletion_timestamp")
        )
        return same and all(status.state.running for status in now.status.container_statuses)


# What a task does to its pod, as the API server is asked for it: by the pod's name alone.
LAST_MOMENTS = {
    "its log": (r"GET .*/log\?container=base&follow", {}),
    "the end of its log": (r"GET .*/log\?container=base&tailLines", {}),
    "its label": (r"PATCH .*/pods/", {}),
    "its result": (r"GET .*/exec\?.*return.json", {"do_xcom_push": True}),
    "its sidecar's end": (r"GET .*/exec\?command=%2Fbin%2Fsh&container", {"do_xcom_push": True}),
    "its deletion": (r"DELETE .*/pods/", {}),
}


@pytest.mark.parametrize("moment", LAST_MOMENTS)
def test_a_pod_that_takes_the_name_at_the_last_moment_is_left_alone(
    environment: FaultEnvironment, moment: str
) -> None:
    request, arguments = LAST_MOMENTS[moment]
    script = "echo {} > /airflow/xcom/return.json; exit 3" if arguments else "exit 3"
    operator, taker = environment.operator(script, **arguments), Taker(environment)
    environment.kube.faults = [Fault(request, taker)]

    ended = run(operator).outcome()

    assert ended[0] == "failed"
    assert taker.pod is not None
    assert taker.is_untouched()
    assert THEIRS not in log_of_workers() + _results()


def test_nor_does_a_trigger_show_the_log_of_such_a_pod(environment: FaultEnvironment) -> None:
    operator = environment.operator(deferrable=True, logging_interval=1, **HELD)
    serialized, taker = run(operator).outcome()[1], Taker(environment)
    wait_until(lambda: environment.running(operator))
    environment.kube.faults = [Fault(r"GET .*/log\?container=base", taker)]

    state, event = trigger(serialized).outcome()

    assert (state, event["status"]) == ("ok", "failed"), event
    assert taker.is_untouched()
    assert THEIRS not in log_of_workers()


def test_on_kill_deletes_no_pod_that_took_the_name_while_the_task_goes_on(environment: FaultEnvironment) -> None:
    operator = environment.operator(deferrable=True)
    serialized, taker = run(operator).outcome()[1], Taker(environment)
    event = trigger(serialized).outcome()[1]
    # KubernetesPodOperator reads the pod anew, after it was looked at: who ends the task then, ends what it read.
    operator._write_logs = lambda *given, **named: operator.on_kill()  # type: ignore[method-assign]
    environment.kube.faults = [Fault(r"GET .*/pods/[^/]*$", 0.0), Fault(r"GET .*/pods/[^/]*$", taker)]

    resume(operator, event).outcome()

    assert taker.pod is not None
    assert taker.is_untouched()


def _results() -> str:
    """Return what tasks have pushed to XCom."""
    seen("xcom", "")
    with open(f"{os.environ['K8S_VAULT_TEST_WORKER_LOG']}.xcom") as file:
        return file.read()


@pytest.fixture
def running(environment: FaultEnvironment) -> Iterator[str]:
    """A task of delivery `secret` runs, and goes on when the test has ended. Returns its pod's request."""
    operator = environment.operator(delivery="secret", **HELD)
    worker = run(operator)
    pod = wait_until(lambda: environment.running(operator))
    yield pod["metadata"]["annotations"][REQUEST_ANNOTATION]
    environment.run_in(pod["metadata"]["name"], "base", "touch /tmp/end")
    assert worker.outcome() == ("ok", None)


def _copied_request(environment: FaultEnvironment, operator: WatchedOperator, request: str) -> dict[str, Any]:
    """Return the task's own manifest, but with the request of another pod, whose Secrets it refers to then."""
    pod = copy.copy(operator).build_pod_request_obj(context(operator))
    manifest = environment.core.api_client.sanitize_for_serialization(pod)
    own = manifest["metadata"]["annotations"][REQUEST_ANNOTATION]
    manifest = json.loads(json.dumps(manifest).replace(own, request))
    manifest["metadata"]["name"] = "theirs"
    manifest["spec"]["schedulingGates"] = []
    return dict(manifest)


def _is_whole(environment: FaultEnvironment, request: str) -> bool:
    """Whether the Secrets of that request are there, and no login was ended."""
    names = {secret.metadata.name for secret in environment.core.list_namespaced_secret(NAMESPACE).items}
    return {secret_name(request), login_name(request)} <= names and not environment.vault.count("revoke-self")


def test_a_trigger_ends_no_login_of_another_pod_whose_request_was_copied(
    environment: FaultEnvironment, running: str
) -> None:
    operator = environment.operator(deferrable=True, delivery="secret", **HELD)
    environment.core.create_namespaced_pod(NAMESPACE, _copied_request(environment, operator, running))
    wait_until(lambda: environment.running(operator))
    serialized = run(operator).outcome()[1]
    assert (serialized[1]["pod_name"], serialized[1]["request"]) == ("theirs", running)
    environment.run_in("theirs", "base", "touch /tmp/end")

    state, event = trigger(serialized).outcome()

    assert (state, event["status"]) == ("ok", "success"), event
    assert _is_whole(environment, running)


def test_the_next_task_of_the_namespace_deletes_no_secrets_of_another_pod(
    environment: FaultEnvironment, running: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handover, "ABANDONED_SECONDS", AT_ONCE)
    operator = environment.operator(delivery="secret")
    environment.core.create_namespaced_pod(NAMESPACE, _copied_request(environment, operator, running))
    wait_until(lambda: environment.core.read_namespaced_pod("theirs", NAMESPACE).status.phase == "Succeeded")
    before = environment.vault.count("revoke-self")

    ended = run(environment.operator(delivery="secret")).outcome()

    assert ended == ("ok", None)
    # The other task's own.
    assert environment.vault.count("revoke-self") == before + 1
    environment.vault.forget()
    assert _is_whole(environment, running)


@pytest.mark.parametrize(("step", "named"), [("login", login_name), ("read", secret_name)])
def test_a_secret_that_somebody_made_before_the_worker_is_not_taken_for_its_own(
    environment: FaultEnvironment, step: str, named: Callable[[str], str]
) -> None:
    def forestall() -> None:
        # In the worker's process, which has been forked: a connection of its own.
        core = client.CoreV1Api(config.new_client_from_config(str(environment.servers.kubeconfig)))
        (pod,) = core.list_namespaced_pod(NAMESPACE).items
        assert [gate.name for gate in pod.spec.scheduling_gates] == [GATE]
        meta = pod.metadata
        owner = {"apiVersion": "v1", "kind": "Pod", "name": meta.name, "uid": meta.uid}
        head = {"name": named(meta.annotations[REQUEST_ANNOTATION]), "ownerReferences": [owner]}
        data = {"token": base64.b64encode(b"s.theirs").decode()}
        core.create_namespaced_secret(NAMESPACE, {"metadata": head, "data": data})

    operator = environment.operator(delivery="secret")
    operator.at_step = Dying(step, forestall)

    state, message = run(operator).outcome()

    assert (state, "that is not this pod's" in message) == ("failed", True), message
    assert not environment.started(operator)
    assert str(environment.traces()) == "nothing"


def test_an_error_of_the_cluster_leaves_no_credential_of_the_triggerer_in_the_frames(
    environment: FaultEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = os.environ["K8S_VAULT_TEST_TRIGGERER"]
    monkeypatch.setenv("AIRFLOW_CONN_KUBERNETES_DEFAULT", connection)
    kubeconfig = yaml.safe_load(Path(json.loads(connection)["extra"]["kube_config_path"]).read_text())
    token = kubeconfig["users"][0]["user"]["token"]
    waiting = VaultPodTrigger(
        pod_name="gone",
        pod_namespace=NAMESPACE,
        trigger_start_time=datetime.now(UTC),
        base_container_name="base",
        kubernetes_conn_id="kubernetes_default",
        uid="1",
    )

    with pytest.raises(async_client.ApiException) as raised:
        asyncio.run(waiting._wait_for_pod_start_within_deadline())

    assert [text for text in shown(raised.value) if token in text] == []
