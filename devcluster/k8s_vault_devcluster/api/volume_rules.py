"""What Kubernetes requires of a pod's volumes and of the containers' mounts.

Source: kubernetes, pkg/apis/core/validation/validation.go (ValidateVolumes, ValidateVolumeMounts).

Needed by the tests that a pod is refused here which Kubernetes refuses; no library holds these rules.
"""

from __future__ import annotations

from collections.abc import Iterator

from airflow_k8s_vault import quantity
from k8s_vault_devcluster.api.names import config_key, dns_label
from k8s_vault_devcluster.api.status import (
    Cause,
    duplicate,
    forbidden_value,
    invalid_value,
    not_supported,
    required,
    unknown_value,
)
from k8s_vault_devcluster.store import Object

_MODE_RULE = "must be a number between 0 and 0777 (octal), both inclusive"
_SHORTEST_TOKEN_SECONDS = 600
_LONGEST_TOKEN_SECONDS = 2**32


def check_volumes(volumes: list[Object], field: str) -> Iterator[Cause]:
    seen: set[str] = set()
    for index, volume in enumerate(volumes):
        place, name = f"{field}[{index}]", volume.get("name", "")
        yield from name_causes(name, f"{place}.name", seen)
        kinds = [key for key in volume if key != "name"]
        for extra in kinds[1:]:
            yield forbidden_value(f"{place}.{extra}", "may not specify more than 1 volume type")
        if kinds:
            yield from _check_source(kinds[0], volume[kinds[0]], f"{place}.{kinds[0]}")


def name_causes(name: str, field: str, seen: set[str]) -> Iterator[Cause]:
    """A name in a list of named things: there, a DNS label, and only once."""
    if not name:
        yield required(field)
    else:
        yield from (invalid_value(field, name, problem) for problem in dns_label(name))
        if name in seen:
            yield duplicate(field, name)
    seen.add(name)


def _check_source(kind: str, source: Object, place: str) -> Iterator[Cause]:
    if kind == "emptyDir":
        yield from _check_empty_dir(source, place)
    if kind == "persistentVolumeClaim" and not source.get("claimName"):
        yield required(f"{place}.claimName")
    if kind == "secret" and not source.get("secretName"):
        yield required(f"{place}.secretName")
    if kind == "configMap" and not source.get("name"):
        yield required(f"{place}.name")
    if kind in ("secret", "configMap", "downwardAPI", "projected"):
        yield from _check_mode(source, "defaultMode", place)
    if kind in ("secret", "configMap"):
        yield from _check_items(source, place, set())
    if kind == "downwardAPI":
        yield from _check_downward(source, place, set())
    if kind == "projected":
        yield from _check_projected(source, place)


def _check_empty_dir(source: Object, place: str) -> Iterator[Cause]:
    medium = source.get("medium", "")
    if medium not in ("", "Memory") and not medium.startswith("HugePages"):
        yield not_supported(f"{place}.medium", medium, ["", "HugePages", "Memory"])
    limit = quantity.parse(source.get("sizeLimit", 0))
    if limit is not None and limit < 0:
        yield invalid_value(f"{place}.sizeLimit", source["sizeLimit"], "must be greater than or equal to 0")


def _check_mode(source: Object, key: str, place: str) -> Iterator[Cause]:
    mode = source.get(key)
    if mode is not None and not 0 <= mode <= 0o777:
        yield invalid_value(f"{place}.{key}", mode, _MODE_RULE)


def _check_items(source: Object, place: str, paths: set[str]) -> Iterator[Cause]:
    for index, item in enumerate(source.get("items", [])):
        at = f"{place}.items[{index}]"
        if not item.get("key"):
            yield required(f"{at}.key")
        yield from _check_path(item.get("path", ""), f"{at}.path", paths)
        yield from _check_mode(item, "mode", at)


def _check_downward(source: Object, place: str, paths: set[str]) -> Iterator[Cause]:
    for index, item in enumerate(source.get("items", [])):
        at = f"{place}.items[{index}]"
        yield from _check_path(item.get("path", ""), f"{at}.path", paths)
        yield from _check_mode(item, "mode", at)
        if ("fieldRef" in item) == ("resourceFieldRef" in item):
            yield required(at, "one of fieldRef and resourceFieldRef is required")


def _check_projected(source: Object, place: str) -> Iterator[Cause]:
    paths: set[str] = set()
    for index, each in enumerate(source.get("sources", [])):
        at = f"{place}.sources[{index}]"
        for extra in list(each)[1:]:
            yield forbidden_value(f"{at}.{extra}", "may not specify more than 1 volume type per source")
        for kind in ("secret", "configMap"):
            if kind in each and not each[kind].get("name"):
                yield required(f"{at}.{kind}.name")
            yield from _check_items(each.get(kind, {}), f"{at}.{kind}", paths)
        yield from _check_downward(each.get("downwardAPI", {}), f"{at}.downwardAPI", paths)
        if "serviceAccountToken" in each:
            yield from _check_token(each["serviceAccountToken"], f"{at}.serviceAccountToken", paths)


def _check_token(token: Object, place: str, paths: set[str]) -> Iterator[Cause]:
    seconds = token.get("expirationSeconds", _SHORTEST_TOKEN_SECONDS)
    if seconds < _SHORTEST_TOKEN_SECONDS:
        yield invalid_value(
            f"{place}.expirationSeconds", seconds, "may not specify a duration less than 10 minutes"
        )
    if seconds > _LONGEST_TOKEN_SECONDS:
        why = "may not specify a duration larger than 2^32 seconds"
        yield invalid_value(f"{place}.expirationSeconds", seconds, why)
    yield from _check_path(token.get("path", ""), f"{place}.path", paths)


def _check_path(path: str, field: str, paths: set[str]) -> Iterator[Cause]:
    if not path:
        yield required(field)
        return
    yield from local_path(path, field)
    if path.startswith(".."):
        yield invalid_value(field, path, "must not start with '..'")
    if path in paths:
        yield invalid_value(field, path, "conflicting duplicate paths")
    paths.add(path)


def local_path(path: str, field: str) -> Iterator[Cause]:
    """A path inside a volume."""
    if path.startswith("/"):
        yield invalid_value(field, path, "must be a relative path")
    if ".." in path.split("/"):
        yield invalid_value(field, path, "must not contain '..'")


def check_mounts(mounts: list[Object], volumes: set[str], field: str) -> Iterator[Cause]:
    paths: set[str] = set()
    for index, mount in enumerate(mounts):
        place, name, path = f"{field}[{index}]", mount.get("name", ""), mount.get("mountPath", "")
        if not name:
            yield required(f"{place}.name")
        elif name not in volumes:
            yield unknown_value(f"{place}.name", name)
        if not path:
            yield required(f"{place}.mountPath")
        elif path in paths:
            yield invalid_value(f"{place}.mountPath", path, "must be unique")
        paths.add(path)
        # Kubernetes leaves the index out here (ValidateVolumeMounts).
        yield from local_path(mount.get("subPath", ""), f"{field}.subPath")
        yield from local_path(mount.get("subPathExpr", ""), f"{field}.subPathExpr")
        if mount.get("subPath") and mount.get("subPathExpr"):
            yield invalid_value(
                f"{place}.subPathExpr", mount["subPathExpr"], "subPathExpr and subPath are mutually exclusive"
            )


def check_config_key(key: str, field: str) -> Iterator[Cause]:
    if not key:
        yield required(field)
    else:
        yield from (invalid_value(field, key, problem) for problem in config_key(key))
