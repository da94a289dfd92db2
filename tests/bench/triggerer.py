"""A triggerer for the benchmark of watching: a process that runs triggers on one event loop, and measures itself.

`Triggerer` starts it and asks it; `python -m tests.bench.triggerer` is the process.
"""

from __future__ import annotations

import asyncio
import datetime
import gc
import json
import logging
import os
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any

HEARTBEAT_SECONDS = 0.01
PEER, OURS = "KubernetesPodTrigger", "VaultPodTrigger"
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Sample:
    """Of the process: CPU seconds, requests sent, bytes of memory; and since the last sample the longest block of
    the event loop, and the longest garbage collection, which is such a block.
    """

    at: float
    cpu: float
    requests: int
    memory: int
    block: float
    collection: float


class Triggerer:
    """The process, seen from outside. pods: namespace, name and UID of each pod that it has a trigger for."""

    def __init__(self, kind: str, kubeconfig: str, pods: list[tuple[str, str, str]]) -> None:
        reading, writing = os.pipe()
        environment = {**os.environ, "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.triggerer", str(writing)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            pass_fds=[writing],
            env=environment,
        )
        os.close(writing)
        self._answers = os.fdopen(reading)
        self._ask("prepare", kind=kind, kubeconfig=kubeconfig, pods=pods)

    def start(self, count: int) -> None:
        """Let so many more triggers run."""
        self._ask("start", count=count)

    def sample(self) -> Sample:
        return Sample(**self._ask("sample"))

    def events(self) -> dict[str, tuple[str, float]]:
        """Return, by pod, the status that each trigger has ended with, and when."""
        return {name: (status, at) for name, (status, at) in self._ask("events").items()}

    def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.kill()
        self._process.wait()
        self._answers.close()

    def _ask(self, what: str, **arguments: Any) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"what": what, **arguments}).encode() + b"\n")
        self._process.stdin.flush()
        answer = self._answers.readline()
        if not answer:
            raise RuntimeError(f"the triggerer ended: {self._process.wait()}")
        return json.loads(answer)


class _Process:
    """The process, seen from inside."""

    def __init__(self) -> None:
        self.requests, self.block, self.collection = 0, 0.0, 0.0
        self._collecting_since = 0.0
        self.events: dict[str, tuple[str, float]] = {}
        self._triggers: list[Any] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, answers: int) -> None:
        self._count_requests()
        gc.callbacks.append(self._collected)
        reader = asyncio.StreamReader(limit=2**26)
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        heart = asyncio.create_task(self._beat())
        while line := await reader.readline():
            requested = json.loads(line)
            what = requested.pop("what")
            answer = self.events if what == "events" else getattr(self, what)(**requested)
            os.write(answers, json.dumps(answer).encode() + b"\n")
        heart.cancel()

    def _count_requests(self) -> None:
        import aiohttp

        sent = aiohttp.ClientSession._request

        async def counted(*arguments: Any, **options: Any) -> Any:
            self.requests += 1
            return await sent(*arguments, **options)

        aiohttp.ClientSession._request = counted  # type: ignore[method-assign]

    def _collected(self, phase: str, _: dict[str, int]) -> None:
        now = time.perf_counter()
        if phase == "start":
            self._collecting_since = now
        else:
            self.collection = max(self.collection, now - self._collecting_since)

    async def _beat(self) -> None:
        while True:
            begin, queued = time.perf_counter(), _queued_seconds()
            await asyncio.sleep(HEARTBEAT_SECONDS)
            # Not what the machine did instead of running this process.
            late = time.perf_counter() - begin - HEARTBEAT_SECONDS - (_queued_seconds() - queued)
            self.block = max(self.block, late)

    def prepare(self, kind: str, kubeconfig: str, pods: list[list[str]]) -> None:
        import structlog

        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
        from airflow.providers.cncf.kubernetes.triggers.pod import KubernetesPodTrigger

        from airflow_k8s_vault.operators import VaultPodTrigger

        for namespace, name, uid in pods:
            settings: dict[str, Any] = {
                "pod_name": name,
                "pod_namespace": namespace,
                "trigger_start_time": datetime.datetime.now(datetime.UTC),
                "base_container_name": "base",
                "connection_extras": {"kube_config_path": kubeconfig},
            }
            # All settings are the defaults of both: a poll each 2 s.
            made = KubernetesPodTrigger(**settings) if kind == PEER else VaultPodTrigger(**settings, uid=uid)
            self._triggers.append(made)

    def start(self, count: int) -> None:
        for trigger in self._triggers[:count]:
            task = asyncio.create_task(self._run(trigger))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        del self._triggers[:count]

    async def _run(self, trigger: Any) -> None:
        async for event in trigger.run():
            self.events[trigger.pod_name] = (event.payload["status"], time.time())
            return

    def sample(self) -> dict[str, float]:
        block, self.block = self.block, 0.0
        collection, self.collection = self.collection, 0.0
        usage = resource.getrusage(resource.RUSAGE_SELF)
        with open("/proc/self/statm") as file:
            memory = int(file.read().split()[1]) * _PAGE_BYTES
        cpu = usage.ru_utime + usage.ru_stime
        return {
            "at": time.time(),
            "cpu": cpu,
            "requests": self.requests,
            "memory": memory,
            "block": block,
            "collection": collection,
        }


def _queued_seconds() -> float:
    """Return for how long this thread could have run and had no core."""
    with open("/proc/thread-self/schedstat") as file:
        return int(file.read().split()[1]) / 1e9


if __name__ == "__main__":
    asyncio.run(_Process().serve(int(sys.argv[1])))
