"""What Kubernetes requires of a pod's volumes and of the containers' mounts.

Source: kubernetes, pkg/apis/core/validation/validation.go (ValidateVolumes, ValidateVolumeMounts).

Needed by the tests that a pod is refused here which Kubernetes refuses; no library holds these rules.
"""

from __future__ import annotations

from collections.abc import Iterator

from airflow_k8s_vault import quantity
from k8s_vault_devcluster.api.names import dns_label
from k8s_vault_devcluster.api.rules import Rule, Rules, check, named, one_of, present, within
from k8s_vault_devcluster.api.status import Cause, forbidden_value, invalid_value, required, unknown_value
from k8s_vault_devcluster.store import Object

_MODE = within(0, 0o777, "must be a number between 0 and 0777 (octal), both inclusive")


def check_volumes(volumes: list[Object] | None, field: str) -> Iterator[Cause]:
    name = {"name": named(dns_label, set())}
    yield from check([(name, _only_one("may not specify more than 1 volume type"), _source)], volumes, field)


def _only_one(why: str) -> Rule:
    """Of a map that has one of many keys, `name` aside."""

    def rule(value: Object, field: str) -> Iterator[Cause]:
        for extra in [key for key in value if key != "name"][1:]:
            yield forbidden_value(f"{field}.{extra}", why)

    return rule


def _source(volume: Object, field: str) -> Iterator[Cause]:
    # No two files of one volume have the same path.
    paths: set[str] = set()
    files: Rules = [{"key": present(), "path": _file(paths), "mode": _MODE}]
    downward: Rules = [({"path": _file(paths), "mode": _MODE}, _one_reference)]
    sources: Rules = {
        "secret": {"name": present(), "items": files},
        "configMap": {"name": present(), "items": files},
        "downwardAPI": {"items": downward},
        "serviceAccountToken": {"expirationSeconds": token_seconds, "path": _file(paths)},
    }
    rules: Rules = {
        "emptyDir": {"medium": one_of("", "HugePages", "Memory"), "sizeLimit": _size},
        "persistentVolumeClaim": {"claimName": present()},
        "secret": {"secretName": present(), "defaultMode": _MODE, "items": files},
        "configMap": {"name": present(), "defaultMode": _MODE, "items": files},
        "downwardAPI": {"defaultMode": _MODE, "items": downward},
        "projected": {
            "defaultMode": _MODE,
            "sources": [(_only_one("may not specify more than 1 volume type per source"), sources)],
        },
    }
    yield from check(rules, volume, field)


def _size(limit: object, field: str) -> Iterator[Cause]:
    if (quantity.parse(limit) or 0) < 0:
        yield invalid_value(field, limit, "must be greater than or equal to 0")


def token_seconds(seconds: int | None, field: str) -> Iterator[Cause]:
    """How long a service account's token may be valid."""
    if seconds is not None and seconds < 600:
        yield invalid_value(field, seconds, "may not specify a duration less than 10 minutes")
    if seconds is not None and seconds > 2**32:
        yield invalid_value(field, seconds, "may not specify a duration larger than 2^32 seconds")


def _one_reference(item: Object, field: str) -> Iterator[Cause]:
    if ("fieldRef" in item) == ("resourceFieldRef" in item):
        yield required(field, "one of fieldRef and resourceFieldRef is required")


def _file(paths: set[str]) -> Rule:
    def rule(path: str | None, field: str) -> Iterator[Cause]:
        yield from file_path(path, field)
        if path and path in paths:
            yield invalid_value(field, path, "conflicting duplicate paths")
        paths.add(path or "")

    return rule


def file_path(path: str | None, field: str) -> Iterator[Cause]:
    """A file inside a volume."""
    if not path:
        yield required(field)
        return
    yield from local_path(path, field)
    if path.startswith("..") and not path.startswith("../"):
        yield invalid_value(field, path, "must not start with '..'")


def local_path(path: str | None, field: str) -> Iterator[Cause]:
    """A path inside a volume, or none."""
    if (path or "").startswith("/"):
        yield invalid_value(field, path, "must be a relative path")
    if ".." in (path or "").split("/"):
        yield invalid_value(field, path, "must not contain '..'")


def mounts(volumes: list[Object]) -> Rule:
    """The rule of a container's volumeMounts, in a pod with these volumes."""
    known = {volume.get("name", "") for volume in volumes}

    def rule(value: list[Object] | None, field: str) -> Iterator[Cause]:
        paths: set[str] = set()
        for index, mount in enumerate(value or ()):
            place, name, path = f"{field}[{index}]", mount.get("name", ""), mount.get("mountPath", "")
            if name not in known or not name:
                yield unknown_value(f"{place}.name", name) if name else required(f"{place}.name")
            if path in paths or not path:
                where = f"{place}.mountPath"
                yield invalid_value(where, path, "must be unique") if path else required(where)
            paths.add(path)
            # Kubernetes leaves the index out here (ValidateVolumeMounts).
            yield from local_path(mount.get("subPath"), f"{field}.subPath")

    return rule
