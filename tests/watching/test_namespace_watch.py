"""Pods that a watch does not tell of by itself: looked for by name, as often as it takes and no more."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping

import pytest

from airflow_k8s_vault.watching.failures import ApiError, PodGone, WatchUnavailable
from airflow_k8s_vault.watching.namespace_watch import NamespaceWatch
from airflow_k8s_vault.watching.pod_store import PodStore
from airflow_k8s_vault.watching.subscription import Subscription
from tests.watching.simulation import LABELS, Server, run


@contextlib.asynccontextmanager
async def watched(server: Server) -> AsyncIterator[NamespaceWatch]:
    watch = NamespaceWatch(server, "space", LABELS)  # type: ignore[arg-type]
    running = asyncio.create_task(watch.run())
    await asyncio.sleep(10)
    yield watch
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def subscribed(watch: NamespaceWatch, name: str, uid: str | None) -> Subscription:
    subscription = Subscription(name, uid or "", 2)
    watch.store.subscribe(subscription)
    return subscription


def test_one_watch_tells_all_subscribers_and_costs_one_request() -> None:
    async def play() -> tuple[list[str], list[str | None]]:
        server = Server(1, streams_lists=True)
        uids = [server.create(f"pod-{number}") for number in range(50)]
        async with watched(server) as watch:
            subscriptions = [subscribed(watch, f"pod-{number}", uid) for number, uid in enumerate(uids)]
            for number in range(50):
                server.advance(f"pod-{number}", fails=False)
            await asyncio.sleep(60)
            return server.requests, [(await s.changed()).status.phase for s in subscriptions for _ in range(2)]

    requests, phases = run(play())

    assert ["WATCH"] == requests
    assert ["Pending", "Running"] * 50 == phases


def test_a_pod_that_is_finished_or_gone_when_somebody_subscribes_is_looked_for_once() -> None:
    async def play() -> tuple[list[str], str | None]:
        server = Server(1, streams_lists=True)
        finished, gone = server.create("finished"), server.create("gone")
        for _ in range(3):
            server.advance("finished", fails=False)
        server.remove("gone")
        async with watched(server) as watch:
            phase = (await subscribed(watch, "finished", finished).changed()).status.phase
            with pytest.raises(PodGone):
                await subscribed(watch, "gone", gone).changed()
            await asyncio.sleep(60)
        return server.requests, phase

    requests, phase = run(play())

    assert (["WATCH", "GET", "GET"], "Succeeded") == (requests, phase)


def test_a_pod_of_the_same_name_is_another_pod() -> None:
    async def play() -> None:
        server = Server(1, streams_lists=True)
        first = server.create("pod")
        async with watched(server) as watch:
            subscription = subscribed(watch, "pod", first)
            await subscription.changed()
            server.remove("pod")
            server.create("pod")
            await subscription.changed()

    with pytest.raises(PodGone):
        run(play())


def test_who_subscribes_in_the_middle_of_a_listing_is_told_what_it_finds() -> None:
    async def play() -> list[str | None]:
        server = Server(1, streams_lists=False)
        subscription = Subscription("pod", server.create("pod") or "", 2)
        store = PodStore("space", LABELS, look=lambda subscription: None)
        for round in range(2):
            store.begin()
            store.listed(await server.get("/pod"))
            if round == 1:
                store.subscribe(subscription)
            store.replace()
            server.advance("pod", fails=False)
        return [(await subscription.changed()).status.phase for _ in range(2)]

    assert ["Pending", "Running"] == run(play())


def test_a_look_that_fails_is_tried_again_with_longer_pauses() -> None:
    async def play() -> tuple[list[str], float]:
        server = Server(1, streams_lists=True)
        gone = server.create("pod")
        server.remove("pod")
        async with watched(server) as watch:
            server.faults += [ApiError(500, "trouble")] * 5
            begin = asyncio.get_running_loop().time()
            with pytest.raises(PodGone):
                await subscribed(watch, "pod", gone).changed()
            return server.requests, asyncio.get_running_loop().time() - begin

    requests, seconds = run(play())

    assert ["WATCH"] + ["GET"] * 6 == requests
    assert seconds >= 0.2 + 0.4 + 0.8 + 1.6 + 3.2


def test_a_pod_that_goes_while_it_is_looked_for_is_looked_for_again() -> None:
    async def play() -> None:
        server = Server(1, streams_lists=True)
        uid = server.create("pod")
        async with watched(server) as watch:
            answered = asyncio.Event()
            get = server.get

            async def slow(path: str, query: object = None) -> bytes:
                seen = await get(path)
                await answered.wait()
                return seen

            server.get = slow  # type: ignore[method-assign, assignment]
            subscription = subscribed(watch, "pod", uid)
            watch._look(subscription)
            await asyncio.sleep(5)
            server.remove("pod")
            await asyncio.sleep(5)
            answered.set()
            server.get = get  # type: ignore[method-assign]
            async with asyncio.timeout(60):
                while True:
                    await subscription.changed()

    with pytest.raises(PodGone):
        run(play())


def test_a_slow_reader_misses_no_end_and_takes_no_more_memory() -> None:
    async def play() -> tuple[int, bool]:
        server = Server(1, streams_lists=True)
        uid = server.create("pod")
        async with watched(server) as watch:
            subscription = subscribed(watch, "pod", uid)
            for number in range(1000):
                server._change("pod", lambda pod, number=number: pod["status"].update(reason=str(number)))
            for _ in range(3):
                server.advance("pod", fails=True)
            await asyncio.sleep(1000)
            seen = [await subscription.changed()]
            while not seen[-1].is_finished:
                seen.append(await subscription.changed())
            return len(seen), seen == sorted(seen, key=lambda pod: int(pod.metadata.resource_version))

    count, in_order = run(play())

    assert (100, True) == (count, in_order)


def test_a_thousand_changes_at_once_keep_nobody_waiting() -> None:
    class Burst(Server):
        """Has all lines there at once, so that reading them waits for nothing."""

        taken = 0

        async def lines(self, path: str, query: Mapping[str, str]) -> AsyncGenerator[bytes, None]:
            for number in range(1000):
                self.taken += 1
                meta = {"name": "pod", "uid": "uid", "resourceVersion": str(number + 1)}
                yield json.dumps({"type": "MODIFIED", "object": {"metadata": meta}}).encode()
            await asyncio.sleep(1000)

    async def play() -> int:
        server, longest = Burst(1, streams_lists=True), 0
        running = asyncio.create_task(NamespaceWatch(server, "space", LABELS).run())  # type: ignore[arg-type]
        while server.taken < 1000:
            before = server.taken
            await asyncio.sleep(0)
            longest = max(longest, server.taken - before)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return longest

    assert run(play()) <= 50


@pytest.mark.parametrize(("seconds", "lasts"), [(300, True), (1000, False)])
def test_an_outage_is_waited_out_but_not_for_ever(seconds: float, lasts: bool) -> None:
    async def play() -> str | None:
        server = Server(1, streams_lists=True)
        uid = server.create("pod")
        async with watched(server) as watch:
            subscription = subscribed(watch, "pod", uid)
            await subscription.changed()
            server.cut_off(seconds)
            server.advance("pod", fails=False)
            return (await subscription.changed()).status.phase

    if lasts:
        assert "Running" == run(play())
    else:
        with pytest.raises(WatchUnavailable, match="has not answered for 6"):
            run(play())


def test_a_defect_of_the_watch_ends_subscriptions_rather_than_to_let_them_wait_for_ever() -> None:
    async def play() -> None:
        server = Server(1, streams_lists=True)
        uid = server.create("pod")
        async with watched(server) as watch:
            subscription = subscribed(watch, "pod", uid)
            await subscription.changed()
            watch._reflector.line = lambda content: 1 / 0  # type: ignore[method-assign, assignment, return-value]
            server.advance("pod", fails=False)
            await subscription.changed()

    with pytest.raises(WatchUnavailable, match="ZeroDivisionError"):
        run(play())
