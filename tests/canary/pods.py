"""Pods that the canary suite makes itself, past the operator, and what can be seen from inside a container."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

from tests.faults.fault_environment import NAMESPACE, FaultEnvironment
from tests.faults.worker import wait_until

# Environment of all processes that can be seen, then all files that are no part of the image.
LOOK = r"""
env
for file in /proc/[0-9]*/environ; do tr '\0' '\n' < $file; done 2>/dev/null
echo FILES
find / \( -path /proc -o -path /sys -o -path '/usr*' -o -path '/lib*' -o -path /bin -o -path /sbin \) -prune \
    -o -type f -size -300k -print 2>/dev/null | while read -r file; do
        # A device that is mounted from the machine is listed as a file, and has no end.
        [ ! -f "$file" ] || { echo "$file"; cat "$file" 2>/dev/null; }
    done
true
"""
_CONTAINER = {
    "image": "postgres:18",
    "command": ["sh", "-c", "true"],
    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
}
_SECURITY = {"runAsNonRoot": True, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}}
WAITS = ["sh", "-c", "trap 'exit 0' TERM; sleep 60 & wait"]


def create(
    environment: FaultEnvironment, *containers: dict[str, Any], annotations: Any = None, **spec: Any
) -> str:
    """Create a pod of these containers (`base` has to be named too) and return its name."""
    name = f"planted-{os.urandom(4).hex()}"
    body = {
        "metadata": {"name": name, "labels": {"app": "planted"}, "annotations": annotations or {}},
        "spec": {
            "containers": [{**_CONTAINER, **container} for container in containers],
            "securityContext": _SECURITY,
            "restartPolicy": "Never",
            **spec,
        },
    }
    environment.core.create_namespaced_pod(NAMESPACE, body)
    return name


def run_to_its_end(environment: FaultEnvironment, annotations: Any = None, **container: Any) -> None:
    """Run a pod of one container; returns when the record of pods has its end."""
    name = create(environment, {"name": "base", **container}, annotations=annotations)
    wait_until(lambda: state(environment, name).get("phase") in ("Succeeded", "Failed"))


def state(environment: FaultEnvironment, name: str) -> dict[str, Any]:
    matches = [pod for pod in environment.record.pods.values() if pod["metadata"]["name"] == name]
    return dict(matches[0].get("status", {})) if matches else {}


@contextlib.contextmanager
def running(environment: FaultEnvironment, *containers: dict[str, Any], **spec: Any) -> Iterator[str]:
    """A pod while all its containers run; it is gone afterwards."""
    name = create(environment, *containers, **spec)
    try:
        wait_until(lambda: _all_run(environment, name))
        yield name
    finally:
        environment.core.delete_namespaced_pod(name, NAMESPACE, grace_period_seconds=0)


def _all_run(environment: FaultEnvironment, name: str) -> bool:
    statuses = state(environment, name).get("containerStatuses", [])
    return bool(statuses) and all("running" in status["state"] for status in statuses)


def look(environment: FaultEnvironment, pod: str, container: str) -> None:
    """Keep what a process in that container can see: variables and files."""
    message = environment.run_in(pod, container, LOOK)
    variables, mark, files = message.partition("FILES\n")
    assert mark, f"could not look around in {container} of {pod}"
    environment.keep("other environment", {f"{pod}/{container}": variables})
    environment.keep("other files", {f"{pod}/{container}": files})
