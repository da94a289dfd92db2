"""The cluster itself failing under a task: its node, its agent's memory, its clock, its API's streams."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from unittest import mock

from airflow_k8s_vault import VaultSecret
from airflow_k8s_vault.delivery.agent import configuration
from tests.faults.case import Case, after, finish, whole
from tests.faults.endings import DELIVERIES, LONG, MODES
from tests.faults.fault_environment import HAS_ALL, NAMESPACE, FaultEnvironment
from tests.faults.fault_proxy import Fault
from tests.faults.outages import LEASE, REFUSED, UNAVAILABLE
from tests.faults.worker import Process, WatchedOperator, resume, run, trigger, wait_until

# How long a login lives that a lost node can no longer renew, or that a killed agent can no longer revoke.
TTL_SECONDS = 6
NO_NODE = "it takes the power of a node"
NO_CLOCK = "it takes the cluster's clock"
# Enough for the agent as it is (11 MiB), and far less than it takes to read a secret of 24 MB (100 to 160 MiB).
LIMIT = "64Mi"
# More than Vault's own leeways for a clock that is wrong (150 s), and than the life of the token (600 s).
SKEW_SECONDS = 1000


def cases() -> Iterator[Case]:
    for delivery in DELIVERIES:
        for mode in MODES:
            yield Case(
                "node lost",
                delivery,
                node_lost,
                mode,
                "failed",
                within_seconds=TTL_SECONDS + 60,
                slow=(delivery, mode) != ("secret", "deferrable"),
                only_devcluster=NO_NODE,
                operator=LONG,
            )
            cut = {"cmds": ["sh", "-c", f"{HAS_ALL} && for i in 1 2 3 4 5 6; do echo $i; sleep 0.5; done"]}
            yield Case("API server cuts watches, logs and reads", delivery, cut_off, mode, slow=True, operator=cut)
        yield Case(
            "node lost, and the worker with it",
            delivery,
            node_and_worker_lost,
            ends="killed",
            within_seconds=TTL_SECONDS + 60,
            slow=True,
            only_devcluster=NO_NODE,
            operator={**LONG, "execution_timeout": timedelta(seconds=TTL_SECONDS)},
        )
        skewed: dict[str, Any] = {"slow": True, "only_devcluster": NO_CLOCK}
        for auth in ("kubernetes", "jwt"):
            for where, ahead_seconds, ends in (
                ("ahead", SKEW_SECONDS, "token not yet valid"),
                ("behind", -SKEW_SECONDS, "token is expired"),
            ):
                name, script = f"cluster's clock {where}, {auth} auth", refused_by_clock(ahead_seconds, auth)
                yield Case(name, delivery, script, ends=ends, logins=0, leases=0, ran=False, **skewed)
            name = f"cluster's clock ahead by a minute, {auth} auth"
            yield Case(name, delivery, skewed_by(60, auth), **skewed)
    name = "agent out of memory before the main process"
    yield Case(name, "agent", out_of_memory, ends=UNAVAILABLE, leases=0, ran=False)
    name = "agent out of memory before the main process, its largest process killed"
    yield Case(name, "agent", out_of_memory_alone, ends=UNAVAILABLE, leases=0, ran=False)
    # Without what is made on request, which would have the agent look for changes each five minutes.
    key = VaultSecret("secret/payments/partner", file="partner.key", key="api_key")
    script = "test -s /vault/secrets/partner.key && until [ -e /tmp/end ]; do sleep 0.2; done"
    later: dict[str, Any] = {"secrets": [key], "cmds": ["sh", "-c", script]}
    name = "agent out of memory while the pod runs"
    yield Case(name, "agent", out_of_memory_later, logins=None, leases=None, slow=True, operator=later)


def node_lost(environment: FaultEnvironment, operator: WatchedOperator) -> tuple[str, Any]:
    """The pod stays, marked for deletion, until somebody deletes it by force. Its agent renews nothing more."""
    environment.login_ttl(TTL_SECONDS)
    try:
        process = run(operator)
        name = wait_until(lambda: environment.running(operator))["metadata"]["name"]
        watching = _watched(environment, process.outcome()[1]) if operator.deferrable else None
        _lose_node(environment, name)
        environment.core.delete_namespaced_pod(name, NAMESPACE, grace_period_seconds=0)
        return resume(operator, watching.outcome()[1]).outcome() if watching else process.outcome()
    finally:
        environment.login_ttl(600)
        environment.mishap("node-back")


def node_and_worker_lost(environment: FaultEnvironment, operator: WatchedOperator) -> tuple[str, Any]:
    """Nobody is left: the login ends by its TTL, which is no longer than the task might run."""
    environment.login_ttl(TTL_SECONDS)
    try:
        process = run(operator)
        name = wait_until(lambda: environment.running(operator))["metadata"]["name"]
        process.kill()
        _lose_node(environment, name)
        environment.core.delete_namespaced_pod(name, NAMESPACE, grace_period_seconds=0)
        return process.outcome()
    finally:
        environment.login_ttl(600)
        environment.mishap("node-back")


def _watched(environment: FaultEnvironment, serialized: Any) -> Process:
    """Return a triggerer that has begun to look at its pod."""
    before = environment.kube.count("GET .*/pods")
    watching = trigger(serialized)
    wait_until(lambda: environment.kube.count("GET .*/pods") > before)
    return watching


def _lose_node(environment: FaultEnvironment, name: str) -> None:
    environment.mishap("node-lost")
    left = environment.core.read_namespaced_pod(name, NAMESPACE)
    assert (left.status.phase, left.metadata.deletion_timestamp is None) == ("Running", False)


def cut_off(environment: FaultEnvironment, operator: WatchedOperator) -> tuple[str, Any]:
    """Vault is slow, so that the watch is cut before the pod has started, and the log afterwards."""
    environment.vault.faults = [Fault(LEASE, 3.0)]
    watch, log = Fault("GET .*watch=", "cut in the middle"), Fault("GET .*/log", "cut in the middle", 2)
    read = Fault(r"GET .*/pods/[^/?]+(\?|$)", "cut in the middle", 2)
    environment.kube.faults = [watch, log]
    process = run(operator)
    watching = trigger(process.outcome()[1]) if operator.deferrable else None
    wait_until(lambda: environment.running(operator))
    environment.kube.faults = [watch, log, read]
    ended = after(operator, watching) if watching else process.outcome()
    assert (0, True) == (watch.times, (log.times or 0) < 2), (watch, log, read)
    return ended


def out_of_memory(environment: FaultEnvironment, operator: WatchedOperator) -> tuple[str, Any]:
    """A secret is more than the agent's limit takes, and the agent waits for the other one until that is seen."""
    # Not before the agent has written its login down: what dies in that moment only the TTL can end.
    environment.vault.faults = [
        Fault(LEASE, "hang", None),
        Fault("GET /v1/secret/data/payments/partner", 1.5, None),
    ]
    with _large_secret(environment), _agent(environment, LIMIT):
        return whole(environment, operator)


def out_of_memory_alone(environment: FaultEnvironment, operator: WatchedOperator) -> tuple[str, Any]:
    """The kernel kills the agent and leaves the shell around it, and the node is slow to take the pod away."""
    with environment.kubelet(killsGroups=False, removalSeconds=4):
        return out_of_memory(environment, operator)


def out_of_memory_later(environment: FaultEnvironment, operator: WatchedOperator) -> tuple[str, Any]:
    """A secret grows beyond the limit while the pod runs, and shrinks again. The agent is started again."""
    with _agent(environment, LIMIT, render_interval="1s"):
        process = run(operator)
        name = wait_until(lambda: environment.running(operator))["metadata"]["name"]

        def killed() -> bool:
            status = environment.core.read_namespaced_pod(name, NAMESPACE).status.init_container_statuses[0]
            ended = status.last_state.terminated or status.state.terminated
            return bool(ended and ended.reason == "OOMKilled")

        with _large_secret(environment):
            wait_until(killed)
        environment.run_in(name, "base", "touch /tmp/end")
        return finish(operator, process)


@contextlib.contextmanager
def _large_secret(environment: FaultEnvironment) -> Iterator[None]:
    path = "secret/data/payments/partner"
    before = environment.vault_admin.request("GET", path)["data"]["data"]
    environment.vault_admin.request("POST", path, {"data": {**before, "more": "x" * 24_000_000}})
    try:
        yield
    finally:
        environment.vault_admin.request("POST", path, {"data": before})


@contextlib.contextmanager
def _agent(environment: FaultEnvironment, limit: str, render_interval: str = "1m") -> Iterator[None]:
    """Let the team's agents have that memory limit, and read KV secrets again so often."""
    resources = {"requests": {"cpu": "25m", "memory": limit}, "limits": {"memory": limit}}
    file = environment.servers.templates_dir / "payments" / "team.yaml"
    before = file.read_text()
    file.write_text(f"{before}\nagent: {json.dumps({'resources': resources})}\n")
    try:
        with mock.patch.object(configuration, "_RENDER_INTERVAL", render_interval), environment.configured():
            yield
    finally:
        file.write_text(before)


def skewed_by(ahead_seconds: int, auth: str) -> Any:
    """Vault judges a pod's token by a clock of its own, with 150 s of leeway, whatever the auth method."""

    def script(environment: FaultEnvironment, operator: WatchedOperator) -> tuple[str, Any]:
        settings = (
            {"vault_auth_method": "jwt", "vault_auth_mount": environment.jwt_mount()} if auth == "jwt" else {}
        )
        with environment.configured(**settings):
            environment.mishap("clock", aheadSeconds=ahead_seconds)
            try:
                return whole(environment, operator)
            finally:
                environment.mishap("clock", aheadSeconds=0)

    return script


def refused_by_clock(ahead_seconds: int, auth: str) -> Any:
    def script(environment: FaultEnvironment, operator: WatchedOperator) -> tuple[str, Any]:
        state, reason = skewed_by(ahead_seconds, auth)(environment, operator)
        assert reason.startswith(REFUSED), reason
        return state, reason

    return script
