"""The documents of a YAML file as other people write them: several in one file, with anchors and merge keys.

The package's own files take none of that (teams.document). Here it is resolved, within bounds.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple, NoReturn

import yaml

from airflow_k8s_vault.errors import MigrationError
from airflow_k8s_vault.teams import FillError, plain_value

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# A pod has some hundred values, a List of pods some ten thousand.
_MOST_VALUES = 50_000
_DEEPEST = 60
LONGEST = 4_000_000


class _Anchored(NamedTuple):
    value: Any
    size: int


def read(text: str, name: str) -> list[Any]:
    """Return the documents of a YAML or JSON text as plain data, without the empty ones.

    Dates stay text. Raises MigrationError, with the line, for what is no YAML, has a key twice or a tag, is nested
    deeper than 60 levels, or whose aliases stand for more than 50,000 values.
    """
    if len(text) > LONGEST:
        raise MigrationError(f"{name} has {len(text):,} characters; at most {LONGEST:,} are read.")
    reader = _Reader(text, name)
    try:
        documents = list(reader.documents())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}" if mark else ""
        raise MigrationError(f"{name}{line}: no valid YAML: {error.problem or error.context}.") from None
    except yaml.YAMLError as error:
        reason = getattr(error, "reason", None) or type(error).__name__
        raise MigrationError(f"{name}: no valid YAML: {reason}.") from None
    # An alias is the same object at each of its places; from here on each is its own.
    return [json.loads(json.dumps(document)) for document in documents if document is not None]


class _Reader:
    def __init__(self, text: str, name: str) -> None:
        self.events: Iterator[Any] = yaml.parse(text, Loader=_LOADER)
        self.name = name
        self.anchors: dict[str, _Anchored] = {}
        self.values = 0

    def documents(self) -> Iterator[Any]:
        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent):
                self.anchors = {}
                yield self.value(next(self.events), 0)

    def fail(self, event: Any, sentence: str) -> NoReturn:
        raise MigrationError(f"{self.name}, line {event.start_mark.line + 1}: {sentence}")

    def value(self, event: Any, depth: int) -> Any:
        before = self.values
        self.count(event, 1)
        if depth > _DEEPEST:
            self.fail(event, f"nested deeper than {_DEEPEST} levels.")
        if isinstance(event, yaml.AliasEvent):
            anchored = self.anchors.get(str(event.anchor))
            if anchored is None:
                self.fail(event, f"alias '*{event.anchor}' stands for nothing before it.")
            self.count(event, anchored.size)
            return anchored.value
        if event.tag and not event.tag.startswith("tag:yaml.org,2002:"):
            self.fail(event, f"tag '{event.tag}' is not taken: write the plain value.")
        value = self.content(event, depth)
        if event.anchor:
            self.anchors[event.anchor] = _Anchored(value, self.values - before)
        return value

    def count(self, event: Any, number: int) -> None:
        self.values += number
        if self.values > _MOST_VALUES:
            self.fail(
                event, f"up to here the file, its aliases written out, has more than {_MOST_VALUES:,} values."
            )

    def content(self, event: Any, depth: int) -> Any:
        if isinstance(event, yaml.MappingStartEvent):
            return self.mapping(depth)
        if isinstance(event, yaml.SequenceStartEvent):
            items = []
            while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
                items.append(self.value(event, depth + 1))
            return items
        try:
            return plain_value(event.value) if event.implicit[0] else event.value
        except FillError as error:
            self.fail(event, str(error))

    def mapping(self, depth: int) -> dict[str, Any]:
        result: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                self.fail(event, "a key has to be plain text.")
            self.count(event, 1)
            if event.value == "<<" and event.implicit[0]:
                merged = {**self.merged(next(self.events), depth), **merged}
                continue
            if event.value in result:
                self.fail(event, f"key '{event.value}' is there twice.")
            result[event.value] = self.value(next(self.events), depth + 1)
        return {**merged, **result}

    def merged(self, event: Any, depth: int) -> dict[str, Any]:
        value = self.value(event, depth + 1)
        mappings = value if isinstance(value, list) else [value]
        if not all(isinstance(each, dict) for each in mappings):
            self.fail(event, "merge key '<<' takes a mapping, or a list of them.")
        result: dict[str, Any] = {}
        for each in mappings:
            result = {**each, **result}
        return result
