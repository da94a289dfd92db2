"""How long a pod takes from its creation to its main process, with each delivery; and requests for each pod.

The peer is a plain pod without secrets, as KubernetesPodOperator makes it.
"""

from __future__ import annotations

import secrets
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from airflow_k8s_vault import templates
from airflow_k8s_vault.delivery import REQUEST_ANNOTATION, VaultLogin, agent, secret
from airflow_k8s_vault.handover import Handover
from tests.bench.row import Row

PODS = 20
# Above the plain pod's median.
TARGET_SECONDS = {"secret": 0.2, "agent": 0.9}
NAMES = {"dag_id": "", "task_id": "", "run_id": "", "try_number": 1, "map_index": -1}


def run() -> list[Row]:
    from tests.faults.fault_environment import KEY, LOGIN, NAMESPACE, FaultEnvironment
    from tests.settings import follow_the_environment

    follow_the_environment()

    with FaultEnvironment(Path(tempfile.mkdtemp())) as environment:
        ordinary = {"metadata": {"name": "ordinary"}, "stringData": {"a": "value"}}
        environment.core.create_namespaced_secret(NAMESPACE, ordinary)
        login, expected = VaultLogin.of_role("payments"), [LOGIN, KEY]
        direct = VaultLogin(environment.servers.vault.address, "payments", auth_mount=login.auth_mount)

        def plain(pod: dict[str, Any]) -> None:
            environment.core.create_namespaced_pod(NAMESPACE, pod)

        def with_secret(pod: dict[str, Any]) -> None:
            reference = {"secretKeyRef": {"name": "ordinary", "key": "a"}}
            pod["spec"]["containers"][0]["env"].append({"name": "A", "valueFrom": reference})
            plain(pod)

        def by_agent(pod: dict[str, Any]) -> None:
            plain(agent.attach(pod, expected, direct))

        def by_worker(pod: dict[str, Any]) -> None:
            made = environment.core.create_namespaced_pod(NAMESPACE, secret.attach(pod, expected))
            Handover(environment.core, direct, expected, lifetime_seconds=600).deliver(made)

        ways = {"plain": plain, "ordinary Secret": with_secret, "agent": by_agent, "secret": by_worker}
        times = _in_turn(environment, NAMESPACE, ways)
        rows = [row for name in ways for row in _rows(name, times[name], times["plain"])]
        return [*rows, *_requests(environment)]


def _in_turn(environment: Any, namespace: str, ways: dict[str, Callable[[Any], None]]) -> dict[str, list[float]]:
    """Return seconds by way, taken in turn, so that whatever else the machine does meets them all."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(PODS):
        for name, create in ways.items():
            times[name].append(_one(environment, namespace, create))
    return times


def _one(environment: Any, namespace: str, create: Callable[[Any], None]) -> float:
    pod = templates.find("payments/etl", templates_dir=environment.servers.templates_dir).render({}, context=NAMES)
    name = f"bench-{secrets.token_hex(4)}"
    pod["metadata"] |= {"name": name, "annotations": {REQUEST_ANNOTATION: secrets.token_hex(5)}}
    pod["spec"]["containers"][0]["command"] = ["sh", "-c", "date +%s.%N"]
    begin = time.time()
    create(pod)
    while environment.core.read_namespaced_pod(name, namespace).status.phase != "Succeeded":
        time.sleep(0.05)
    message = environment.core.read_namespaced_pod_log(
        name, namespace, container="base", _preload_content=False
    ).data.decode()
    environment.core.delete_namespaced_pod(name, namespace)
    return float(message.strip()) - begin


def _rows(name: str, mine: list[float], plain: list[float]) -> list[Row]:
    what = f"create to main process, {name}"
    more = statistics.median(mine) - statistics.median(plain)
    limit = TARGET_SECONDS.get(name)
    expected, met = (f"+{limit} s", more <= limit) if limit else ("", True)
    p95 = lambda times: statistics.quantiles(times, n=20)[-1]  # noqa: E731
    return [
        Row(f"{what}, p50", statistics.median(plain), statistics.median(mine), "s", expected, met),
        Row(f"{what}, p95", p95(plain), p95(mine), "s", "", True),
    ]


def _requests(environment: Any) -> list[Row]:
    """Requests of one whole task, from the operator's first to its last; the peer has no secrets."""
    from tests.faults.case import whole

    counted = {}
    for delivery, given in (("", ()), ("agent", None), ("secret", None)):
        environment.begin()
        extra = {"secrets": given, "cmds": ["true"]} if given is not None else {"delivery": delivery}
        whole(environment, environment.operator(**extra))
        counted[delivery] = len(environment.kube.done), len(environment.vault.done)
    return [
        Row(f"{of} of a task, {delivery}", counted[""][index], counted[delivery][index], "requests", "", True)
        for delivery in ("agent", "secret")
        for index, of in enumerate(("API requests", "Vault requests"))
    ]
