"""Whole tasks: how long they take around their main process, and what they ask the API server and Vault.

The peer is the installed provider's KubernetesPodOperator with the same container and no secrets: in the same run,
in turn, each task in a process of its own as in earnest. On devcluster, or on the cluster in KUBECONFIG. A pod
starts on devcluster in less time than a task takes to look at it, on a node in half a second: both are measured.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import yaml

from airflow_k8s_vault import templates
from tests.bench.row import Row

TIMES = 5
# Of the main process.
SHORT_SECONDS, LONG_SECONDS = 0.4, 10
TARGET_SYNC_SECONDS, TARGET_DEFERRED_SECONDS, TARGET_REQUESTS = 1.0, 0.8, 10
PEERS_NAMESPACE = "default"
# For how long a real node's pod is Pending: measured there, image present.
START_SECONDS = 0.5
LATE = f"""\
{{% extends "payments/etl.yaml.j2" %}}
{{% block placement %}}
  initContainers:
    - name: late
      image: {{{{ images.etl }}}}
      command: ["sleep", "{START_SECONDS}"]
      resources: {{requests: {{cpu: 50m, memory: 64Mi}}, limits: {{memory: 64Mi}}}}
      securityContext:
        allowPrivilegeEscalation: false
        runAsNonRoot: true
        capabilities: {{drop: ["ALL"]}}
        seccompProfile: {{type: RuntimeDefault}}
{{% endblock %}}
"""


def run() -> list[Row]:
    from tests.faults.fault_environment import FaultEnvironment
    from tests.settings import follow_the_environment

    follow_the_environment()
    late = {"payments/late.yaml.j2": LATE}
    with FaultEnvironment(Path(tempfile.mkdtemp()), late) as environment, _Peer(environment).connected() as peer:
        ours = _Ours(environment)
        for side in (peer, ours):
            # First connections and imports are no part of what is measured.
            side.execute(side.operator(0))
        sync = _in_turn(peer, ours, lambda side: side.execute(side.operator(SHORT_SECONDS)))
        started = _in_turn(
            peer, ours, lambda side: side.execute(side.operator(SHORT_SECONDS, template="payments/late"))
        )
        deferred = _in_turn(peer, ours, lambda side: side.to_event(side.operator(SHORT_SECONDS, deferrable=True)))
        what = f"a pod that is done in {SHORT_SECONDS} s"
        return [
            _row(f"{what}: execute, sync", sync, TARGET_SYNC_SECONDS),
            _row(
                f"{what}, {START_SECONDS} s to start: execute, sync", started, TARGET_SYNC_SECONDS + START_SECONDS
            ),
            _row(f"{what}: creation to event, deferrable", deferred, TARGET_DEFERRED_SECONDS),
            *_requests(peer, ours),
            _imported(),
        ]


def _in_turn(peer: Any, ours: Any, measured: Any) -> tuple[list[float], list[float]]:
    both = [(measured(peer), measured(ours)) for _ in range(TIMES)]
    return [one for one, _ in both], [one for _, one in both]


def _row(name: str, taken: tuple[list[float], list[float]], target: float) -> Row:
    peer, ours = (statistics.median(times) for times in taken)
    return Row(f"{name}, p50 of {TIMES}", peer, ours, "s", f"{target} s", ours <= target)


def _requests(peer: Any, ours: Any) -> Iterator[Row]:
    """Yield the requests of a task of LONG_SECONDS, which has its secrets in ours."""
    peer.proxy.forget()
    peer.execute(peer.operator(LONG_SECONDS))
    counted = len(peer.proxy.done)
    for delivery in ("agent", "secret"):
        ours.environment.begin()
        ours.execute(ours.operator(LONG_SECONDS, delivery=delivery))
        name, api, vault = (
            f"a sync task of {LONG_SECONDS} s, {delivery}",
            ours.proxy.done,
            ours.environment.vault.done,
        )
        target = f"{TARGET_REQUESTS}"
        yield Row(f"{name}: API requests", counted, len(api), "requests", target, len(api) <= TARGET_REQUESTS)
        yield Row(f"{name}: Vault requests", None, len(vault), "requests", "", True)


class _Side:
    """One of the two operators. proxy: before its API server."""

    proxy: Any
    variables: dict[str, str]

    def execute(self, operator: Any) -> float:
        """Run a task; return how many seconds its execute took, in a process that had imported everything."""
        from tests.faults import worker

        def work() -> float:
            begin = time.monotonic()
            operator.execute(worker.context(operator))
            return time.monotonic() - begin

        with mock.patch.dict(os.environ, self.variables):
            state, seconds = worker.Process(work).outcome()
        assert state == "ok", seconds
        return float(seconds)

    def to_event(self, operator: Any) -> float:
        """Return how many seconds it took from the pod's creation to the event of its trigger."""
        from tests.faults import worker

        seen = self.proxy.count("POST .*/pods")
        with mock.patch.dict(os.environ, self.variables):
            deferring = worker.run(operator)
            worker.wait_until(lambda: self.proxy.count("POST .*/pods") > seen)
            begin = time.monotonic()
            state, serialized = deferring.outcome()
            assert state == "ok", serialized
            event = asyncio.run(self._event(self.trigger({**serialized[1], "connection_extras": None})))
        seconds = time.monotonic() - begin
        assert event["status"] == "success", event
        self.clean(operator, event)
        return seconds

    async def _event(self, trigger: Any) -> Any:
        return (await anext(trigger.run())).payload


class _Ours(_Side):
    variables: dict[str, str] = {}

    def __init__(self, environment: Any) -> None:
        self.environment, self.proxy = environment, environment.kube

    def operator(self, seconds: float, delivery: str = "", template: str = "payments/etl", **given: Any) -> Any:
        secrets = {"delivery": delivery, "script": f"sleep {seconds}"} if delivery else {}
        plain = {} if delivery else {"secrets": [], "cmds": ["sleep", str(seconds)]}
        # As with the peer, all else is as a DAG author finds it.
        return self.environment.operator(poll_interval=2, pod_template=template, **plain, **secrets, **given)

    def trigger(self, row: dict[str, Any]) -> Any:
        from airflow_k8s_vault.operators import VaultPodTrigger

        return VaultPodTrigger(**row)

    def clean(self, operator: Any, event: dict[str, Any]) -> None:
        from tests.faults import worker

        assert worker.resume(operator, event).outcome()[0] == "ok"


class _Peer(_Side):
    def __init__(self, environment: Any) -> None:
        self.environment = environment

    @contextmanager
    def connected(self) -> Iterator[_Peer]:
        """Have it act as the administrator: a team's namespace takes no pods but ours."""
        from tests.faults.fault_environment import proxy_of, through

        servers = self.environment.servers
        self.proxy = proxy_of(servers.api.configuration)
        kubeconfig = servers.folder / "kubeconfig-of-the-peer"
        kubeconfig.write_text(yaml.safe_dump(through(servers.kubeconfig, self.proxy.address)))
        connection = {"conn_type": "kubernetes", "extra": {"kube_config_path": str(kubeconfig)}}
        self.variables = {"AIRFLOW_CONN_KUBERNETES_DEFAULT": json.dumps(connection)}
        try:
            yield self
        finally:
            self.proxy.stop()

    def operator(self, seconds: float, template: str = "payments/etl", **given: Any) -> Any:
        from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
        from airflow.sdk import DAG

        from tests.bench.bench_pods import NAMES

        pod_template = templates.find(template, templates_dir=self.environment.servers.templates_dir)
        pod = pod_template.render({}, context=NAMES)
        pod["metadata"] = {"name": "peer", "namespace": PEERS_NAMESPACE}
        pod["spec"].pop("serviceAccountName", None)
        with DAG(f"dag-{time.monotonic_ns()}", schedule=None):
            made: Any = KubernetesPodOperator(
                task_id="main", name="peer", pod_template_dict=pod, cmds=["sleep", str(seconds)], **given
            )
        made.state_store = None
        return made

    def trigger(self, row: dict[str, Any]) -> Any:
        from airflow.providers.cncf.kubernetes.triggers.pod import KubernetesPodTrigger

        return KubernetesPodTrigger(**row)

    def clean(self, operator: Any, event: dict[str, Any]) -> None:
        self.environment.core.delete_namespaced_pod(event["name"], PEERS_NAMESPACE, grace_period_seconds=0)


def _imported() -> Row:
    """Return what a DAG file with one operator costs in CPU, from the start of its process on."""
    classes = (
        "airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator",
        "airflow_k8s_vault import VaultPodOperator",
    )
    taken: dict[str, list[float]] = {what: [] for what in classes}
    for _ in range(TIMES):
        for what, times in taken.items():
            code = f"from airflow.sdk import DAG\nfrom {what}\nimport time; print(time.process_time())"
            out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
            times.append(float(out.split()[-1]))
    peer, ours = map(min, taken.values())
    return Row("import of Airflow and the operator: CPU", peer, ours, "s", "1.1 × the peer", ours <= 1.1 * peer)
