"""A record of every pod of some namespaces, as anyone who may read pods there could have kept it.

Needed by the demo's report, and by the canary and fault tests.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable
from typing import Any

from kubernetes import client, watch
from kubernetes.client import ApiException
from urllib3.exceptions import HTTPError

from airflow_k8s_vault.delivery.agent import CONTAINER

# Between two watches: of a cluster that is not there just now, too.
_PAUSE_SECONDS = 0.2


class PodRecord:
    """Watches pods until `stop`; `states` holds each state of each pod, `pods` the last one of each by uid."""

    def __init__(self, core: client.CoreV1Api, namespaces: Iterable[str]) -> None:
        self.states: list[dict[str, Any]] = []
        self.pods: dict[str, dict[str, Any]] = {}
        self._core, self._stopped = core, threading.Event()
        for namespace in namespaces:
            threading.Thread(target=self._record, args=(namespace,), daemon=True).start()

    def stop(self) -> None:
        self._stopped.set()

    def of_task(self, dag_id: str, task_id: str) -> dict[str, Any] | None:
        """Return the last state of a task's pod, found by the labels of KubernetesPodOperator."""
        for pod in self.pods.values():
            labels = pod["metadata"].get("labels", {})
            if (labels.get("dag_id"), labels.get("task_id")) == (dag_id, task_id):
                return pod
        return None

    def _record(self, namespace: str) -> None:
        """Watch, and again when a watch ends: after its time, cut by a load balancer, or as too old (410)."""
        while not self._stopped.is_set():
            with contextlib.suppress(HTTPError, ApiException):
                for event in watch.Watch().stream(self._core.list_namespaced_pod, namespace, timeout_seconds=600):
                    if self._stopped.is_set():
                        return
                    pod = event["raw_object"]
                    self.states.append(pod)
                    self.pods[pod["metadata"]["uid"]] = pod
            self._stopped.wait(_PAUSE_SECONDS)


def credentials(pod: dict[str, Any]) -> dict[str, list[str]]:
    """Return what each container of a pod gets from Vault: names of variables and files, never values."""
    result: dict[str, list[str]] = {}
    spec = pod["spec"]
    agent = next((c for c in spec.get("initContainers", []) if c["name"] == CONTAINER), None)
    if agent is None:
        return result
    folders = {mount["name"]: mount["mountPath"] for mount in agent["volumeMounts"]}
    rendered = agent["lifecycle"]["postStart"]["exec"]["command"][4:]
    for container in [*spec.get("initContainers", []), *spec["containers"]]:
        if container is agent:
            continue
        names = [v["name"] for v in container.get("env", []) if "fileKeyRef" in v.get("valueFrom", {})]
        for mount in container.get("volumeMounts", []):
            folder = folders.get(mount["name"], "\0")
            names += [path.removeprefix(f"{folder}/") for path in rendered if path.startswith(f"{folder}/")]
        if names:
            result[container["name"]] = names
    return result
