"""The images of the tests' pods, pulled before anything is timed: a cluster's node may have none of them yet."""

from __future__ import annotations

import os
import time
from typing import Any

from airflow.providers.cncf.kubernetes.utils.xcom_sidecar import PodDefaults
from kubernetes import client

from airflow_k8s_vault.delivery import VaultLogin

_TIMEOUT_SECONDS = 600
_SECURITY: dict[str, Any] = {
    "runAsNonRoot": True,
    "runAsUser": 10001,
    "seccompProfile": {"type": "RuntimeDefault"},
}
_CONTAINER = {
    "command": ["true"],
    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
}


def pull(core: client.CoreV1Api, namespace: str) -> None:
    """Run a pod of all of them to its end, and take it away; on a cluster of many nodes that is one of them."""
    images = (VaultLogin.image, str(PodDefaults.SIDECAR_CONTAINER.image), "postgres:18", "python:3.12-slim")
    containers = [{"name": f"image-{n}", "image": image, **_CONTAINER} for n, image in enumerate(images)]
    spec = {"containers": containers, "securityContext": _SECURITY, "restartPolicy": "Never"}
    name = f"pulls-{os.urandom(4).hex()}"
    core.create_namespaced_pod(namespace, {"metadata": {"name": name, "labels": {"app": "pulls"}}, "spec": spec})
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    while (phase := core.read_namespaced_pod(name, namespace).status.phase) in ("Pending", "Running"):
        if time.monotonic() > deadline:
            raise TimeoutError(f"the images {', '.join(images)} were not there after {_TIMEOUT_SECONDS} s")
        time.sleep(0.1)
    core.delete_namespaced_pod(name, namespace, grace_period_seconds=0)
    if phase != "Succeeded":
        raise RuntimeError(f"not all of the images {', '.join(images)} have a program `true`: {phase}")
