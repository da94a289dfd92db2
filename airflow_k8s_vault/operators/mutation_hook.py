"""What Airflow's pod_mutation_hook does to the pod of a task: some fields may be open to it and to nobody else.

Loaded by the `airflow.policy` entry point in every Airflow process, so it imports nothing of weight.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from airflow.policies import hookimpl

_SEEN: ContextVar[list[tuple[dict[str, Any], dict[str, Any]]] | None] = ContextVar("k8s_vault_hook", default=None)


@contextmanager
def watched_mutations() -> Iterator[list[tuple[dict[str, Any], dict[str, Any]]]]:
    """Give a list that gets the manifest before and after the hook, for each pod that the hook sees meanwhile."""
    seen: list[tuple[dict[str, Any], dict[str, Any]]] = []
    token = _SEEN.set(seen)
    try:
        yield seen
    finally:
        _SEEN.reset(token)


def is_watching() -> bool:
    """Whether VaultPodOperator builds its pod just now."""
    return _SEEN.get() is not None


# Around all implementations, also those of airflow_local_settings.
@hookimpl(wrapper=True, tryfirst=True)
def pod_mutation_hook(pod: Any) -> Iterator[None]:
    """Take down what the implementations of the hook do to the pod."""
    seen = _SEEN.get()
    if seen is None:
        return (yield)
    from airflow.providers.cncf.kubernetes.pod_generator import PodGenerator

    before = _manifest_of(pod)
    # What the task gave may be another each time that it is read, and would pass for a change of the hook's.
    plain = PodGenerator.deserialize_model_dict(before)
    for name in plain.attribute_map:
        setattr(pod, name, getattr(plain, name))
    result = yield
    seen.append((before, _manifest_of(pod)))
    return result


def _manifest_of(pod: Any) -> dict[str, Any]:
    """Return a V1Pod's manifest, of plain text, numbers, lists and dicts."""
    from kubernetes.client import ApiClient, Configuration

    manifest: dict[str, Any] = json.loads(json.dumps(ApiClient(Configuration()).sanitize_for_serialization(pod)))
    return manifest
