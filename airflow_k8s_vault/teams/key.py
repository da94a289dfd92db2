"""One key of team.yaml or platform.yaml: what it may hold, what is wrong with a file, and its JSON Schema."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

from airflow_k8s_vault.errors import did_you_mean
from airflow_k8s_vault.teams.document import Document, DocumentPath, Mistake, dotted

# A list of more helps nobody, and looking for near names in each takes its time.
MOST_MISTAKES = 50


@dataclass(frozen=True)
class Key:
    """One key of the file. `must` finishes the sentence "… must be"; `pattern` holds each text in it.

    group: a mapping with the keys `fields`; groups: a list of such. numbers: whether 5432 is taken for "5432".
    """

    name: str
    kind: Literal["text", "flag", "list", "map", "group", "groups"]
    must: str
    description: str
    pattern: str = ""
    choices: tuple[str, ...] = ()
    required: bool = False
    default: Any = None
    fields: tuple[Key, ...] = ()
    numbers: bool = False


def mistakes(document: Document, keys: tuple[Key, ...]) -> list[Mistake]:
    """Return what the file holds wrong, in the order of its lines; empty where it is valid."""
    errors = list(document.mistakes)
    # An empty file is one without keys, where none is required.
    is_needed = document.data is not None or any(key.required for key in keys)
    data = document.data if is_needed else {}
    if not errors and not isinstance(data, dict):
        return [Mistake(document.place(()), "must hold keys and values.")]
    if isinstance(data, dict):
        errors += islice(_mapping_mistakes(document, keys, data, ()), MOST_MISTAKES)
    return sorted(errors, key=lambda mistake: mistake.place)


def _mapping_mistakes(
    document: Document, keys: tuple[Key, ...], data: Any, path: DocumentPath
) -> Iterator[Mistake]:
    """Yield the mistakes of one mapping: of the whole file, or of a key of kind group."""
    if not isinstance(data, dict):
        fields = ", ".join(key.name for key in keys)
        yield Mistake(document.place(path), f"{dotted(path)} is {data!r}; it must be a mapping of {fields}.", path)
        return
    known = {key.name: key for key in keys}
    for name, value in data.items():
        if name in known:
            yield from _value_mistakes(document, known[name], value, path)
        else:
            whose = dotted(path) if path else "this file"
            sentence = f"{name} is no key of {whose}.{did_you_mean(name, known)}"
            yield Mistake(document.place((*path, name)), sentence, (*path, name))
    for key in keys:
        if key.required and key.name not in data:
            at = (*path, key.name)
            yield Mistake(document.place(path), f"{dotted(at)} is missing. {key.description}", at)


def _value_mistakes(document: Document, key: Key, value: object, parent: DocumentPath) -> Iterator[Mistake]:
    whole: dict[str, type] = {"flag": bool, "list": list, "map": dict, "groups": list}
    path: DocumentPath = (*parent, key.name)
    if key.kind in whole and not isinstance(value, whole[key.kind]):
        shape = {"flag": "", "map": "a mapping; each value must be "}.get(key.kind, "a list; each entry must be ")
        yield Mistake(document.place(path), f"{dotted(path)} is {value!r}; it must be {shape}{key.must}.", path)
        return
    if key.kind == "group":
        yield from _mapping_mistakes(document, key.fields, value, path)
        return
    entries: dict[DocumentPath, Any] = {path: value}
    if isinstance(value, list):
        entries = {(*path, index): item for index, item in enumerate(value)}
    elif isinstance(value, dict):
        entries = {(*path, name): item for name, item in value.items()}
    for at, item in entries.items():
        if key.kind == "groups":
            yield from _mapping_mistakes(document, key.fields, item, at)
        elif not _fits(key, item):
            sentence = f"{dotted(at)} is {item!r}; it must be {key.must}.{_near(key, item)}"
            yield Mistake(document.place(at), sentence, at)


def _fits(key: Key, text: Any) -> bool:
    if key.kind == "flag":
        return True
    if key.numbers and isinstance(text, int | float) and not isinstance(text, bool):
        text = str(text)
    if not isinstance(text, str):
        return False
    return text in key.choices if key.choices else re.fullmatch(key.pattern, text, re.ASCII) is not None


def _near(key: Key, text: Any) -> str:
    return did_you_mean(text, key.choices) if key.choices and isinstance(text, str) else ""


def json_schema(keys: tuple[Key, ...]) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of the file, for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_object(keys)}


def _object(keys: tuple[Key, ...]) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [key.name for key in keys if key.required],
        "properties": {key.name: _property(key) for key in keys},
    }


def _property(key: Key) -> dict[str, Any]:
    if key.fields:
        item = _object(key.fields)
    else:
        kind = ["string", "number"] if key.numbers else "string"
        item = {"type": "boolean" if key.kind == "flag" else kind}
    if key.choices:
        item["enum"] = list(key.choices)
    elif key.pattern:
        # The look-ahead is for readers whose `$` also stands before a newline at the end, as Python's does.
        item["pattern"] = f"^({key.pattern})$(?!\\n)"
    if key.kind in ("list", "groups"):
        item = {"type": "array", "items": item}
    elif key.kind == "map":
        item = {"type": "object", "additionalProperties": item}
    return {"description": key.description, **item}
