"""Which namespaces a task aims at, as far as its arguments say: by name, in manifests, and in files of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

# Of every task; none of them is about Kubernetes, and some hold other tasks.
_AIRFLOWS = frozenset(("dag", "task_group", "params", "default_args", "doc", "inlets", "outlets", "start_date"))
_MANIFEST_KEYS = ("metadata", "kind", "items", "spec")
# A file that is larger than any that Kubernetes would take.
_LARGEST_BYTES = 8 << 20


def of(arguments: Mapping[str, Any]) -> Iterator[str]:
    """Yield every namespace that the arguments or attributes of a task name.

    What holds Airflow's Jinja, or comes from another task, is not known before the task runs.
    """
    seen: set[int] = set()
    for name, value in arguments.items():
        if name in _AIRFLOWS or name.startswith("_BaseOperator"):
            continue
        if name.strip("_").endswith("namespace"):
            yield from _texts(value)
        elif isinstance(value, str | Path):
            yield from _of_text(name, str(value), seen)
        else:
            yield from _of_manifest(value, seen)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value


def _of_text(name: str, text: str, seen: set[int]) -> Iterator[str]:
    if "\n" in text or text.lstrip().startswith("{"):
        yield from _of_yaml(text, seen)
    elif name.endswith("file"):
        # As the provider reads it: from the worker's current directory.
        path = Path(text)
        if path.is_file() and path.stat().st_size <= _LARGEST_BYTES:
            yield from _of_yaml(path.read_text(errors="replace"), seen)


def _of_yaml(text: str, seen: set[int]) -> Iterator[str]:
    import yaml

    if "amespace" not in text and "\\" not in text:
        return
    try:
        # The provider's own reader: aliases and merge keys count.
        documents = list(yaml.safe_load_all(text))
    except (yaml.YAMLError, ValueError, RecursionError):
        # Nor can the operator read it.
        return
    for document in documents:
        yield from _of_manifest(document, seen)


def _of_manifest(value: Any, seen: set[int]) -> Iterator[str]:
    """Yield metadata.namespace of each object in it, at any depth, and the name of each Namespace."""
    waiting = [value]
    while waiting:
        item = _plain(waiting.pop())
        # By identity: an alias in YAML is one object in many places. Kept alive by whoever holds `value`.
        if not isinstance(item, dict | list | tuple) or id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, dict):
            metadata = _plain(item.get("metadata"))
            if isinstance(metadata, dict):
                yield from _texts(metadata.get("namespace"))
                if item.get("kind") == "Namespace":
                    yield from _texts(metadata.get("name"))
            waiting += item.values()
        else:
            waiting += item


def _plain(value: Any) -> Any:
    """Return a model of the Kubernetes client as a dict; all else as it is."""
    return value.to_dict() if hasattr(type(value), "openapi_types") else value
