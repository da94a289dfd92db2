"""One pod, followed by a thread, on a real connection."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client, config

from airflow_k8s_vault.watching import FollowedPod
from tests.watching.api_server import ApiServer, Fault

SPACE = "space"


class Cluster:
    """An API server in a thread of its own; `do` lets something happen there."""

    def __init__(self, folder: Path) -> None:
        self.server = ApiServer(folder)
        self.loop = asyncio.new_event_loop()

    @contextlib.contextmanager
    def serving(self) -> Iterator[Cluster]:
        is_up, stop = threading.Event(), asyncio.Event()

        async def serve() -> None:
            async with self.server.serving():
                is_up.set()
                await stop.wait()

        thread = threading.Thread(target=lambda: self.loop.run_until_complete(serve()))
        thread.start()
        is_up.wait()
        self.core = client.CoreV1Api(config.new_client_from_config(self.server.kubeconfig()))
        try:
            yield self
        finally:
            self.loop.call_soon_threadsafe(stop.set)
            thread.join()

    def do(self, what: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        async def done() -> Any:
            return what(*arguments, **options)

        return asyncio.run_coroutine_threadsafe(done(), self.loop).result()

    def follow(self) -> FollowedPod:
        """Create a pod and follow it from its creation on."""
        self.do(self.server.create, SPACE, "pod")
        return FollowedPod(self.core.api_client, self.core.read_namespaced_pod("pod", SPACE))


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with Cluster(tmp_path).serving() as made:
        yield made


def next_phase(followed: FollowedPod, phase: str) -> None:
    """Wait until the pod is in that phase."""
    while followed.newest.status.phase != phase:
        changes = followed.changes
        if followed.newest.status.phase != phase:
            followed.wait(changes, 30)
        assert followed.is_followed


def test_it_is_watched_from_its_creation_on_by_one_request(cluster: Cluster) -> None:
    followed = cluster.follow()
    for phase in ("Running", "Succeeded"):
        cluster.do(cluster.server.move, SPACE, "pod", phase)
        next_phase(followed, phase)
    followed.close()

    assert {"get": 1, "watch": 1} == cluster.server.requests
    assert "base" == followed.newest.status.container_statuses[0].name


def test_what_happened_before_the_watch_began_is_not_missed(cluster: Cluster) -> None:
    cluster.do(cluster.server.create, SPACE, "pod")
    created = cluster.core.read_namespaced_pod("pod", SPACE)
    cluster.do(cluster.server.move, SPACE, "pod", "Succeeded")
    followed = FollowedPod(cluster.core.api_client, created)

    next_phase(followed, "Succeeded")
    followed.close()


@pytest.mark.parametrize("compacted", [False, True])
def test_a_cut_watch_goes_on(cluster: Cluster, compacted: bool) -> None:
    followed = cluster.follow()
    cluster.do(cluster.server.move, SPACE, "pod", "Running")
    next_phase(followed, "Running")
    cluster.server.faults.append(Fault("watch", "cut", 1))
    cluster.do(cluster.server.cut)
    cluster.do(cluster.server.move, SPACE, "pod", "Succeeded")
    if compacted:
        cluster.do(cluster.server.compact)

    next_phase(followed, "Succeeded")
    followed.close()


def gone(cluster: Cluster) -> None:
    cluster.do(cluster.server.remove, SPACE, "pod")


def replaced(cluster: Cluster) -> None:
    gone(cluster)
    cluster.do(cluster.server.create, SPACE, "pod", "Succeeded")


def gone_meanwhile(cluster: Cluster) -> None:
    cluster.server.faults.append(Fault("watch", "cut", 1))
    cluster.do(cluster.server.cut)
    replaced(cluster)
    cluster.do(cluster.server.compact)


def refused(cluster: Cluster) -> None:
    cluster.server.faults.append(Fault("watch", 403, None))
    cluster.do(cluster.server.cut)


@pytest.mark.parametrize("happens", [gone, replaced, gone_meanwhile, refused])
def test_it_says_when_others_have_to_be_asked(cluster: Cluster, happens: Callable[[Cluster], None]) -> None:
    followed = cluster.follow()
    seen = threading.Event()
    followed.listen(lambda: seen.set() if not followed.is_followed else None)
    happens(cluster)

    assert seen.wait(30)
    followed.wait(followed.changes)  # returns at once
    assert "Pending" == followed.newest.status.phase


def test_closing_ends_the_thread(cluster: Cluster) -> None:
    followed = cluster.follow()
    followed.close()

    mine = [thread for thread in threading.enumerate() if thread.name == "watch of pod"]
    for thread in mine:
        thread.join(30)
    assert not any(thread.is_alive() for thread in mine)
