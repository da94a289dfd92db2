"""Deferred pods: what a triggerer costs that has a thousand of them, and how soon it knows of an end.

The peer is the installed provider's KubernetesPodTrigger, in the same run, on the same server. No kubelet is
needed: a driver changes the pods' statuses. The server is the small one of tests/watching: the peer sends 500
requests a second, which is more than devcluster answers on one core. `python -m tests.bench watching 10000` adds
that many pods over 20 namespaces, for ours alone.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.row import Row
from tests.bench.triggerer import OURS, PEER, Sample, Triggerer
from tests.watching.api_server import ApiServer

PODS = 1000
MORE_PODS = 5000
STEADY_SECONDS = 15.0
ENDS, ENDS_A_SECOND = 200, 20
# How long is waited for the last events.
LATE_SECONDS = 20
NAMESPACES = 20
# Pods have so many event lines in the largest run, among them ends.
LINES_A_SECOND, LINE_SECONDS = 1000, 10


@dataclass
class Figures:
    """Of one triggerer with its pods."""

    requests_a_second: float
    cpu_a_second: float
    memory_a_pod: float
    memory: float
    block: float
    delays: list[float]
    collection: float = 0
    cpu_an_event: float = 0


def run(*sizes: str) -> list[Row]:
    return asyncio.run(_rows([int(size) for size in sizes]))


async def _rows(sizes: list[int]) -> list[Row]:
    peer, ours = await _measured(PEER, PODS), await _measured(OURS, PODS)
    more = await _measured(OURS, MORE_PODS, ends=0)
    rows = [*_compared(peer, ours), *_constant(ours, more)]
    for size in sizes:
        rows += _large(await _measured(OURS, size, NAMESPACES, ends=0, lines=LINE_SECONDS * LINES_A_SECOND), size)
    return rows


def _compared(peer: Figures, ours: Figures) -> list[Row]:
    steady = f"{PODS} deferred pods"
    p99 = [statistics.quantiles(one.delays, n=100)[98] for one in (peer, ours)]
    p50 = [statistics.median(one.delays) for one in (peer, ours)]
    late = f"where no event came within {LATE_SECONDS} s, that is its time."
    return [
        Row(
            f"{steady}: API requests a second",
            peer.requests_a_second,
            ours.requests_a_second,
            "requests",
            "10",
            ours.requests_a_second <= 10,
        ),
        Row(
            f"{steady}: CPU in a second",
            peer.cpu_a_second,
            ours.cpu_a_second,
            "s",
            "a tenth",
            ours.cpu_a_second <= peer.cpu_a_second / 10,
        ),
        Row(
            "memory for one more deferred pod",
            peer.memory_a_pod / 1000,
            ours.memory_a_pod / 1000,
            "kB",
            "50 kB",
            ours.memory_a_pod <= 50_000,
        ),
        Row(f"{ENDS_A_SECOND} ends a second: end to event, p50", *p50, "s", "0.1 s", p50[1] <= 0.1, late),
        Row(f"{ENDS_A_SECOND} ends a second: end to event, p99", *p99, "s", "1 s", p99[1] <= 1),
        Row(f"{steady}: longest block of the event loop", peer.block, ours.block, "s", "0.1 s", ours.block <= 0.1),
    ]


def _constant(ours: Figures, more: Figures) -> list[Row]:
    requests = more.requests_a_second
    constant = requests <= ours.requests_a_second + 0.5
    return [
        Row(f"{MORE_PODS} deferred pods: API requests a second", None, requests, "requests", "no more", constant)
    ]


def _large(figures: Figures, size: int) -> list[Row]:
    what = f"{size} deferred pods in {NAMESPACES} namespaces"
    p99 = statistics.quantiles(figures.delays, n=100)[98]
    each = figures.requests_a_second / NAMESPACES
    return [
        Row(f"{what}: API requests a second and namespace", None, each, "requests", "1", each <= 1),
        Row(f"{what}: memory", None, figures.memory / 1e6, "MB", "150 MB", figures.memory <= 150e6),
        Row(
            f"… {LINES_A_SECOND} changes a second: CPU for one",
            None,
            figures.cpu_an_event,
            "s",
            "0.25 ms",
            figures.cpu_an_event <= 0.25e-3,
        ),
        Row("… end to event, p99", None, p99, "s", "0.5 s", p99 <= 0.5),
        Row("… longest block of the event loop", None, figures.block, "s", "0.1 s", figures.block <= 0.1),
        Row("… longest garbage collection, which is one", None, figures.collection, "s", "", True),
    ]


async def _measured(kind: str, count: int, namespaces: int = 1, ends: int = ENDS, lines: int = 0) -> Figures:
    async with ApiServer(Path(tempfile.mkdtemp())).serving() as server:
        pods = []
        for number in range(count):
            place = (f"space-{number % namespaces}", f"pod-{number}")
            pods.append((*place, server.create(*place, "Running")))
        kubeconfig = server.kubeconfig()
        triggerer = await asyncio.to_thread(Triggerer, kind, kubeconfig, pods)
        try:
            return await _figures(triggerer, server, pods, ends, lines)
        finally:
            await asyncio.to_thread(triggerer.stop)


async def _figures(triggerer: Triggerer, server: ApiServer, pods: list[Any], ends: int, lines: int) -> Figures:
    empty = await _sample(triggerer)
    half = len(pods) // 2
    await _started(triggerer, half)
    first = await _sample(triggerer)
    await _started(triggerer, len(pods) - half)
    second = await _sample(triggerer)
    await asyncio.sleep(STEADY_SECONDS)
    steady = await _sample(triggerer)
    figures = Figures(
        _rate(second, steady, steady.requests - second.requests),
        _rate(second, steady, steady.cpu - second.cpu),
        (second.memory - first.memory) / (len(pods) - half),
        steady.memory - empty.memory,
        steady.block,
        [],
    )
    if lines:
        moved = await _changes(server, pods, lines)
        figures.delays = await _delays(triggerer, moved)
        after = await _sample(triggerer)
        figures.cpu_an_event = (after.cpu - steady.cpu) / lines
        figures.block = max(figures.block, after.block)
        figures.collection = max(steady.collection, after.collection)
    elif ends:
        moved = await _ended(server, pods[:ends], ENDS_A_SECOND)
        figures.delays = await _delays(triggerer, moved)
        figures.block = max(figures.block, (await _sample(triggerer)).block)
    return figures


async def _sample(triggerer: Triggerer) -> Sample:
    return await asyncio.to_thread(triggerer.sample)


def _rate(before: Sample, after: Sample, of: float) -> float:
    return of / (after.at - before.at)


async def _started(triggerer: Triggerer, count: int) -> None:
    """Start triggers, and wait until they are in their stride: as busy in one second as in the next."""
    await asyncio.to_thread(triggerer.start, count)
    await asyncio.sleep(max(5, count / 200))


async def _ended(server: ApiServer, pods: list[Any], a_second: int) -> dict[str, float]:
    """End the pods, so many a second; return when each did."""
    moved, begin = {}, time.monotonic()
    for number, (namespace, name, _) in enumerate(pods):
        await asyncio.sleep(max(0, begin + number / a_second - time.monotonic()))
        server.move(namespace, name, "Succeeded")
        moved[name] = time.time()
    return moved


async def _changes(server: ApiServer, pods: list[Any], count: int) -> dict[str, float]:
    """Change pods, LINES_A_SECOND, each twentieth time to its end; return when each of those was."""
    moved, begin = {}, time.monotonic()
    for number in range(count):
        namespace, name, _ = pods[number % len(pods)]
        await asyncio.sleep(max(0, begin + number / LINES_A_SECOND - time.monotonic()))
        if number % 20 == 0 and name not in moved:
            server.move(namespace, name, "Succeeded")
            moved[name] = time.time()
        elif name not in moved:
            server.move(namespace, name, "Running", reason=str(number))
    return moved


async def _delays(triggerer: Triggerer, moved: dict[str, float]) -> list[float]:
    """Return, for each pod that ended, how long its event took; LATE_SECONDS where there is none by then."""
    until = time.monotonic() + LATE_SECONDS
    while True:
        events = await asyncio.to_thread(triggerer.events)
        if moved.keys() <= events.keys() or time.monotonic() > until:
            break
        await asyncio.sleep(0.2)
    assert all(events[name][0] == "success" for name in moved if name in events), events
    return [events[name][1] - at if name in events else LATE_SECONDS for name, at in moved.items()]
