"""Every regular expression of the package: linear in time, and without Python's own surprises."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from re import _constants as sre  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any, NamedTuple

import pytest

import airflow_k8s_vault
from airflow_k8s_vault.lookups.connection_rules import ConnectionRules
from airflow_k8s_vault.migrate.origins import go_template
from airflow_k8s_vault.teams import PLATFORM_KEYS, TEAM_KEYS
from airflow_k8s_vault.teams.key import Key

PACKAGE = Path(airflow_k8s_vault.__file__).parent
# A call, the name that its method is called on, and the method.
Call = tuple[ast.Call, str, str]
_FUNCTIONS = {"search", "match", "fullmatch", "sub", "split", "findall", "finditer"}
# Between copies of what is found: what classes and boundaries of the patterns look for, and what they do not.
_SEPARATORS = ("", " ", "-", ".", "/", "_", ":", "=", "\n", '"', "@", "€")


_MOST = 700
# Names of connections' fields, to be masked in whichever script they are written.
_ANY_SCRIPT = "airflow_k8s_vault.secrets_backend.forms"
# `$` is the end alone where these are used, besides here.
_IN_ALL_SYNTAXES = ("team_file", "connection_rules")
# Seconds, at the length that is tried.
_UNNOTICED = 0.005


class Used(NamedTuple):
    """A pattern, and the methods by which the package looks with it."""

    pattern: re.Pattern[str]
    methods: frozenset[str]

    def look(self, text: str) -> None:
        for method in self.methods:
            if method == "sub":
                self.pattern.sub("", text)
            else:
                result = getattr(self.pattern, method)(text)
                if method == "finditer":
                    list(result)


def compiled() -> dict[str, Used]:
    """Return the patterns of all modules, by where they are."""
    result = {}
    for info in pkgutil.walk_packages([str(PACKAGE)], "airflow_k8s_vault."):
        module = importlib.import_module(info.name)
        calls = list(_calls(ast.parse(Path(str(module.__file__)).read_text())))
        for name, value in vars(module).items():
            called = _methods_of(name, calls) or {"fullmatch" if isinstance(value, re.Pattern) else "search"}
            for number, pattern in enumerate(_patterns_in(value)):
                result[f"{info.name}.{name}[{number}]"] = Used(pattern, frozenset(called))
        for line, function, text in _written_in(calls):
            result[f"{info.name}:{line}"] = Used(re.compile(text), frozenset({function}))
    for name, text in _of_connections():
        result[f"connection_rules {name}"] = Used(re.compile(text), frozenset({"search"}))
    for root in ("", ".Secrets"):
        whole, key = go_template.patterns(root)
        result[f"go_template whole {root}"] = Used(re.compile(whole, re.ASCII), frozenset({"fullmatch"}))
        result[f"go_template key {root}"] = Used(re.compile(key, re.ASCII), frozenset({"finditer"}))
    for key in _all_keys((*TEAM_KEYS, *PLATFORM_KEYS)):
        result[f"team_file {key.name}"] = Used(re.compile(key.pattern, re.ASCII), frozenset({"fullmatch"}))
    return {where: used for where, used in result.items() if isinstance(used.pattern.pattern, str)}


def _of_connections() -> Iterator[tuple[str, str]]:
    """Yield the patterns that the agent's templates hold as well, in the syntax of both."""
    for name, value in vars(ConnectionRules).items():
        if name.startswith("PORT_"):
            yield name, value
        elif "MUST" in name:
            yield from ((f"{name}[{number}]", rule[0]) for number, rule in enumerate(value))


def _patterns_in(value: object) -> Iterator[re.Pattern[str]]:
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _patterns_in(item)
    elif isinstance(value, dict):
        yield from _patterns_in(list(value.values()))


def _calls(tree: ast.AST) -> Iterator[Call]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        if node.func.attr in _FUNCTIONS and isinstance(node.func.value, ast.Name):
            yield node, node.func.value.id, node.func.attr


def _methods_of(name: str, calls: Iterable[Call]) -> set[str]:
    return {method for _, owner, method in calls if owner == name}


def _written_in(calls: Iterable[Call]) -> Iterator[tuple[int, str, str]]:
    for node, owner, function in calls:
        first = node.args[0] if node.args else None
        if owner == "re" and isinstance(first, ast.Constant):
            yield node.lineno, function, str(first.value)


def _all_keys(keys: tuple[Key, ...]) -> Iterator[Key]:
    for key in keys:
        if key.pattern:
            yield key
        yield from _all_keys(key.fields)


PATTERNS = compiled()


def attacks(pattern: re.Pattern[str]) -> set[str]:
    """Return pieces that, repeated, keep a backtracking search busy: what repetitions and their lead-in match."""
    tree = parser.parse(pattern.pattern, pattern.flags & ~re.UNICODE & ~re.DEBUG)
    pieces: set[str] = set()
    _sample(tree, "", pieces)
    matches = sorted(piece + separator for piece in pieces if piece for separator in _SEPARATORS)
    # Of a pattern of very many parts some; each of its parts is a pattern of its own in this package.
    return set(matches[:: len(matches) // _MOST + 1])


def _sample(tree: Any, before: str, pieces: set[str]) -> str:
    """Return a shortest text that the tree matches; adds each text up to and with a repetition to the pieces."""
    text = ""
    for kind, given in tree:
        if kind is sre.LITERAL:
            text += chr(given)
        elif kind is sre.NOT_LITERAL:
            text += "a" if given != ord("a") else "b"
        elif kind is sre.ANY:
            text += "a"
        elif kind is sre.IN:
            text += _one_of(given)
        elif kind is sre.SUBPATTERN:
            text += _sample(given[-1], before + text, pieces)
        elif kind is sre.BRANCH:
            texts = [_sample(branch, before + text, pieces) for branch in given[1]]
            pieces.update(before + text + branch for branch in texts)
            text += texts[0]
        elif kind in (sre.MAX_REPEAT, sre.MIN_REPEAT, sre.POSSESSIVE_REPEAT):
            least, most, below = given
            one = _sample(below, before + text, pieces)
            pieces.update((one, before + text, before + text + one))
            text += one * min(least or (1 if most else 0), 40)
        elif kind is sre.ATOMIC_GROUP:
            text += _sample(given, before + text, pieces)
        pieces.add(text)
    return text


def _one_of(given: Any) -> str:
    negated = given[0][0] is sre.NEGATE
    kinds = {sre.CATEGORY_DIGIT: "1", sre.CATEGORY_WORD: "a", sre.CATEGORY_SPACE: " "}
    for kind, value in given:
        if negated:
            return "a"
        if kind is sre.LITERAL:
            return chr(value)
        if kind is sre.RANGE:
            return chr(value[0])
        if kind is sre.CATEGORY:
            return kinds.get(value, "-")
    return "a"


def seconds(used: Used, text: str) -> float:
    """Return the least of three times: the others waited for the machine."""
    best = 60.0
    for _ in range(3):
        start = time.thread_time()
        used.look(text)
        # What does not fit at the end makes a search begin anew.
        used.look(f"{text}\0")
        best = min(best, time.thread_time() - start)
        if best < _UNNOTICED:
            break
    return best


def is_slow(used: Used, piece: str) -> bool:
    """Whether four times the text takes much more than four times as long: a square would take 16 times.

    It does each time, while a machine that is busy with others makes it look so now and then.
    """
    small, large = (piece * (length // len(piece) + 1) for length in (1_500, 6_000))
    return all(_is_slow_now(used, small, large) for _ in range(4))


def _is_slow_now(used: Used, small: str, large: str) -> bool:
    long = seconds(used, large)
    # A square takes more at this length.
    return long > _UNNOTICED and long > 8 * seconds(used, small)


@pytest.mark.parametrize("where", sorted(PATTERNS))
def test_a_pattern_takes_time_in_proportion_to_the_text(where: str) -> None:
    used = PATTERNS[where]
    slow = next((piece for piece in sorted(attacks(used.pattern)) if is_slow(used, piece)), None)

    assert slow is None


@pytest.mark.parametrize("slow", [r"\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.", r"\s+$", r"--?[a-z-]*(key|token)"])
def test_a_pattern_that_takes_more_is_found(slow: str) -> None:
    used = Used(re.compile(slow), frozenset({"search"}))

    assert any(is_slow(used, piece) for piece in attacks(used.pattern))


@pytest.mark.parametrize("where", sorted(PATTERNS))
def test_a_pattern_ends_where_the_text_does_and_knows_ascii_digits_alone(where: str) -> None:
    pattern = PATTERNS[where].pattern
    tree = str(parser.parse(pattern.pattern, pattern.flags & ~re.UNICODE & ~re.DEBUG))

    # `$` also stands before a newline at the end: write \Z. JSON Schema, which has no \Z, has it at the end alone.
    assert "AT_END)" not in tree or pattern.flags & re.MULTILINE or where.startswith(_IN_ALL_SYNTAXES)
    # \d and \w take all scripts' digits and letters: write [0-9], or give re.ASCII.
    assert (
        where.startswith(_ANY_SCRIPT)
        or pattern.flags & re.ASCII
        or not {"CATEGORY_DIGIT", "CATEGORY_WORD"} & set(re.findall("[A-Z_]+", tree))
    )
