"""YAML as this package reads it: one document of plain values, each with its place in the text.

What two readers could understand differently is refused, not resolved: a duplicate key, a tag, an anchor, an
alias, a merge key, a second document. Values that the template engine stands in for are filled in after the
text has been parsed (`fill`), so that no value can ever be read as YAML.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

import yaml

# The C parser is ten times faster; both give the same events.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_RESOLVER: Any = yaml.SafeLoader("")
_TAG = "tag:yaml.org,2002:"
# Deeper than any pod (about 12), and far from Python's recursion limit.
_DEEPEST = 60
_LONGEST_NUMBER = 100

DocumentPath = tuple[str | int, ...]


class Place(NamedTuple):
    """Where something starts in the text: `offset` in characters from 0, `line` from 1."""

    offset: int
    line: int


class Mistake(NamedTuple):
    """One thing that is wrong, where, and at which path of the data (None: in the text itself)."""

    place: Place
    sentence: str
    path: DocumentPath | None = None


@dataclass
class Document:
    """A parsed text. `keys` and `values` give the place of each path's key and of its value.

    `data` is None where the text is empty or could not be parsed; `mistakes` then says why.
    """

    data: Any = None
    keys: dict[DocumentPath, Place] = field(default_factory=dict)
    values: dict[DocumentPath, Place] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)

    def place(self, path: DocumentPath) -> Place:
        """Return the place of the key at the path, of the value in a list, or of the nearest parent."""
        while path and path not in self.keys and path not in self.values:
            path = path[:-1]
        return self.keys.get(path) or self.values.get(path) or Place(0, 1)


class FillError(ValueError):
    """Raised by a `fill` for a value that cannot stand where it is; the message becomes a mistake."""


Fill = Callable[[str, bool], Any]


def parse_yaml(text: str, fill: Fill | None = None) -> Document:
    """Return the document in the text. Never raises for what the text holds: see `mistakes`.

    fill: called with each scalar's text and whether it is plain (unquoted, not a block); what it returns
    becomes the value. None leaves the reading to YAML 1.1, as Kubernetes' own tools have it.

    >>> parse("cpu: 2").data
    {'cpu': 2}
    >>> [mistake.sentence for mistake in parse("cpu: 2\\ncpu: 3").mistakes]
    ["key 'cpu' is there twice (first in line 1)."]
    """
    reader = _Reader(yaml.parse(text, Loader=_LOADER), fill)
    try:
        reader.read()
    except yaml.MarkedYAMLError as error:
        mark = _mark(error)
        place = Place(mark.index, mark.line + 1) if mark else Place(0, 1)
        message = ", ".join(part for part in (error.context, error.problem) if part)
        reader.document.mistakes.append(Mistake(place, f"is no valid YAML: {message}."))
    except yaml.YAMLError as error:
        reader.document.mistakes.append(Mistake(Place(0, 1), f"is no valid YAML: {error}."))
    return reader.document


def _mark(error: yaml.MarkedYAMLError) -> Any:
    """Return where to look. What is never closed is noticed only lines later, perhaps in another file."""
    unclosed = (error.context or "").startswith(("while parsing a flow", "while scanning a quoted"))
    return (error.context_mark if unclosed else None) or error.problem_mark or error.context_mark


class _Reader:
    def __init__(self, events: Iterator[Any], fill: Fill | None) -> None:
        self.events = events
        self.fill = fill
        self.document = Document()

    def read(self) -> None:
        documents = 0
        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self.mistake(event, "a second document starts here; a file holds one.")
                    return
                self.document.data = self.value(next(self.events), ())

    def mistake(self, event: Any, sentence: str, path: DocumentPath | None = None) -> None:
        self.document.mistakes.append(Mistake(_place(event), sentence, path))

    def value(self, event: Any, path: DocumentPath) -> Any:
        self.document.values[path] = _place(event)
        if isinstance(event, yaml.AliasEvent):
            self.mistake(event, f"alias '*{event.anchor}' is not taken here: write it out, or use a macro.")
            return None
        if event.anchor:
            self.mistake(event, f"anchor '&{event.anchor}' is not taken here: write it out, or use a macro.")
        if event.tag:
            self.mistake(event, f"tag '{event.tag}' is not taken here: write the plain value.")
        if isinstance(event, yaml.ScalarEvent):
            return self.scalar(event)
        if len(path) > _DEEPEST:
            raise yaml.MarkedYAMLError(None, None, f"nested deeper than {_DEEPEST} levels", event.start_mark)
        return self.mapping(path) if isinstance(event, yaml.MappingStartEvent) else self.sequence(path)

    def scalar(self, event: Any) -> Any:
        plain = event.implicit[0]
        try:
            if self.fill:
                return self.fill(event.value, plain)
            return plain_value(event.value) if plain else event.value
        except FillError as error:
            self.mistake(event, str(error))
            return None

    def sequence(self, path: DocumentPath) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            items.append(self.value(event, (*path, len(items))))
        return items

    def mapping(self, path: DocumentPath) -> dict[str, Any]:
        result: dict[str, Any] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            key = self.key(event)
            below = (*path, key)
            if key in result:
                first = self.document.keys[below].line
                self.mistake(event, f"key '{key}' is there twice (first in line {first}).", below)
            self.document.keys.setdefault(below, _place(event))
            result[key] = self.value(next(self.events), below)
        return result

    def key(self, event: Any) -> str:
        if not isinstance(event, yaml.ScalarEvent):
            raise yaml.MarkedYAMLError(None, None, "a key has to be plain text", event.start_mark)
        if event.anchor or event.tag:
            self.mistake(event, f"key '{event.value}' has an anchor or a tag, which are not taken here.")
        if event.value == "<<" and event.implicit[0]:
            self.mistake(event, "merge key '<<' is not taken here: write it out, or use a macro.")
        key = self.scalar(event) if self.fill else event.value
        # A key that YAML 1.1 reads as a number or a boolean ("on", "1") is text in JSON, and so in Kubernetes.
        return key if isinstance(key, str) else str(event.value)


def _place(event: Any) -> Place:
    return Place(event.start_mark.index, event.start_mark.line + 1)


@lru_cache(maxsize=4096)
def plain_value(text: str) -> Any:
    """Return what an unquoted scalar means in YAML 1.1, without the types that JSON lacks.

    Dates stay text. Raises FillError for infinity, NaN, and numbers that no field of Kubernetes takes.

    >>> plain_value("0644"), plain_value("yes"), plain_value("2026-01-31"), plain_value("~")
    (420, True, '2026-01-31', None)
    """
    tag = _RESOLVER.resolve(yaml.ScalarNode, text, (True, False)).removeprefix(_TAG)
    node = yaml.ScalarNode(_TAG + tag, text)
    if tag == "null":
        return None
    if tag == "bool":
        return _RESOLVER.construct_yaml_bool(node)
    if tag in ("int", "float") and len(text) > _LONGEST_NUMBER:
        # Python refuses to read some of them, and takes its time for others (YAML's 1:00:00:… has base 60).
        raise FillError(f"holds a number of {len(text)} characters; put it in quotes if it is text.")
    if tag == "int":
        return _RESOLVER.construct_yaml_int(node)
    if tag == "float":
        number = _RESOLVER.construct_yaml_float(node)
        if not math.isfinite(number):
            raise FillError(f"'{text}' is no number that JSON, and so Kubernetes, knows.")
        return number
    return text


def dotted(path: DocumentPath) -> str:
    """Return the path as Kubernetes writes it in its own messages.

    >>> dotted(("spec", "containers", 0, "image"))
    'spec.containers[0].image'
    """
    text = ""
    for step in path:
        if isinstance(step, int) or "." in step or "/" in step:
            text += f"[{step}]"
        else:
            text += f".{step}" if text else step
    return text
