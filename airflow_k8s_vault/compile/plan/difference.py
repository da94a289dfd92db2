"""One difference between what is compiled and what is there, and all of them as `terraform plan` shows such."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

# + missing, ~ different, - there and not compiled, ! wider than declared, 0 unused, ? not seen
Sign = Literal["+", "~", "-", "!", "0", "?"]
_WORDS: dict[str, str] = {
    "+": "missing",
    "~": "different",
    "-": "not compiled",
    "!": "wider than declared",
    "0": "unused",
    "?": "not seen",
}
_HEADINGS = {"!": "Wider than declared:", "0": "Unused, since no DAG declares it any more:", "?": "Not seen:"}
EQUAL, NOT_SEEN, DIFFERENT = 0, 1, 2


class Field(NamedTuple):
    """One field, with what is there and what is compiled; None: not set."""

    path: str
    live: Any
    compiled: Any


@dataclass(frozen=True)
class Difference:
    """where: "vault" or "kubernetes". name: of the object. source: the line of the team's file, "" for none."""

    sign: Sign
    where: str
    name: str
    reason: str = ""
    fields: tuple[Field, ...] = ()
    source: str = ""

    def lines(self) -> Iterator[str]:
        """Yield the difference as text, without colours."""
        about = f"  ({self.source})" if self.source else ""
        yield f"  {self.sign} {self.name}{': ' + self.reason if self.reason else ''}{about}"
        for field in self.fields:
            yield f"      {field.path}: {_shown(field.live)} -> {_shown(field.compiled)}"

    def row(self) -> dict[str, Any]:
        """Return the difference as JSON has it."""
        return {
            "sign": self.sign,
            "kind": _WORDS[self.sign],
            "where": self.where,
            "object": self.name,
            "reason": self.reason,
            "fields": [field._asdict() for field in self.fields],
            "source": self.source,
        }


@dataclass(frozen=True)
class Plan:
    """All differences; `compared`: how many objects were looked at."""

    differences: tuple[Difference, ...]
    compared: int

    @property
    def status(self) -> int:
        """Exit status, as `terraform plan -detailed-exitcode`: what could not be looked at is never equal."""
        if any(difference.sign == "?" for difference in self.differences):
            return NOT_SEEN
        return DIFFERENT if self.differences else EQUAL

    def lines(self) -> Iterator[str]:
        """Yield the plan as text."""
        for where, title in (("vault", "Vault"), ("kubernetes", "Kubernetes")):
            matches = [item for item in self.differences if item.where == where]
            if matches:
                yield f"{title}:"
                yield from _grouped(matches)
                yield ""
        yield self.summary()

    def summary(self) -> str:
        if not self.differences:
            return f"No difference: {self.compared} objects are as compiled."
        counts = [(word, sum(item.sign == sign for item in self.differences)) for sign, word in _WORDS.items()]
        return f"{', '.join(f'{count} {word}' for word, count in counts if count)} (of {self.compared} objects)."

    def document(self) -> dict[str, Any]:
        """Return the plan as JSON has it."""
        return {
            "status": self.status,
            "compared": self.compared,
            "differences": [item.row() for item in self.differences],
        }


def _grouped(actual: Sequence[Difference]) -> Iterator[str]:
    for sign in _WORDS:
        mine = [item for item in actual if item.sign == sign]
        if mine and sign in _HEADINGS:
            yield f"  {_HEADINGS[sign]}"
        for item in mine:
            yield from item.lines()


def fields(actual: Any, compiled: Any, path: str = "", strict: Iterable[str] = ()) -> Iterator[Field]:
    """Yield the fields in which what is there differs from what is compiled.

    A map that is there may hold more (what the server fills in), except at the paths in `strict`; a list may not.
    """
    strict = tuple(strict)
    if isinstance(compiled, dict) and isinstance(actual, dict):
        more = [key for key in actual if key not in compiled] if path in strict else []
        for key in [*compiled, *more]:
            yield from fields(actual.get(key), compiled.get(key), f"{path}.{key}".lstrip("."), strict)
    elif isinstance(compiled, list) and isinstance(actual, list) and len(compiled) == len(actual):
        for index, (one, other) in enumerate(zip(actual, compiled, strict=True)):
            yield from fields(one, other, f"{path}[{index}]", strict)
    elif actual != compiled and not (actual is None and compiled in ({}, [])):
        yield Field(path, actual, compiled)


def _shown(value: Any) -> str:
    text = "not set" if value is None else value if isinstance(value, str) else repr(value)
    return text if len(text) <= 120 else f"{text[:117]}..."
