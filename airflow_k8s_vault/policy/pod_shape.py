"""Whether a manifest is a v1 Pod: every key known, every value of its type, every required key there.

The Kubernetes client's own models say what is known, because that is exactly what would be dropped later, and
silently, when the manifest becomes a V1Pod.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from itertools import chain, islice
from typing import Any, NamedTuple

from airflow_k8s_vault.errors import did_you_mean
from airflow_k8s_vault.teams import DocumentPath

# Keys whose values are quantities, for which Kubernetes takes a number as well as text.
_QUANTITIES = {"limits", "requests", "overhead", "sizeLimit", "divisor"}
# The models type these as str or object and Kubernetes takes both text and number.
_INT_OR_STRING = "object"
# Set by the cluster; a template that sets them is mistaken.
_NOT_IN_A_TEMPLATE = {("V1Pod", "status")}
_UNKNOWN = "is no key of a v1 Pod."
_CONTAINER_TYPE = re.compile(r"(list|dict)[\[(](?:str, ?)?(.+)[\])]")
# https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?")
_LABEL_KEY = re.compile(r"([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")


class ShapeMistake(NamedTuple):
    """One mistake: at which path, and the rest of a sentence that begins with that path."""

    path: DocumentPath
    sentence: str

    @property
    def is_unknown(self) -> bool:
        """Whether the path is no field of a pod that is known here."""
        return self.sentence.startswith(_UNKNOWN)


class _Field(NamedTuple):
    type: str
    required: bool


def shape_mistakes(pod: object, most: int = 1000) -> list[ShapeMistake]:
    """Return what is not a v1 Pod's in the manifest, in its own order, up to that many. Takes any value."""
    if not isinstance(pod, dict):
        return [ShapeMistake((), f"is {_shown(pod)}; it must be a mapping.")]
    return list(islice(chain(_check(pod, "V1Pod", (), ""), _kind(pod), _labels(pod)), most))


def _kind(pod: dict[str, Any]) -> Iterator[ShapeMistake]:
    # The client's model takes a pod without these; Kubernetes does not.
    for key in ("metadata", "spec"):
        if pod.get(key, {}) is None or (key == "spec" and key not in pod):
            yield ShapeMistake((key,), "is missing.")
    for key, expected in (("apiVersion", "v1"), ("kind", "Pod")):
        if pod.get(key) != expected:
            yield ShapeMistake((key,), f"is {pod.get(key)!r}; a pod template has '{expected}'.")


def _labels(pod: dict[str, Any]) -> Iterator[ShapeMistake]:
    for path in (("metadata", "labels"), ("spec", "nodeSelector")):
        part = pod.get(path[0])
        labels = part.get(path[1]) if isinstance(part, dict) else None
        for key, value in labels.items() if isinstance(labels, dict) else ():
            if not _LABEL_KEY.fullmatch(str(key)):
                yield ShapeMistake(
                    (*path, str(key)), "is no name of a label ([prefix/]name: letters, digits, - _ .)."
                )
            if isinstance(value, str) and not _LABEL_VALUE.fullmatch(value):
                # Not shown: a credential in the wrong place looks like this.
                expected = "at most 63 letters, digits, - _ . with a letter or digit at both ends"
                yield ShapeMistake((*path, str(key)), f"is no value of a label: {expected}.")


def _check(value: Any, type_: str, path: DocumentPath, key: str) -> Iterator[ShapeMistake]:
    if value is None:
        # Kubernetes reads null as "not set".
        return
    container = _CONTAINER_TYPE.fullmatch(type_)
    if container:
        yield from _check_container(value, container[1], container[2], path, key)
    elif type_ in _SCALARS:
        if not _fits(value, type_, key):
            yield ShapeMistake(path, f"is {_shown(value)}; it must be {_SCALARS[type_][1]}{_hint(value, type_)}.")
    elif not isinstance(value, dict):
        yield ShapeMistake(path, f"is {_shown(value)}; it must be a mapping.")
    else:
        yield from _check_model(value, type_, path)


def _check_container(value: Any, outer: str, inner: str, path: DocumentPath, key: str) -> Iterator[ShapeMistake]:
    if not isinstance(value, list if outer == "list" else dict):
        yield ShapeMistake(path, f"is {_shown(value)}; it must be a {'list' if outer == 'list' else 'mapping'}.")
        return
    items: Any = enumerate(value) if isinstance(value, list) else value.items()
    for step, item in items:
        if item is None:
            yield ShapeMistake((*path, step), "is null; write a value, or leave it out.")
        yield from _check(item, inner, (*path, step), key)


def _check_model(value: dict[str, Any], model: str, path: DocumentPath) -> Iterator[ShapeMistake]:
    fields = _fields(model)
    for key, item in value.items():
        if key not in fields:
            yield ShapeMistake((*path, key), f"{_UNKNOWN}{did_you_mean(key, fields)}")
        elif (model, key) in _NOT_IN_A_TEMPLATE:
            yield ShapeMistake((*path, key), "is set by the cluster; leave it out.")
        else:
            yield from _check(item, fields[key].type, (*path, key), key)
    for key, field in fields.items():
        if field.required and value.get(key) is None:
            yield ShapeMistake((*path, key), "is missing.")


_SCALARS: dict[str, tuple[tuple[type, ...], str]] = {
    "str": ((str,), "text"),
    "int": ((int,), "a whole number"),
    "bool": ((bool,), "true or false"),
    "datetime": ((str,), "text"),
    _INT_OR_STRING: ((str, int), "text or a whole number"),
}


def _fits(value: Any, type_: str, key: str) -> bool:
    if isinstance(value, bool):
        return type_ == "bool"
    if key in _QUANTITIES and isinstance(value, int | float):
        return True
    return isinstance(value, _SCALARS[type_][0])


def _hint(value: Any, type_: str) -> str:
    return " (put it in quotes)" if type_ == "str" and isinstance(value, bool | int | float) else ""


def _shown(value: Any) -> str:
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    if value is None or isinstance(value, bool):
        return {True: "true", False: "false", None: "null"}[value]
    return repr(value)


@cache
def _fields(model: str) -> dict[str, _Field]:
    # Imported on first use: it takes 0.3 s, and finding templates does without.
    from kubernetes.client import Configuration, models

    quiet = Configuration()
    quiet.client_side_validation = False
    cls = getattr(models, model)
    empty = cls(local_vars_configuration=quiet)
    quiet.client_side_validation = True
    return {
        cls.attribute_map[name]: _Field(type_, _is_required(empty, name))
        for name, type_ in cls.openapi_types.items()
    }


def _is_required(instance: Any, name: str) -> bool:
    # The models keep this in their setters only.
    try:
        setattr(instance, name, None)
    except ValueError:
        return True
    return False
