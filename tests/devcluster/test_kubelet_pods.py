"""What becomes of a pod: order, phases, states, restarts, ends."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from k8s_vault_devcluster.kubelet.back_off import BackOff
from k8s_vault_devcluster.kubelet.logs import LogOptions

from tests.devcluster.one_node import OneNode, on_one_node, sh

LOOP = 'trap "echo stopping $0; exit 0" TERM; while :; do sleep 0.02; done'


def sidecar(script: str, name: str = "side", **fields: object) -> dict[str, object]:
    return sh(script, name, restartPolicy="Always", **fields)


@on_one_node
async def test_a_pod_that_ends_well_succeeds_with_its_log_and_times(node: OneNode) -> None:
    node.pod(sh("echo hello; echo problem >&2"))
    status = await node.over()

    state = node.container()["state"]["terminated"]
    assert status["phase"] == "Succeeded"
    assert (state["exitCode"], state["reason"]) == (0, "Completed")
    assert state["startedAt"] <= state["finishedAt"]
    assert await node.log() == "hello\nproblem\n"
    assert status["observedGeneration"] == 1
    assert {c["type"]: c["status"] for c in status["conditions"]} == {
        "PodReadyToStartContainers": "False",
        "Initialized": "True",
        "Ready": "False",
        "ContainersReady": "False",
        "PodScheduled": "True",
    }


@on_one_node
async def test_exit_codes_are_told_and_signals_are_128_and_their_number(node: OneNode) -> None:
    node.pod(sh("exit 7"), sh("sh -c 'kill -SEGV $$$$'; exit $?", "signal"))
    status = await node.over()

    assert status["phase"] == "Failed"
    assert node.container()["state"]["terminated"]["exitCode"] == 7
    assert node.container()["state"]["terminated"]["reason"] == "Error"
    assert node.container("signal")["state"]["terminated"]["exitCode"] == 139


@on_one_node
async def test_a_missing_program_is_a_start_error_that_names_it(node: OneNode) -> None:
    node.pod({"name": "base", "image": "ubuntu:24.04", "command": ["python", "-c", "1"]})
    await node.over()

    state = node.container()["state"]["terminated"]
    assert (state["exitCode"], state["reason"]) == (128, "StartError")
    assert state["message"].startswith("failed to create containerd task: failed to create shim task: OCI runtime")
    assert state["message"].endswith('exec: "python": executable file not found in $PATH')
    assert await node.log() == ""


@on_one_node
async def test_init_containers_run_in_order_before_the_main_ones(node: OneNode) -> None:
    mounts = [{"name": "v", "mountPath": "/v"}]
    steps = [sh(f"cat /v/* ; echo {name} > /v/{name}", name, volumeMounts=mounts) for name in ("one", "two")]
    node.pod(sh("cat /v/*", volumeMounts=mounts), initContainers=steps, volumes=[{"name": "v", "emptyDir": {}}])
    await node.over()

    assert await node.log("two") == "one\n"
    assert await node.log() == "one\ntwo\n"


@on_one_node
async def test_a_failed_init_container_fails_the_pod_and_the_main_one_never_runs(node: OneNode) -> None:
    node.pod(sh("echo ran"), initContainers=[sh("exit 4", "init")])
    status = await node.over()

    assert status["phase"] == "Failed"
    assert node.container("init")["state"]["terminated"]["exitCode"] == 4
    assert node.container()["state"] == {"waiting": {"reason": "PodInitializing"}}


@on_one_node
async def test_a_sidecar_is_up_before_and_stopped_after_the_main_containers_in_reverse_order(
    node: OneNode,
) -> None:
    mounts = [{"name": "v", "mountPath": "/v"}]
    hook = {"postStart": {"exec": {"command": ["sh", "-c", "sleep 0.1; echo up >> /v/log"]}}}
    stop = 'trap "echo %s >> /v/log; exit 0" TERM; while :; do sleep 0.02; done'
    sides = [sidecar(stop % name, name, lifecycle=hook, volumeMounts=mounts) for name in ("first", "second")]
    node.pod(
        sh("cat /v/log; echo main >> /v/log", volumeMounts=mounts),
        sh("sleep 1.5; cat /v/log", "reader", volumeMounts=mounts),
        initContainers=sides,
        volumes=[{"name": "v", "emptyDir": {}}],
    )
    path = await node.until(lambda: next(node.root.glob("pods/*/volumes/v/log"), None))
    seen = ""
    while node.status()["phase"] not in ("Succeeded", "Failed"):
        seen = path.read_text()
        await asyncio.sleep(0.002)

    assert await node.log() == "up\nup\n"
    assert seen.split()[:5] == ["up", "up", "main", "second", "first"][: len(seen.split())]
    assert node.container("first")["state"]["terminated"]["exitCode"] == 0
    assert node.status()["phase"] == "Succeeded"


@on_one_node
async def test_a_pod_is_not_over_while_its_sidecar_still_stops(node: OneNode) -> None:
    node.pod(sh("exit 0"), initContainers=[sidecar('trap "sleep 0.4; exit 0" TERM; while :; do sleep 0.02; done')])
    await node.until(lambda: "terminated" in node.container()["state"])
    between = node.status()["phase"]
    await node.over()

    assert between == "Running"
    assert node.status()["phase"] == "Succeeded"


@on_one_node
async def test_a_sidecar_that_crashes_is_restarted_with_back_off_and_told_so(node: OneNode) -> None:
    node.pod(sh("sleep 60"), initContainers=[sidecar("echo again; exit 3")])
    state = await node.waiting("CrashLoopBackOff", "side")
    result = await node.until(lambda: (c := node.container("side"))["restartCount"] >= 2 and c)

    assert state["message"].startswith("back-off 0.2s restarting failed container=side pod=pod_test(")
    assert result["lastState"]["terminated"]["exitCode"] == 3
    assert any(reason == "BackOff" for reason, _ in node.events())
    assert await node.log("side", previous=True) == "again\n"


@on_one_node
async def test_on_failure_restarts_until_it_succeeds(node: OneNode) -> None:
    mounts = [{"name": "v", "mountPath": "/v"}]
    node.pod(
        sh("test -e /v/x || { touch /v/x; exit 1; }", volumeMounts=mounts),
        volumes=[{"name": "v", "emptyDir": {}}],
        restartPolicy="OnFailure",
    )
    status = await node.over()

    assert status["phase"] == "Succeeded"
    assert node.container()["restartCount"] == 1


@on_one_node
async def test_pid_1_without_a_handler_ignores_sigterm_and_is_killed_after_the_grace(node: OneNode) -> None:
    # `; :` keeps the shell from becoming the sleep.
    node.pod(sh("sleep 60; :"))
    await node.phase("Running")
    begun = time.monotonic()
    node.delete(grace=3)
    await node.gone()

    assert time.monotonic() - begun > 2.9


@on_one_node
async def test_a_deletion_runs_pre_stop_then_sigterm_and_removes_the_pod_and_its_files(node: OneNode) -> None:
    hook = {"preStop": {"exec": {"command": ["sh", "-c", "echo hook > /proc/1/fd/1"]}}}
    node.pod(sh(LOOP, lifecycle=hook), volumes=[{"name": "m", "emptyDir": {"medium": "Memory"}}])
    await node.phase("Running")
    chunks = node.kubelet.logs("test", "pod", "base", LogOptions(follow=True))
    node.delete()
    written = [chunk async for chunk in chunks]
    await node.gone()
    await asyncio.sleep(0.05)

    assert written == [b"hook\n", b"stopping sh\n"]
    assert list(node.root.glob("pods/*")) == []


@pytest.mark.parametrize(("code", "phase"), [(0, "Succeeded"), (143, "Failed")])
def test_a_deleted_pod_shows_how_it_ended_before_it_is_gone(tmp_path: Path, code: int, phase: str) -> None:
    @on_one_node
    async def run(node: OneNode) -> None:
        node.kubelet.node.removal_seconds = 3600
        node.pod(sh(f"trap 'exit {code}' TERM; while :; do sleep 0.02; done"))
        await node.phase("Running")
        node.delete()

        assert (await node.over())["phase"] == phase
        assert "deletionTimestamp" in node.store.get("pods", "test", "pod")["metadata"]
        node.store.remove("pods", "test", "pod")
        await node.until(lambda: not list(node.root.glob("pods/*")))

    run(tmp_path)


@on_one_node
async def test_a_second_shorter_deletion_brings_the_end_forward(node: OneNode) -> None:
    node.pod(sh("sleep 60; :"))
    await node.phase("Running")
    node.delete(grace=600)
    await asyncio.sleep(0.1)
    node.delete(grace=1)

    await node.gone()


@on_one_node
async def test_a_pod_that_vanishes_is_killed_after_two_seconds(node: OneNode) -> None:
    node.pod(sh("sleep 60; :"))
    await node.phase("Running")
    begun = time.monotonic()
    node.store.remove("pods", "test", "pod")
    await node.until(lambda: not list(node.root.glob("pods/*")))

    assert time.monotonic() - begun >= 2


@on_one_node
async def test_a_sidecar_has_time_to_clean_up_even_where_the_grace_is_used_up(node: OneNode) -> None:
    node.pod(sh("trap '' TERM; while :; do sleep 0.05; done"), initContainers=[sidecar(LOOP)])
    await node.phase("Running")
    message = asyncio.create_task(node.log("side", follow=True))
    node.delete(grace=1)

    assert await message == "stopping sh\n"


@on_one_node
async def test_a_pod_that_vanishes_can_still_clean_up(node: OneNode) -> None:
    node.pod(sh(LOOP))
    await node.phase("Running")
    message = asyncio.create_task(node.log(follow=True))
    await asyncio.sleep(0.1)
    node.store.remove("pods", "test", "pod")

    assert await message == "stopping sh\n"


@on_one_node
async def test_a_deletion_during_initialisation_ends_the_init_container(node: OneNode) -> None:
    node.pod(sh("echo never"), initContainers=[sh(LOOP, "init")])
    await node.until(lambda: "running" in node.container("init")["state"])
    node.delete()
    await node.gone()

    assert not any("{base}" in event["involvedObject"].get("fieldPath", "") for event in node.store.list("events"))


@on_one_node
async def test_a_pod_that_ends_during_initialisation_shows_its_main_container_waiting(node: OneNode) -> None:
    node.pod(sh("echo never"), initContainers=[sh(LOOP, "init"), sh("true", "next")], activeDeadlineSeconds=1)
    await node.over()

    assert node.container("init")["state"]["terminated"]["exitCode"] == 0
    assert node.container("next")["state"] == {"waiting": {"reason": "PodInitializing"}}
    assert node.container()["state"] == {"waiting": {"reason": "PodInitializing"}}


@on_one_node
async def test_a_container_that_had_its_chance_and_never_ran_ends_with_an_unknown_status(node: OneNode) -> None:
    env = [{"name": "X", "valueFrom": {"secretKeyRef": {"name": "none", "key": "x"}}}]
    node.pod(sh("echo never", env=env), initContainers=[sidecar(LOOP)])
    await node.waiting("CreateContainerConfigError")
    node.store.update("pods", "test", "pod", lambda pod: pod["spec"].update(activeDeadlineSeconds=1))
    await node.over()

    ended = node.container()["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (137, "ContainerStatusUnknown")
    assert ended["message"] == "The container could not be located when the pod was terminated"
    assert ended["startedAt"] is None
    assert node.container("side")["state"]["terminated"]["reason"] == "Completed"


@on_one_node
async def test_the_first_init_container_counts_as_lost_where_nothing_ever_ran(node: OneNode) -> None:
    missing = {"name": "init", "image": "no/such:1"}
    node.pod(sh("true"), initContainers=[missing, sh("true", "next")], activeDeadlineSeconds=1)
    status = await node.over()

    assert status["phase"] == "Failed"
    assert node.container("init")["state"]["terminated"]["reason"] == "ContainerStatusUnknown"
    assert "waiting" in node.container("next")["state"]
    assert "waiting" in node.container()["state"]


@on_one_node
async def test_the_active_deadline_fails_the_pod(node: OneNode) -> None:
    node.pod(sh(LOOP), activeDeadlineSeconds=1)
    status = await node.over()

    assert (status["phase"], status["reason"]) == ("Failed", "DeadlineExceeded")
    assert status["message"] == "Pod was active on the node longer than the specified deadline"


@on_one_node
async def test_the_active_deadline_of_a_pod_that_runs_can_be_brought_forward(node: OneNode) -> None:
    node.pod(sh(LOOP), activeDeadlineSeconds=3600)
    await node.phase("Running")
    node.store.update("pods", "test", "pod", lambda pod: pod["spec"].update(activeDeadlineSeconds=1))

    assert (await node.over())["reason"] == "DeadlineExceeded"


@on_one_node
async def test_a_post_start_hook_that_fails_kills_the_container(node: OneNode) -> None:
    hook = {"postStart": {"exec": {"command": ["sh", "-c", "exit 1"]}}}
    node.pod(sh(LOOP + "; :", lifecycle=hook))
    await node.over()

    assert ("FailedPostStartHook", "PostStartHook failed") in node.events()
    assert "terminated" in node.container()["state"]


@on_one_node
async def test_a_sidecar_whose_post_start_hook_failed_waits_and_says_how_its_last_run_ended(node: OneNode) -> None:
    hook = {"postStart": {"exec": {"command": ["sh", "-c", "exit 1"]}}}
    node.kubelet.node.backoff_seconds = 60
    node.pod(sh("true"), initContainers=[sidecar("trap 'exit 9' TERM; sleep 60 & wait", lifecycle=hook)])
    waiting = await node.waiting("PostStartHookError", "side")

    assert "exited with 1" in waiting["message"]
    assert node.container("side")["lastState"]["terminated"]["exitCode"] == 9


@on_one_node
async def test_events_name_the_container_they_are_about(node: OneNode) -> None:
    node.pod(sh("true"), initContainers=[sh("true", "init")])
    await node.over()
    message = [
        (event["involvedObject"].get("fieldPath"), event["reason"], event["message"])
        for event in node.store.list("events")
    ]

    present = 'Container image "alpine:3.24.2" already present on machine and can be accessed by the pod'
    for field in ("spec.initContainers{init}", "spec.containers{base}"):
        assert (field, "Pulled", present) in message
        assert (field, "Created", "Container created") in message
        assert (field, "Started", "Container started") in message


@on_one_node
async def test_a_container_that_takes_more_than_its_memory_limit_for_a_moment_is_killed(node: OneNode) -> None:
    take = "import time; held = b'x' * (150 << 20); del held; time.sleep(60)"
    fields = {"image": "python:3.12-slim", "resources": {"limits": {"memory": "64Mi"}}}
    node.pod({"name": "base", "command": ["sh", "-c", f'python3 -c "{take}"; :'], **fields})
    status = await node.over()

    ended = node.container()["state"]["terminated"]
    assert status["phase"] == "Failed"
    assert (ended["exitCode"], ended["reason"]) == (137, "OOMKilled")


@on_one_node
async def test_a_kubelet_that_kills_single_processes_leaves_the_rest_of_the_container(node: OneNode) -> None:
    node.kubelet.node.kills_groups = False
    take = "import time; held = b'x' * (150 << 20); time.sleep(60)"
    fields = {"image": "python:3.12-slim", "resources": {"limits": {"memory": "64Mi"}}}
    node.pod({"name": "base", "command": ["sh", "-c", f'python3 -c "{take}"; echo it ended with $?'], **fields})
    await node.over()

    assert await node.log() == "Killed\nit ended with 137\n"


@on_one_node
async def test_a_sidecar_out_of_memory_is_restarted_and_says_why(node: OneNode) -> None:
    take = ["python3", "-c", "import time; held = b'x' * (150 << 20); time.sleep(60)"]
    greedy = {"name": "side", "image": "python:3.12-slim", "command": take, "restartPolicy": "Always"}
    node.pod(sh("sleep 60"), initContainers=[{**greedy, "resources": {"limits": {"memory": "64Mi"}}}])
    await node.until(lambda: node.container("side").get("restartCount"))

    assert node.container("side")["lastState"]["terminated"]["reason"] == "OOMKilled"
    assert node.status()["phase"] == "Running"


@on_one_node
async def test_a_container_within_its_memory_limit_is_left_alone(node: OneNode) -> None:
    node.pod(sh("sleep 0.5", resources={"limits": {"memory": "16Mi"}}))

    assert (await node.over())["phase"] == "Succeeded"


def test_the_first_restart_is_immediate_and_then_pauses_double() -> None:
    back_off = BackOff(10)

    assert [0, 10, 20, 40, 80, 160, 300, 300] == [back_off.next_restart() for _ in range(8)]


@on_one_node
async def test_a_container_is_not_running_before_its_post_start_hook_returns(node: OneNode) -> None:
    node.pod(sh("sleep 60"), lifecycle=None)
    node.pod(sh("sleep 60", lifecycle={"postStart": {"sleep": {"seconds": 1}}}), name="slow")
    await node.phase("Running")
    await asyncio.sleep(0.3)

    assert node.container(name="slow")["state"] == {"waiting": {"reason": "ContainerCreating"}}


@on_one_node
async def test_a_container_killed_from_outside_ended_with_137(node: OneNode) -> None:
    node.pod(sh("sleep 60; :"))
    await node.phase("Running")
    worker = node.kubelet._worker("test", "pod")
    worker.find("base").sandbox.signal(9)
    await node.over()

    assert node.container()["state"]["terminated"]["exitCode"] == 137


@on_one_node
async def test_ten_pods_at_once_do_not_mix(node: OneNode) -> None:
    for number in range(10):
        node.pod(sh(f"hostname; echo {number}"), name=f"pod-{number}")
    for number in range(10):
        await node.over(f"pod-{number}")

    assert [await node.log(name=f"pod-{n}") for n in range(10)] == [f"pod-{n}\n{n}\n" for n in range(10)]


@on_one_node
async def test_an_unknown_image_is_pulled_for_ever_and_named(node: OneNode) -> None:
    node.pod({"name": "base", "image": "ghcr.io/nobody/nothing:1"})
    first = await node.waiting("ErrImagePull")
    second = await node.waiting("ImagePullBackOff")

    assert "ghcr.io/nobody/nothing:1: not found" in first["message"]
    assert second["message"].startswith('Back-off pulling image "ghcr.io/nobody/nothing:1": ErrImagePull:')
    assert node.status()["phase"] == "Pending"


@on_one_node
async def test_image_names_and_policies_that_cannot_be_are_told_apart(node: OneNode) -> None:
    node.pod(
        {"name": "base", "image": "nothing:1", "imagePullPolicy": "Never"}, {"name": "bad", "image": "NO NAME"}
    )
    await node.waiting("ErrImageNeverPull")
    state = await node.waiting("InvalidImageName", "bad")

    assert state["message"].endswith("invalid reference format")


@on_one_node
async def test_the_termination_message_is_the_file_or_the_logs_end(node: OneNode) -> None:
    node.pod(
        sh("printf done > /dev/termination-log"),
        sh("echo why; exit 1", "log", terminationMessagePolicy="FallbackToLogsOnError"),
        sh("head -c 9000 /dev/zero | tr '\\0' x > /tmp/end", "long", terminationMessagePath="/tmp/end"),
    )
    await node.over()
    messages = [node.container(name)["state"]["terminated"]["message"] for name in ("base", "log", "long")]

    assert messages == ["done", "why\n", "x" * 4096]


@pytest.mark.parametrize(
    ("user", "message"), [(None, "and image will run as root"), (0, "breaks non-root policy")]
)
def test_run_as_non_root_refuses_root(tmp_path: object, user: int | None, message: str) -> None:
    @on_one_node
    async def scenario(node: OneNode) -> None:
        node.pod(sh("id", securityContext={"runAsNonRoot": True, "runAsUser": user}))
        state = await node.waiting("CreateContainerConfigError")

        assert message in state["message"]
        assert '(pod: "pod_test(' in state["message"]

    scenario(tmp_path)
