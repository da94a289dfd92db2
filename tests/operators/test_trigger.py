"""The trigger gives the events of KubernetesPodTrigger, when they happen, for a fraction of the requests."""

from __future__ import annotations

import asyncio
import datetime
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.cncf.kubernetes.triggers.pod import KubernetesPodTrigger

from airflow_k8s_vault.operators.trigger import VaultPodTrigger
from tests.watching.api_server import ApiServer, Fault, container

SPACE = "space"
STUCK = container("base", waiting={"reason": "InvalidImageName", "message": "no such name"})
AGENT_FAILED = container("vault-agent", terminated={"exitCode": 1, "message": "403"})

# What happens to the pod, after the trigger has begun to look at it.
Play = Callable[[ApiServer], Awaitable[None]]


def arguments(server: ApiServer, **changed: Any) -> dict[str, Any]:
    return {
        "pod_name": "pod",
        "pod_namespace": SPACE,
        "trigger_start_time": datetime.datetime.now(datetime.UTC),
        "base_container_name": "base",
        "connection_extras": {"kube_config_path": server.kubeconfig()},
        "poll_interval": 0.2,
        "startup_check_interval": 0.2,
        "log_events_on_startup": False,
        **changed,
    }


async def event(trigger: KubernetesPodTrigger, server: ApiServer, play: Play) -> dict[str, Any]:
    """Return the payload of the trigger's event, but for the UID that ours adds."""
    before = sum(server.requests.values())
    first = asyncio.ensure_future(anext(trigger.run()))  # type: ignore[arg-type]
    async with asyncio.timeout(60):
        while sum(server.requests.values()) <= before and not first.done():  # noqa: ASYNC110 - nobody tells of it
            await asyncio.sleep(0.01)
        await play(server)
        payload = dict((await first).payload)
        payload.pop("uid", None)
        return payload


async def ends(server: ApiServer) -> None:
    server.move(SPACE, "pod", "Running")
    await asyncio.sleep(0.5)
    server.move(SPACE, "pod", "Succeeded")


async def fails(server: ApiServer) -> None:
    server.move(SPACE, "pod", "Failed", containerStatuses=[container("base", terminated={"exitCode": 3})])


async def base_ends_before_its_sidecars(server: ApiServer) -> None:
    server.move(SPACE, "pod", "Running")
    await asyncio.sleep(0.5)
    server.move(SPACE, "pod", "Running", containerStatuses=[container("base", terminated={"exitCode": 0})])


async def is_stuck(server: ApiServer) -> None:
    server.move(SPACE, "pod", "Pending", containerStatuses=[STUCK])


async def nothing(server: ApiServer) -> None:
    """Let the trigger's own clock decide."""


async def only_runs(server: ApiServer) -> None:
    server.move(SPACE, "pod", "Running")


async def goes(server: ApiServer) -> None:
    server.move(SPACE, "pod", "Running")
    await asyncio.sleep(0.5)
    server.remove(SPACE, "pod")


IN_A_SECOND = {"trigger_kwargs": {"_execution_deadline": 1}}


@pytest.mark.parametrize(
    ("play", "settings", "status"),
    [
        (ends, {}, "success"),
        (fails, {}, "failed"),
        (base_ends_before_its_sidecars, {}, "success"),
        (is_stuck, {}, "error"),
        (nothing, {"schedule_timeout": 1}, "timeout"),
        (only_runs, IN_A_SECOND, "timeout"),
        (nothing, IN_A_SECOND, "timeout"),
        (goes, {}, "error"),
    ],
    ids=lambda value: getattr(value, "__name__", None) or str(value),
)
def test_its_event_is_the_one_of_kubernetes_pod_trigger(
    tmp_path: Path, play: Play, settings: dict[str, Any], status: str
) -> None:
    async def both() -> list[dict[str, Any]]:
        event_seen = []
        for kind in (KubernetesPodTrigger, VaultPodTrigger):
            async with ApiServer(tmp_path).serving() as server:
                uid = server.create(SPACE, "pod")
                extra = {"uid": uid} if kind is VaultPodTrigger else {}
                if "schedule_timeout" in settings:
                    server.move(SPACE, "pod", "Pending", conditions=[])
                given = {**settings}
                if "trigger_kwargs" in settings:
                    given["trigger_kwargs"] = {"_execution_deadline": int(time.time()) + 2}
                event_seen.append(await event(kind(**arguments(server, **given, **extra)), server, play))
        return event_seen

    theirs, ours = asyncio.run(both())

    # A traceback is of the code; a deadline and the API server's own words are of the run.
    of_the_run = ("stack_trace", "_execution_deadline", *(["message"] if play is goes else []))
    assert status == ours["status"]
    assert {k: v for k, v in theirs.items() if k not in of_the_run} == {
        k: v for k, v in ours.items() if k not in of_the_run
    }
    assert theirs.keys() == ours.keys()


def test_a_pod_that_is_gone_is_told_as_gone(tmp_path: Path) -> None:
    async def play() -> dict[str, Any]:
        async with ApiServer(tmp_path).serving() as server:
            trigger = VaultPodTrigger(**arguments(server), uid=server.create(SPACE, "pod"))
            event_seen = await event(trigger, server, goes)
            assert await trigger._is_over("error")
            return event_seen

    assert "(404)" in asyncio.run(play())["message"]


def test_a_pod_of_the_same_name_is_not_taken_for_the_tasks(tmp_path: Path) -> None:
    async def replaced(server: ApiServer) -> None:
        server.remove(SPACE, "pod")
        server.create(SPACE, "pod", "Succeeded")

    async def play() -> dict[str, Any]:
        async with ApiServer(tmp_path).serving() as server:
            return await event(
                VaultPodTrigger(**arguments(server), uid=server.create(SPACE, "pod")), server, replaced
            )

    assert "error" == asyncio.run(play())["status"]


def test_it_ends_at_once_where_the_agent_gave_up(tmp_path: Path) -> None:
    async def gives_up(server: ApiServer) -> None:
        server.move(SPACE, "pod", "Pending", initContainerStatuses=[AGENT_FAILED])

    async def play() -> dict[str, Any]:
        async with ApiServer(tmp_path).serving() as server:
            return await event(
                VaultPodTrigger(**arguments(server), uid=server.create(SPACE, "pod")), server, gives_up
            )

    assert "failed" == asyncio.run(play())["status"]


@pytest.mark.parametrize("knows_uid", [True, False])
def test_a_pod_that_ended_before_the_trigger_began_is_told_of(tmp_path: Path, knows_uid: bool) -> None:
    async def play() -> dict[str, Any]:
        async with ApiServer(tmp_path).serving() as server:
            uid = server.create(SPACE, "pod", "Succeeded")
            # Rows of Airflow's database from before an upgrade have none.
            trigger = VaultPodTrigger(**arguments(server), uid=uid if knows_uid else None)
            return await event(trigger, server, nothing)

    assert "success" == asyncio.run(play())["status"]


def test_a_hundred_triggers_cost_one_request_and_one_connection(tmp_path: Path) -> None:
    async def play() -> tuple[dict[str, int], set[str]]:
        async with ApiServer(tmp_path).serving() as server:
            names = {f"pod-{number}": server.create(SPACE, f"pod-{number}", "Running") for number in range(100)}
            triggers = [
                VaultPodTrigger(**arguments(server, pod_name=name, log_events_on_startup=True), uid=uid)
                for name, uid in names.items()
            ]
            firsts = [asyncio.ensure_future(anext(one.run())) for one in triggers]  # type: ignore[arg-type]
            await asyncio.sleep(1)
            for name in names:
                server.move(SPACE, name, "Succeeded")
            return dict(server.requests), {one.payload["status"] for one in await asyncio.gather(*firsts)}

    requests, statuses = asyncio.run(play())

    assert ({"watch": 1}, {"success"}) == (requests, statuses)


def test_its_log_is_fetched_each_logging_interval(tmp_path: Path) -> None:
    async def logs(server: ApiServer) -> None:
        server.move(SPACE, "pod", "Running")
        while server.requests["log"] < 3:
            await asyncio.sleep(0.05)
            server.move(SPACE, "pod", "Running", reason=str(time.time()))
        server.move(SPACE, "pod", "Succeeded")

    async def play() -> dict[str, Any]:
        async with ApiServer(tmp_path).serving() as server:
            given = arguments(server, logging_interval=1)
            return await event(VaultPodTrigger(**given, uid=server.create(SPACE, "pod")), server, logs)

    result = asyncio.run(play())

    assert "success" == result["status"]
    assert result["last_log_time"]


@pytest.mark.parametrize("refused", [("watch",), ("watch", "list")])
def test_without_the_right_to_watch_it_lists_and_without_that_it_reads_its_own_pod(
    tmp_path: Path, refused: tuple[str, ...]
) -> None:
    async def play() -> tuple[dict[str, int], str]:
        async with ApiServer(tmp_path).serving() as server:
            server.faults += [Fault(kind, 403, None) for kind in refused]
            uid = server.create(SPACE, "pod", "Running")

            async def ends_later(server: ApiServer) -> None:
                await asyncio.sleep(1)
                server.move(SPACE, "pod", "Succeeded")

            event_seen = await event(VaultPodTrigger(**arguments(server), uid=uid), server, ends_later)
            return dict(server.requests), event_seen["status"]

    requests, status = asyncio.run(play())

    assert "success" == status
    reads = requests["get" if "list" in refused else "list"]
    assert 3 <= reads <= 15
    assert ("get" in requests) == ("list" in refused)


def test_the_row_of_the_trigger_has_the_uid(tmp_path: Path) -> None:
    async def play() -> VaultPodTrigger:
        async with ApiServer(tmp_path).serving() as server:
            return VaultPodTrigger(**arguments(server), uid="uid-7")

    path, kept = asyncio.run(play()).serialize()

    assert ("airflow_k8s_vault.operators.trigger.VaultPodTrigger", "uid-7") == (path, kept["uid"])
    assert "uid-7" == VaultPodTrigger(**kept).uid
