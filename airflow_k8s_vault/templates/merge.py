"""Merging pod manifests as Kubernetes does: containers, variables, volumes and mounts by name, never by index.

KubernetesPodOperator merges containers by index and appends `env`, so that a variable that the template and the
DAG both set would be there twice. The keys are the patchMergeKey of Kubernetes' own API types.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

MERGE_KEYS = {
    "containers": "name",
    "initContainers": "name",
    "ephemeralContainers": "name",
    "volumes": "name",
    "imagePullSecrets": "name",
    "env": "name",
    "volumeMounts": "mountPath",
    "volumeDevices": "devicePath",
    "hostAliases": "ip",
    "topologySpreadConstraints": "topologyKey",
}
# Either side's entry is a whole: a variable has a value or a source, a volume has one kind.
_WHOLE = ("env", "volumes", "volumeMounts", "volumeDevices", "hostAliases", "topologySpreadConstraints")


def merge_pods(pod: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return the pod with the other one laid over it: its values win, mappings are joined, lists go by name.

    Lists whose entries have no name (command, args, tolerations) are replaced. Neither argument changes.

    >>> merge({"env": [{"name": "A", "value": "1"}]}, {"env": [{"name": "A", "value": "2"}]})
    {'env': [{'name': 'A', 'value': '2'}]}
    """
    merged = copy.deepcopy(dict(pod))
    for key, value in other.items():
        before = merged.get(key)
        if isinstance(before, dict) and isinstance(value, Mapping):
            merged[key] = merge_pods(before, value)
        elif isinstance(before, list) and isinstance(value, list) and key in MERGE_KEYS:
            merged[key] = _by_key(key, before, value)
        elif value is not None:
            merged[key] = copy.deepcopy(value)
    return merged


def without_repeats(pod: Mapping[str, Any]) -> dict[str, Any]:
    """Return the pod with each variable, volume and mount once; the last one wins.

    For a pod that KubernetesPodOperator has merged: what the DAG set comes last there.

    >>> once({"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]})
    {'env': [{'name': 'A', 'value': '2'}]}
    """
    return {key: _once(key, value) for key, value in pod.items()}


def _once(key: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return without_repeats(value)
    if isinstance(value, list):
        items = [without_repeats(item) if isinstance(item, Mapping) else copy.deepcopy(item) for item in value]
        return _by_key(key, [], items) if key in _WHOLE else items
    return value


def _by_key(key: str, before: list[Any], after: list[Any]) -> list[Any]:
    name = MERGE_KEYS[key]
    merged: dict[Any, Any] = {}
    for item in (*before, *after):
        identity = item.get(name)
        whole = key in _WHOLE or identity not in merged
        merged[identity] = copy.deepcopy(item) if whole else merge_pods(merged[identity], item)
    return list(merged.values())
