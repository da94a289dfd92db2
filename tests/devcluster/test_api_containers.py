"""Logs, exec and deletion of pods that really run, through the official client."""

from __future__ import annotations

import base64
import json
import ssl
import threading
from collections.abc import Callable
from typing import Any

import pytest
from k8s_vault_devcluster.server import DevCluster
from kubernetes import client, config
from kubernetes.stream import stream
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.devcluster.conftest import Api, pod
from tests.devcluster.test_api_pods import eventually

SLEEP = "trap 'exit 0' TERM; while true; do sleep 0.05; done"


@pytest.fixture
def core(devcluster: DevCluster) -> client.CoreV1Api:
    return client.CoreV1Api(config.new_client_from_config(str(devcluster.kubeconfig)))


@pytest.fixture
def run(api: Api, space: str) -> Callable[..., str]:
    """Start a pod whose containers run shell scripts, and wait until it is past Pending."""

    def start(*scripts: str, name: str = "a", image: str = "python:3.12-slim", **spec: Any) -> str:
        containers = [
            {"name": f"c{number}", "image": image, "command": ["sh", "-c", script]}
            for number, script in enumerate(scripts)
        ]
        spec = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 5, **spec, "containers": containers}
        created = api.response("POST", f"{space}/pods", {"metadata": {"name": name}, "spec": spec})
        assert created.status_code == 201, created.text
        read = lambda: api("GET", f"{space}/pods/{name}")["status"]["phase"]  # noqa: E731
        eventually(read, lambda phase: phase != "Pending")
        return name

    return start


def phase(api: Api, space: str, expected: str) -> str:
    return str(eventually(lambda: api("GET", f"{space}/pods/a")["status"]["phase"], expected.__eq__))


def execute(core: client.CoreV1Api, namespace: str, *command: str, **options: Any) -> Any:
    expected = {"stdin": False, "stdout": True, "stderr": True, "tty": False, "_preload_content": False, **options}
    return stream(core.connect_get_namespaced_pod_exec, "a", namespace, command=list(command), **expected)


def test_logs_are_what_the_container_wrote(api: Api, space: str, run: Callable[..., str]) -> None:
    run("echo one; echo two >&2; echo three", restartPolicy="Never")
    phase(api, space, "Succeeded")

    whole = api.response("GET", f"{space}/pods/a/log")
    last = api.response("GET", f"{space}/pods/a/log", tailLines="1")

    assert sorted(whole.text.splitlines()) == ["one", "three", "two"]
    assert whole.headers["content-type"].startswith("text/plain")
    assert len(last.text.splitlines()) == 1


def test_followed_logs_arrive_as_they_are_written_and_end_with_the_container(
    api: Api, core: client.CoreV1Api, namespace: str, space: str, run: Callable[..., str]
) -> None:
    run("echo 1; until [ -e /tmp/seen ]; do sleep 0.02; done; echo 2")

    with api.client.stream("GET", f"{space}/pods/a/log", params={"follow": "true"}) as answer:
        lines = answer.iter_lines()
        first = next(lines)
        # It writes the second line only now.
        execute(core, namespace, "touch", "/tmp/seen").run_forever()
        rest = list(lines)

    assert (first, rest) == ("1", ["2"])


def test_the_container_has_to_be_named_where_there_are_two(api: Api, space: str, run: Callable[..., str]) -> None:
    run("echo a", "echo b")
    phase(api, space, "Succeeded")

    unnamed = api.response("GET", f"{space}/pods/a/log")
    unknown = api.response("GET", f"{space}/pods/a/log", container="x")

    assert (unnamed.status_code, unknown.status_code) == (400, 400)
    assert unnamed.json()["message"] == "a container name must be specified for pod a, choose one of: [c0 c1]"
    assert unknown.json()["message"] == "container x is not valid for pod a"
    assert api.response("GET", f"{space}/pods/a/log", container="c1").text == "b\n"


def test_exec_carries_both_streams_and_the_exit_code(
    core: client.CoreV1Api, namespace: str, run: Callable[..., str]
) -> None:
    run(SLEEP)

    session = execute(core, namespace, "sh", "-c", "echo out; echo err >&2; exit 7")
    session.run_forever()

    assert (session.read_stdout(), session.read_stderr()) == ("out\n", "err\n")
    assert session.returncode == 7


def test_exec_carries_standard_input(core: client.CoreV1Api, namespace: str, run: Callable[..., str]) -> None:
    run(SLEEP)

    session = execute(core, namespace, "/bin/sh", stdin=True)
    session.write_stdin("echo $((6 * 7))\n")
    answer = session.readline_stdout(timeout=240)
    session.write_stdin("exit 3\n")
    session.run_forever()

    assert (answer, session.returncode) == ("42", 3)


def test_the_xcom_sidecar_is_ended_as_airflow_does_it(
    api: Api, space: str, core: client.CoreV1Api, namespace: str, run: Callable[..., str]
) -> None:
    # What KubernetesPodOperator's sidecar runs, and what extract_xcom_kill writes to a shell in it.
    run('trap "exit 0" INT; while true; do sleep 1; done;', image="alpine:3.24.2")

    session = execute(core, namespace, "/bin/sh", stdin=True)
    session.write_stdin("kill -2 $(pgrep -u $(id -u) -f 'sh')\n")
    session.run_forever()

    assert phase(api, space, "Succeeded") == "Succeeded"


def test_a_command_runs_on_when_its_client_goes_away(
    core: client.CoreV1Api, namespace: str, run: Callable[..., str]
) -> None:
    run(SLEEP)
    session = execute(core, namespace, "sh", "-c", "echo up; sleep 0.5; echo done > /tmp/file")
    session.readline_stdout(timeout=240)

    session.close()

    look = lambda: execute(core, namespace, "cat", "/tmp/file", _preload_content=True)  # noqa: E731
    assert "done\n" in eventually(look, lambda text: "done" in text)


@pytest.fixture
def exec_socket(devcluster: DevCluster, api: Api, namespace: str) -> Any:
    """Open an exec on pod a by its query string."""
    address = devcluster.address.replace("https", "wss")
    token = json.loads(devcluster.kubeconfig.read_text())["users"][0]["user"]["token"]
    return lambda query: connect(
        f"{address}/api/v1/namespaces/{namespace}/pods/a/exec?{query}",
        ssl=ssl.create_default_context(cadata=api.ca),
        subprotocols=["v5.channel.k8s.io"],  # type: ignore[list-item]
        open_timeout=None,
        additional_headers={"Authorization": f"Bearer {token}"},
    )


def test_v5_closes_standard_input_alone(exec_socket: Any, run: Callable[..., str]) -> None:
    run(SLEEP)

    with exec_socket("command=cat&stdin=true&stdout=true") as socket:
        socket.send(b"\x00hello")
        socket.send(b"\xff\x00")
        messages = [message for message in socket if len(message) > 1]

    assert messages[0] == b"\x01hello"
    assert json.loads(messages[1][1:])["status"] == "Success"


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("container=x&command=true&stdout=true", "container x is not valid for pod a"),
        ("stdout=true", "you must specify a command for the container"),
        ("command=true", "you must specify at least 1 of stdin, stdout, stderr"),
    ],
)
def test_an_exec_that_cannot_start_says_why(
    exec_socket: Any, run: Callable[..., str], query: str, words: str
) -> None:
    run(SLEEP)

    with pytest.raises(InvalidStatus) as caught, exec_socket(query):
        pass

    assert caught.value.response.status_code == 400
    assert json.loads(caught.value.response.body)["message"] == words


def test_a_program_that_is_not_there_is_an_internal_error_on_the_error_channel(
    exec_socket: Any, run: Callable[..., str]
) -> None:
    run(SLEEP)

    with exec_socket("command=no-such-program&stdout=true") as socket:
        [shown] = [message for message in socket if len(message) > 1]

    status = json.loads(shown[1:])
    assert (shown[0], status["status"], status["reason"], status["code"]) == (3, "Failure", "InternalError", 500)
    assert status["message"].startswith("Internal error occurred: error executing command in container: failed to")
    assert status["message"].endswith('exec: "no-such-program": executable file not found in $PATH')
    assert status["details"]["causes"] == [{"message": status["message"].partition(": ")[2]}]


def test_an_exec_into_a_container_that_does_not_run_is_refused(
    exec_socket: Any, api: Api, space: str, run: Callable[..., str]
) -> None:
    run("exit 0", restartPolicy="Never")
    phase(api, space, "Succeeded")

    with pytest.raises(InvalidStatus) as caught, exec_socket("command=true&stdout=true"):
        pass

    assert caught.value.response.status_code == 500
    assert json.loads(caught.value.response.body)["message"] == 'container not found ("c0")'


def test_deletion_gives_the_containers_their_grace(api: Api, space: str, run: Callable[..., str]) -> None:
    run("trap 'echo bye; sleep 0.3; exit 0' TERM; echo up; while true; do sleep 0.05; done")
    eventually(lambda: api.response("GET", f"{space}/pods/a/log").text, "up\n".__eq__)
    followed: list[str] = []

    def follow() -> None:
        with api.client.stream("GET", f"{space}/pods/a/log", params={"follow": "true"}) as answer:
            followed.extend(answer.iter_lines())

    reader = threading.Thread(target=follow)
    reader.start()
    deleted = api("DELETE", f"{space}/pods/a")
    reader.join(10)

    assert deleted["metadata"]["deletionGracePeriodSeconds"] == 5
    assert "deletionTimestamp" in deleted["metadata"]
    assert followed == ["up", "bye"]
    eventually(lambda: api.response("GET", f"{space}/pods/a").status_code, (404).__eq__)


def test_a_pod_that_has_ended_is_deleted_at_once(api: Api, space: str, run: Callable[..., str]) -> None:
    run("true")
    phase(api, space, "Succeeded")

    api("DELETE", f"{space}/pods/a")

    assert api.response("GET", f"{space}/pods/a").status_code == 404


def test_a_running_pod_is_killed_with_grace_zero(api: Api, space: str, run: Callable[..., str]) -> None:
    run("trap '' TERM; while true; do sleep 0.05; done")

    api("DELETE", f"{space}/pods/a", {"gracePeriodSeconds": 0})

    assert api.response("GET", f"{space}/pods/a").status_code == 404


def test_what_no_sandbox_can_do_is_refused_by_its_field(api: Api, space: str) -> None:
    spec = {"hostNetwork": True, "containers": [{"name": "c", "image": "python:3.12-slim"}]}

    answer = api.response("POST", f"{space}/pods", {"metadata": {"name": "a"}, "spec": spec})

    assert answer.status_code == 422
    assert "spec.hostNetwork" in [cause["field"] for cause in answer.json()["details"]["causes"]]


def test_a_pods_own_token_authenticates_as_its_account(
    api: Api, namespace: str, space: str, run: Callable[..., str]
) -> None:
    run("cat /var/run/secrets/kubernetes.io/serviceaccount/token | base64 -w0; echo; sleep 60")
    read = lambda: api.response("GET", f"{space}/pods/a/log").text  # noqa: E731
    token = base64.b64decode(eventually(read, bool)).decode()

    answer = api.as_user(token).response("GET", f"{space}/pods")

    assert answer.status_code == 403
    assert f"system:serviceaccount:{namespace}:default" in answer.json()["message"]


def test_host_aliases_are_checked_as_kubernetes_does(api: Api, space: str) -> None:
    aliases = [{"ip": "10.1.2.3", "hostnames": ["db.internal"]}, {"ip": "nowhere", "hostnames": ["Up_Case"]}]

    answer = api.response("POST", f"{space}/pods", pod(hostAliases=aliases))

    assert 422 == answer.status_code
    fields = [cause["field"] for cause in answer.json()["details"]["causes"]]
    assert ["spec.hostAliases[1].ip", "spec.hostAliases[1].hostnames[0]"] == fields
