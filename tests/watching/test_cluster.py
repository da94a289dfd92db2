"""The watch on a real connection: TLS, credentials, cuts, and what a thousand subscribers cost."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from kubernetes_asyncio.client import Configuration

from airflow_k8s_vault.watching import Cluster, PodGone, WatchUnavailable, cluster
from tests.watching.api_server import LABELS, ApiServer, Fault

SPACE = "space"


def load(server: ApiServer) -> Callable[[], Awaitable[Configuration]]:
    async def loaded() -> Configuration:
        return server.configuration()

    return loaded


@contextlib.asynccontextmanager
async def serving(folder: Path, streams_lists: bool = True) -> AsyncIterator[tuple[ApiServer, Cluster]]:
    async with ApiServer(folder, streams_lists).serving() as server:
        yield server, Cluster.shared("here", load(server))


async def until(met: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not met():  # noqa: ASYNC110 - nobody tells of it
            await asyncio.sleep(0.01)


async def many_seen(server: ApiServer, watched: Cluster, count: int) -> list[list[str | None]]:
    """Let so many pods run and end; return what their subscribers were told."""
    begun = 0

    async def phases(name: str, uid: str) -> list[str | None]:
        nonlocal begun
        seen: list[str | None] = []
        with watched.pod(SPACE, name, uid, LABELS, poll_seconds=0.2) as subscription:
            while not seen or seen[-1] != "Succeeded":
                seen.append((await subscription.changed()).status.phase)
                begun += len(seen) == 1
        return seen

    uids = {f"pod-{number}": server.create(SPACE, f"pod-{number}", "Running") for number in range(count)}
    message = [asyncio.create_task(phases(name, uid)) for name, uid in uids.items()]
    await until(lambda: begun == count)
    for name in uids:
        server.move(SPACE, name, "Succeeded")
    return await asyncio.gather(*message)


@pytest.mark.parametrize("streams_lists", [True, False])
def test_a_thousand_pods_are_told_of_by_one_watch_on_one_connection(tmp_path: Path, streams_lists: bool) -> None:
    async def play() -> tuple[dict[str, int], list[list[str | None]]]:
        async with serving(tmp_path, streams_lists) as (server, watched):
            seen = await many_seen(server, watched, 1000)
            return dict(server.requests), seen

    requests, seen = asyncio.run(play())

    # In pages of 200 where the server has no initial events, after one request that found that out.
    assert ({"watch": 1} if streams_lists else {"watch": 2, "list": 5}) == requests
    assert [["Running", "Succeeded"]] * 1000 == seen


def test_a_watch_that_is_cut_in_the_middle_of_a_line_goes_on_where_it_was(tmp_path: Path) -> None:
    async def play() -> tuple[dict[str, int], list[str | None]]:
        async with serving(tmp_path) as (server, watched):
            uid = server.create(SPACE, "pod")
            with watched.pod(SPACE, "pod", uid, LABELS) as subscription:
                seen = [(await subscription.changed()).status.phase]
                server.move(SPACE, "pod", "Running")
                server.cut()
                seen.append((await subscription.changed()).status.phase)
                server.faults.append(Fault("watch", "cut", 2))
                server.cut()
                server.move(SPACE, "pod", "Succeeded")
                seen.append((await subscription.changed()).status.phase)
            return dict(server.requests), seen

    requests, seen = asyncio.run(play())

    assert ["Pending", "Running", "Succeeded"] == seen
    assert {"watch": 5} == requests


def test_after_a_compaction_everything_is_listed_and_nothing_missed(tmp_path: Path) -> None:
    async def play() -> list[str | None]:
        async with serving(tmp_path) as (server, watched):
            uids = [server.create(SPACE, name) for name in ("ends", "goes")]
            with (
                watched.pod(SPACE, "ends", uids[0], LABELS) as ends,
                watched.pod(SPACE, "goes", uids[1], LABELS) as goes,
            ):
                await ends.changed()
                await goes.changed()
                server.faults.append(Fault("watch", "cut", 1))
                server.cut()
                server.move(SPACE, "ends", "Succeeded")
                server.remove(SPACE, "goes")
                server.compact()
                seen = [(await ends.changed()).status.phase]
                with pytest.raises(PodGone):
                    await goes.changed()
                return seen

    assert ["Succeeded"] == asyncio.run(play())


def test_an_api_server_that_restarts_is_found_again(tmp_path: Path) -> None:
    async def play() -> list[str | None]:
        server = ApiServer(tmp_path)
        async with server.serving():
            watched = Cluster.shared("here", load(server))
            uid = server.create(SPACE, "pod")
            subscription = exits.enter_context(watched.pod(SPACE, "pod", uid, LABELS))
            seen = [(await subscription.changed()).status.phase]
        server.move(SPACE, "pod", "Running")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                # Nobody there, nothing told.
                await subscription.changed()
        async with server.serving():
            seen.append((await subscription.changed()).status.phase)
        return seen

    with contextlib.ExitStack() as exits:
        seen = asyncio.run(play())

    assert ["Pending", "Running"] == seen


def test_a_token_that_is_refused_is_read_again(tmp_path: Path) -> None:
    async def play() -> list[str | None]:
        server = ApiServer(tmp_path, token="first")
        async with server.serving():
            watched = Cluster.shared("here", load(server))
            uid = server.create(SPACE, "pod")
            with watched.pod(SPACE, "pod", uid, LABELS) as subscription:
                seen = [(await subscription.changed()).status.phase]
                client = watched._client._api
                server.token = "second"
                server.cut()
                server.move(SPACE, "pod", "Running")
                seen.append((await subscription.changed()).status.phase)
                assert watched._client._api is client
        return seen

    assert ["Pending", "Running"] == asyncio.run(play())


def test_the_server_says_for_how_long_it_wants_to_be_left_alone(tmp_path: Path) -> None:
    async def play() -> float:
        async with serving(tmp_path) as (server, watched):
            uid = server.create(SPACE, "pod")
            with watched.pod(SPACE, "pod", uid, LABELS) as subscription:
                await subscription.changed()
                server.faults.append(Fault("watch", 429, 1, {"Retry-After": "2"}))
                server.cut()
                server.move(SPACE, "pod", "Running")
                begin = asyncio.get_running_loop().time()
                await subscription.changed()
                return asyncio.get_running_loop().time() - begin

    assert asyncio.run(play()) >= 2


def test_who_may_not_watch_is_told_by_one_list_for_all_and_warned_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def play() -> tuple[dict[str, int], list[list[str | None]]]:
        async with serving(tmp_path) as (server, watched):
            server.faults.append(Fault("watch", 403, None))
            seen = await many_seen(server, watched, 50)
            return dict(server.requests), seen

    requests, seen = asyncio.run(play())

    assert (1, {"watch", "list"}) == (requests["watch"], set(requests))
    assert [["Running", "Succeeded"]] * 50 == seen
    assert 1 == sum("verb 'watch' on 'pods'" in record.message for record in caplog.records)


def test_who_may_do_neither_learns_it_once_for_all(tmp_path: Path) -> None:
    async def play() -> dict[str, int]:
        async with serving(tmp_path) as (server, watched):
            server.faults += [Fault("watch", 403, None), Fault("list", 403, None)]
            for number in range(20):
                with (
                    watched.pod(SPACE, f"pod-{number}", "uid", LABELS) as subscription,
                    pytest.raises(WatchUnavailable),
                ):
                    await subscription.changed()
            return dict(server.requests)

    assert {"watch": 1, "list": 1} == asyncio.run(play())


def test_the_watch_and_then_the_client_close_a_while_after_their_last_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "LINGER_SECONDS", 0.2)

    async def play() -> None:
        async with serving(tmp_path) as (server, watched):
            uid = server.create(SPACE, "pod")
            for _ in range(2):
                with watched.pod(SPACE, "pod", uid, LABELS) as subscription:
                    await subscription.changed()
            assert (1, 1) == (server.requests["watch"], len(watched._watches))
            loop = asyncio.get_running_loop()
            await until(lambda: not watched._watches and not cluster._SHARED[loop])
            assert watched._client._api is not None
            assert watched._client._api.rest_client.pool_manager.closed

    asyncio.run(play())
