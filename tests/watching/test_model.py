"""Whatever happens to pods, server and network: each subscriber is told the truth, and the end once.

One hypothesis test drives the real watch against the simulated server through random histories.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_k8s_vault.errors import K8sVaultError
from airflow_k8s_vault.watching.failures import ApiError, PodGone
from airflow_k8s_vault.watching.namespace_watch import NamespaceWatch
from airflow_k8s_vault.watching.pods import Pod
from airflow_k8s_vault.watching.subscription import Subscription
from tests.watching.simulation import LABELS, Server, run

NAMES = st.sampled_from(["a", "b"])
# None: a watch that ends as soon as it is open.
FAULTS = [
    ApiError(429, "slow down", 3),
    ApiError(500, "trouble"),
    ApiError(0, "refused"),
    ApiError(401, "expired"),
]
# Longer than any back-off, silence or poll: whatever is to become known is known by then.
SETTLING_SECONDS = 400

create = st.tuples(st.just("create"), NAMES)
advance = st.tuples(st.just("advance"), NAMES, st.booleans())
remove = st.tuples(st.sampled_from(["mark", "remove"]), NAMES)
subscribe = st.tuples(st.just("subscribe"), st.integers(0, 5))
network = st.one_of(
    st.tuples(st.just("cut")),
    st.tuples(st.just("cut_off"), st.sampled_from([5, 60, 200])),
    st.tuples(st.just("fail"), st.sampled_from([None, *FAULTS]), st.integers(1, 4)),
)
others = st.one_of(st.tuples(st.just("compact")), st.tuples(st.sampled_from(["touch", "unlabel"]), NAMES))
# Named more than once: happens more often.
happenings = st.one_of(create, create, advance, advance, advance, remove, subscribe, subscribe, network, others)
histories = st.lists(st.tuples(happenings, st.sampled_from([0, 0, 0.01, 0.3, 2, 30])), min_size=20, max_size=60)


@dataclass
class Reader:
    """Takes all that it is told; `ended_with` is an error, or the finished pod."""

    subscription: Subscription
    seen: list[Pod] = field(default_factory=list)
    ended_with: K8sVaultError | None = None
    gone_too_early: bool = False

    async def read(self, server: Server) -> None:
        try:
            while not self.seen or not self.seen[-1].is_finished:
                self.seen.append(await self.subscription.changed())
        except K8sVaultError as end:
            self.ended_with = end
            self.gone_too_early = server.lives[self.subscription.uid].is_there


async def played(server: Server, history: list[tuple[tuple[object, ...], float]]) -> list[Reader]:
    """Let it all happen while a watch runs; return what everybody was told by the end."""
    watch = NamespaceWatch(server, "space", LABELS)  # type: ignore[arg-type]
    watch._reflector.page_size = 1
    watching = asyncio.create_task(watch.run())
    readers: list[Reader] = []
    reading: list[asyncio.Task[None]] = []
    for (what, *arguments), pause_seconds in history:
        if what == "subscribe":
            # The newest pods are of interest, and now and then one that is long gone.
            if uid := next(iter(list(server.lives)[-1 - int(str(arguments[0])) :]), None):
                reader = Reader(Subscription(server.lives[uid].states[0].metadata.name, uid, 2))
                watch.store.subscribe(reader.subscription)
                readers.append(reader)
                reading.append(asyncio.create_task(reader.read(server)))
        elif what == "fail":
            server.faults += [arguments[0]] * arguments[1]  # type: ignore[list-item, operator]
        else:
            happen: Callable[..., object] = getattr(server, str(what))
            happen(*arguments)
        await asyncio.sleep(pause_seconds)
    server.faults.clear()
    await asyncio.sleep(SETTLING_SECONDS)
    for task in (*reading, watching):
        task.cancel()
    await asyncio.gather(*reading, watching, return_exceptions=True)
    assert not watching.cancelled() or watching.done()
    return readers


@settings(max_examples=200, deadline=None)
@given(histories, st.integers(0, 2**16), st.booleans(), st.booleans())
def test_each_subscriber_is_told_what_is_true_of_its_pod_and_the_end_exactly_once(
    history: list[tuple[tuple[object, ...], float]], seed: int, streams_lists: bool, may_watch: bool
) -> None:
    async def play() -> tuple[Server, list[Reader]]:
        server = Server(seed, streams_lists, may_watch)
        return server, await played(server, history)

    server, readers = run(play())

    for reader in readers:
        life, message = server.lives[reader.subscription.uid], reader.seen
        versions = [int(pod.metadata.resource_version) for pod in message]
        assert all(pod in life.states for pod in message), "told of what never was, or of another pod"
        assert sorted(versions) == versions, "told in another order"
        assert all(pod.differs(before) for before, pod in pairwise(message)), "told twice"
        assert [pod.is_finished for pod in message[:-1]].count(True) == 0
        finished = bool(message) and message[-1].is_finished
        assert not reader.gone_too_early
        if life.is_there and life.states[-1].is_finished:
            assert finished, "the end was missed"
        elif not life.is_there:
            assert finished or isinstance(reader.ended_with, PodGone), "the end was missed"
        else:
            assert reader.ended_with is None
            assert message, "not told the present state"
            assert not life.states[-1].differs(message[-1]), "the last change was missed"


@settings(max_examples=40, deadline=None)
@given(histories, st.integers(0, 2**16), st.booleans(), st.booleans())
def test_no_trouble_makes_it_ask_in_a_hot_loop(
    history: list[tuple[tuple[object, ...], float]], seed: int, streams_lists: bool, may_watch: bool
) -> None:
    async def play() -> tuple[Server, int, float]:
        server = Server(seed, streams_lists, may_watch)
        readers = await played(server, history)
        return server, len(readers), asyncio.get_running_loop().time()

    server, readers, seconds = run(play())

    # At the most a list of three pages each 2 s, and for each reader a pod that has lost its label.
    assert len(server.requests) < 20 * len(history) + (3 + readers) * seconds / 2, server.requests
