"""A pod manifest as a flat map from path to value, so that two of them can be compared field by field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

# Steps from the top. The entries of these lists go by their name, as in Kubernetes' own merges; others are
# compared whole. A step is never joined to text before it is compared: a name could hold a bracket.
FieldPath = tuple[str, ...]
Flat = dict[FieldPath, Any]

MERGE_KEYS = {
    "containers": "name",
    "initContainers": "name",
    "ephemeralContainers": "name",
    "volumes": "name",
    "env": "name",
    "volumeMounts": "mountPath",
    "volumeDevices": "devicePath",
}
CONTAINER_LISTS = ("initContainers", "containers", "ephemeralContainers")


def flatten(manifest: Mapping[str, Any]) -> Flat:
    """Return path to value for all that is set; null, false for hostNetwork, and empty lists and maps are not.

    Only in a volume an empty map says something: its kind.

    >>> flatten({"spec": {"containers": [{"name": "base", "env": []}], "hostNetwork": False}})
    {('spec', 'containers', 'base', 'name'): 'base'}
    """
    flat: Flat = {}
    _flatten(manifest, (), flat)
    return flat


def _flatten(value: Any, path: FieldPath, flat: Flat) -> None:
    in_volume = path[:2] == ("spec", "volumes")
    if isinstance(value, dict) and (value or not in_volume):
        for key, item in value.items():
            _flatten(item, (*path, str(key)), flat)
    elif isinstance(value, list) and path and path[-1] in MERGE_KEYS and _all_named(value, MERGE_KEYS[path[-1]]):
        for item in value:
            _flatten(item, (*path, str(item[MERGE_KEYS[path[-1]]])), flat)
    elif value is None or (value == [] and not in_volume):
        return
    elif path[-1:] != ("hostNetwork",) or value is not False:
        flat[path] = value


def _all_named(items: list[Any], key: str) -> bool:
    return all(isinstance(item, dict) and item.get(key) is not None for item in items)


def shown_path(path: FieldPath) -> str:
    """Return the path as messages show it.

    >>> shown(("spec", "containers", "base", "env", "PGUSER", "value"))
    'spec.containers[base].env[PGUSER].value'
    """
    text = ""
    for before, step in zip(("", *path), path, strict=False):
        if before in (*MERGE_KEYS, "labels", "annotations", "nodeSelector") or step.isdigit():
            text += f"[{step}]"
        else:
            text += f".{step}" if text else step
    return text


def parsed_path(field: str) -> FieldPath:
    """Return the path of a field as messages show it.

    >>> parsed("metadata.annotations[prometheus.io/scrape]")
    ('metadata', 'annotations', 'prometheus.io/scrape')
    """
    steps: list[str] = []
    for part in field.split("["):
        name, closed, rest = part.partition("]")
        steps += [name, *filter(None, rest.split("."))] if closed else part.split(".")
    return tuple(filter(None, steps))


def containers(manifest: Mapping[str, Any]) -> Iterator[tuple[FieldPath, Mapping[str, Any]]]:
    """Yield each container, of all kinds, with its path."""
    for section in CONTAINER_LISTS:
        for container in manifest.get("spec", {}).get(section) or ():
            yield ("spec", section, str(container.get("name"))), container


def volume_kinds(volume: Mapping[str, Any]) -> set[str]:
    """Return the kinds that a volume names: one, unless somebody is playing games."""
    return {key for key, value in volume.items() if key != "name" and value is not None}
