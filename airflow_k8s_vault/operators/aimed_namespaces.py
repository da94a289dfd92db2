"""Which namespaces a task aims at, as far as its arguments say: by name, in manifests, and in files of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import Any

# Of every task; none of them is about Kubernetes, and some hold other tasks.
_AIRFLOWS = frozenset(("dag", "task_group", "params", "default_args", "doc", "inlets", "outlets", "start_date"))
# Parsing it takes minutes, and an import has seconds.
_LARGEST_BYTES = 8 << 20
# What has none of these names no namespace: in YAML a letter can also be written as an escape.
_MAY_NAME_ONE = re.compile(r"namespace|list|\\", re.IGNORECASE)


class UnseenError(Exception):
    """An argument that the operator can use cannot be looked at. The message goes on after the task's name."""


def of(arguments: Mapping[str, Any]) -> Iterator[str]:
    """Yield every namespace that the arguments or attributes of a task name.

    What holds Airflow's Jinja, or comes from another task, is not known before the task runs. Raises UnseenError.
    """
    seen: dict[int, Any] = {}
    for name, value in arguments.items():
        if name in _AIRFLOWS or name.startswith("_BaseOperator"):
            continue
        if name.strip("_").endswith("namespace"):
            yield from _texts(value)
        elif isinstance(value, str | Path):
            yield from _of_text(name, str(value))
        elif isinstance(value, bytes | bytearray):
            yield from _of_yaml(bytes(value))
        elif hasattr(value, "read"):
            raise UnseenError(f"has an open file as {name}, which can be read only once: give its text")
        else:
            yield from _of_manifest(value, seen)


def _texts(value: Any) -> Iterator[str]:
    """Yield the name as it stands in the request's path, where the client writes anything as text."""
    if value is not None:
        yield value if isinstance(value, str) else str(value)


def _of_text(name: str, text: str) -> Iterator[str]:
    if name.endswith("file"):
        yield from _of_file(Path(text))
    if _MAY_NAME_ONE.search(text):
        yield from _of_yaml(text)


def _of_file(path: Path) -> Iterator[str]:
    """Yield what the file names: as the provider reads it, from the worker's current directory."""
    try:
        result = path.stat()
    except (OSError, ValueError):
        # No file: for some operators the argument may be the text itself.
        return
    if S_ISREG(result.st_mode) and result.st_size <= _LARGEST_BYTES:
        try:
            yield from _of_yaml(path.read_text(errors="replace"))
        except OSError:
            # Nor can the operator, or it can where it runs: there it is read again.
            return
    elif not S_ISDIR(result.st_mode):
        raise UnseenError(f"reads {path}, which is no file of at most {_LARGEST_BYTES >> 20} MiB")


# A DAG file makes a thousand tasks with one template.
@lru_cache(maxsize=16)
def _of_yaml(text: str | bytes) -> tuple[str, ...]:
    import yaml

    if isinstance(text, str) and not _MAY_NAME_ONE.search(text):
        return ()
    named: list[str] = []
    seen: dict[int, Any] = {}
    try:
        # The provider's own reader: aliases and merge keys count. It creates what the first document says
        # before it reads the second.
        for document in yaml.safe_load_all(text):
            named += _of_manifest(document, seen)
    except RecursionError as error:
        raise UnseenError("has a manifest that is nested too deep to be read") from error
    except Exception:
        # Where the text is no YAML the operator stops as well.
        return tuple(named)
    return tuple(named)


def _of_manifest(value: Any, seen: dict[int, Any]) -> Iterator[str]:
    """Yield metadata.namespace of each object in it, at any depth, and the name of each Namespace."""
    waiting: list[tuple[Any, Any]] = [(value, None)]
    while waiting:
        item, listed_kind = waiting.pop()
        item = _plain(item)
        # By identity: an alias in YAML is one object in many places. Kept alive, as an identity is used again.
        if not isinstance(item, dict | list | tuple) or id(item) in seen:
            continue
        seen[id(item)] = item
        if not isinstance(item, dict):
            waiting += ((each, listed_kind) for each in item)
            continue
        kind = _object_kind(item.get("kind")) or listed_kind
        metadata = _plain(item.get("metadata"))
        if isinstance(metadata, dict):
            yield from _texts(metadata.get("namespace"))
            if kind == "namespace":
                yield from _texts(metadata.get("name"))
        waiting += ((each, kind if key == "items" else None) for key, each in item.items())


def _object_kind(kind: Any) -> str:
    """Return the kind as the client looks for its method: PodList is of pods, wherever the word stands."""
    return kind.replace("List", "").lower() if isinstance(kind, str) else ""


def _plain(value: Any) -> Any:
    """Return a model of the Kubernetes client as a dict; all else as it is."""
    return value.to_dict() if hasattr(type(value), "openapi_types") else value
