"""The published schema of Kubernetes, held strictly: unknown fields, wrong types and missing fields.

The schemas come with `kubernetes-validate`. They are walked here rather than by jsonschema, which takes 30 ms
for a pod and cannot say what is wrong in Kubernetes' words.

Needed by every write, by strategic merge, which reads its keys here, and by the tests of older clusters.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Any

from airflow_k8s_vault import quantity
from k8s_vault_devcluster.api.status import ApiError, Cause, bad_request, required
from k8s_vault_devcluster.store import Object

_FOLDER = "kubernetes-json-schema/v1.36.0-local-strict"
_QUANTITY_RULE = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
_KINDS = {str: "string", bool: "boolean", int: "integer", float: "number", dict: "object", list: "array"}
_GO_VALUES = {"boolean": "bool", "integer": "number"}
_GO_TYPES = {"string": "string", "integer": "int64", "number": "float64", "boolean": "bool", "object": "map"}


@cache
def _definitions() -> dict[str, Any]:
    text = files("kubernetes_validate").joinpath(f"{_FOLDER}/_definitions.json").read_text()
    return dict(json.loads(text)["$defs"])


def without(fields: Iterable[str]) -> None:
    """Let the API be of a release that has not these fields yet, "io.k8s.api.core.v1.EnvVarSource.fileKeyRef"."""
    _definitions.cache_clear()
    schema_of.cache_clear()
    for field in fields:
        kind, _, name = field.rpartition(".")
        del _definitions()[kind]["properties"][name]


@cache
def schema_of(api_version: str, kind: str) -> dict[str, Any]:
    """Return the schema of a kind, with `$ref`s still in it (see `resolved`)."""
    group, _, version = api_version.rpartition("/")
    expected = {"group": group, "version": version, "kind": kind}
    for schema in _definitions().values():
        if expected in schema.get("x-kubernetes-group-version-kind", ()):
            return dict(schema)
    raise bad_request(f'no kind "{kind}" is registered for version "{api_version}"')


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema itself, or what its `$ref` points to."""
    reference = schema.get("$ref")
    return dict(_definitions()[reference.rpartition("/")[2]]) if reference else schema


class Checked:
    """What is wrong with one object: each list is complete, nothing stops at the first."""

    def __init__(self) -> None:
        self.unknown: list[str] = []
        self.mistyped: list[str] = []
        self.missing: list[Cause] = []

    def walk(self, value: Any, schema: dict[str, Any], path: str) -> None:
        if schema.get("$ref", "").endswith(".Quantity"):
            self._check_quantity(value)
            return
        schema = resolved(schema)
        kinds = [name for each in schema.get("oneOf", [schema]) for name in _types(each)]
        kind = _kind(value)
        if kinds and kind not in kinds and not (kind == "integer" and "number" in kinds):
            result = _GO_VALUES.get(kind, kind)
            expected = " or ".join(_GO_TYPES.get(each, each) for each in kinds)
            self.mistyped.append(f"json: cannot unmarshal {result} into Go struct field {path} of type {expected}")
        elif isinstance(value, int) and not -(bits := _bits(schema)) <= value < bits:
            result, expected = f"number {value}"[:40], schema.get("format", "int64")
            self.mistyped.append(f"json: cannot unmarshal {result} into Go struct field {path} of type {expected}")
        elif isinstance(value, dict):
            self._walk_object(value, schema, path)
        elif isinstance(value, list) and "items" in schema:
            for index, item in enumerate(value):
                self.walk(item, schema["items"], f"{path}[{index}]")

    def _check_quantity(self, value: Any) -> None:
        if not isinstance(value, str | int | float) or quantity.parse(value) is None:
            self.mistyped.append(_QUANTITY_RULE)

    def _walk_object(self, value: Object, schema: dict[str, Any], path: str) -> None:
        properties = schema.get("properties", {})
        others = schema.get("additionalProperties", True)
        for name, item in value.items():
            place = f"{path}.{name}" if path else name
            if name in properties:
                self.walk(item, properties[name], place)
            elif others is False:
                self.unknown.append(f'unknown field "{place}"')
            elif isinstance(others, dict):
                self.walk(item, others, place)
        for name in schema.get("required", ()):
            if name not in value:
                self.missing.append(required(f"{path}.{name}" if path else name))


def check(obj: Object, api_version: str, kind: str) -> list[Cause]:
    """Return the fields that are missing; raise ApiError 400 for unknown fields and wrong types.

    Kubernetes drops unknown fields with a warning unless asked for fieldValidation=Strict. Here they are
    always refused: a field that does nothing is what a development cluster is there to find.
    """
    result = Checked()
    result.walk(obj, schema_of(api_version, kind), "")
    if result.mistyped:
        raise _undecodable(api_version, kind, result.mistyped[0])
    if result.unknown:
        raise _undecodable(api_version, kind, f"strict decoding error: {', '.join(result.unknown)}")
    return result.missing


def _undecodable(api_version: str, kind: str, why: str) -> ApiError:
    version = api_version.rpartition("/")[2]
    return bad_request(f'{kind} in version "{version}" cannot be handled as a {kind}: {why}')


def without_nulls(value: Any) -> Any:
    """Drop the keys whose value is null, as Kubernetes' decoding does."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return value


def _bits(schema: dict[str, Any]) -> int:
    """Return the first number that is too large for Go's type."""
    return 2**31 if schema.get("format") == "int32" else 2**63


def _types(schema: dict[str, Any]) -> list[str]:
    kinds = schema.get("type", [])
    return [kinds] if isinstance(kinds, str) else [kind for kind in kinds if kind != "null"]


def _kind(value: Any) -> str:
    return _KINDS.get(type(value), "null")
