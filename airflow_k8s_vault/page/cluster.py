"""The pod of a running task, seen with the API server's own account where it has one.

Airflow's Kubernetes connections are not read here: a look-up of one asks the secrets backend, and so Vault.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from airflow_k8s_vault import json_text
from airflow_k8s_vault.delivery.agent import CONTAINER

TIMEOUT_SECONDS = 2
_EVENTS_SHOWN = 30


class LivePod(NamedTuple):
    """A pod as the cluster has it now (JSON), and its events; `note` says why it is not seen where it is not."""

    pod: Mapping[str, Any] | None
    events: list[dict[str, str]]
    note: str

    @property
    def agents_last_words(self) -> str:
        """Return what the agent wrote when it ended, empty where it did not."""
        statuses = ((self.pod or {}).get("status") or {}).get("initContainerStatuses") or ()
        for status in statuses:
            if status.get("name") == CONTAINER:
                for state in ("state", "lastState"):
                    if message := ((status.get(state) or {}).get("terminated") or {}).get("message"):
                        return str(message)
        return ""


def find(namespace: str, dag_id: str, task_id: str, run_id: str, map_index: int) -> LivePod:
    """Return the newest pod of the task instance in that namespace, and its events; it takes 2 s at most."""
    from airflow.providers.cncf.kubernetes.pod_generator import make_safe_label_value
    from kubernetes.client import ApiException
    from urllib3.exceptions import HTTPError

    labels = {"dag_id": dag_id, "task_id": task_id, "run_id": run_id}
    labels |= {"map_index": str(map_index)} if map_index >= 0 else {}
    selector = ",".join(f"{name}={make_safe_label_value(value)}" for name, value in labels.items())
    deadline = time.monotonic() + TIMEOUT_SECONDS
    try:
        api = _api()
        if api is None:
            return LivePod(None, [], "Not seen: the API server has no account in a cluster.")
        pods = _get(api, deadline, f"/api/v1/namespaces/{namespace}/pods", labelSelector=selector, limit=20)
        pods = pods["items"]
        if not pods:
            return LivePod(None, [], "There is no pod of this task in the cluster any more.")
        pod = max(pods, key=lambda item: item["metadata"]["creationTimestamp"])
        about = f"involvedObject.uid={pod['metadata']['uid']}"
        path = f"/api/v1/namespaces/{namespace}/events"
        events = _get(api, deadline, path, fieldSelector=about, limit=_EVENTS_SHOWN)
    except ApiException as error:
        reason = f"{error.status} {error.reason}"
        return LivePod(None, [], f"Not seen: the cluster answered the API server's account with {reason}.")
    except (HTTPError, OSError, KeyError, ValueError) as error:
        return LivePod(None, [], f"Not seen: the cluster could not be asked ({type(error).__name__}).")
    return LivePod(pod, [_event(item) for item in sorted(events["items"], key=_when)], "")


@lru_cache(maxsize=1)
def _api() -> Any:
    """Return a client with the account of this process, or None where it has none."""
    from kubernetes import client, config

    configuration = client.Configuration()
    try:
        config.load_config(client_configuration=configuration)
    except (config.ConfigException, OSError):
        return None
    configuration.retries = False
    return client.ApiClient(configuration)


def _get(api: Any, deadline: float, path: str, **query: Any) -> Any:

    answer = api.call_api(
        path,
        "GET",
        query_params=list(query.items()),
        auth_settings=["BearerToken"],
        _preload_content=False,
        _return_http_data_only=True,
        _request_timeout=max(0.1, deadline - time.monotonic()),
    )
    return json_text.read(answer.data)


def _when(item: Mapping[str, Any]) -> tuple[str, str]:
    """Times are whole seconds; within one, versions grow with each write."""
    return _event(item)["at"], str(item["metadata"].get("resourceVersion") or "").zfill(20)


def _event(item: Mapping[str, Any]) -> dict[str, str]:
    at = item.get("lastTimestamp") or item.get("eventTime") or item.get("firstTimestamp") or ""
    return {
        "at": str(at),
        "type": str(item.get("type") or ""),
        "reason": str(item.get("reason") or ""),
        "message": str(item.get("message") or "")[:2000],
    }
