"""What became of each field, as a tree: full paths are wider than a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from airflow_k8s_vault.migrate.draft import Fate
from airflow_k8s_vault.policy import MERGE_KEYS, FieldPath


def fate_tree(fates: Sequence[Fate]) -> Iterator[dict[str, str]]:
    """Yield a row for each fate below the keys that hold its field.

    >>> rows = fate_tree([Fate(("spec", "volumes", "dags"), "kept"), Fate(("spec", "nodeName"), "changed")])
    >>> [row["field"] for row in rows]
    ['spec', '  volumes', '    [dags]', '  nodeName']
    """
    before: FieldPath = ()
    for fate in _together(fates):
        for depth in range(1, len(fate.path)):
            if fate.path[:depth] != before[:depth]:
                yield {"field": _branch(fate.path[:depth]), "becomes": "", "why": ""}
        yield {"field": _branch(fate.path), "becomes": fate.verdict, "why": fate.why}
        before = fate.path


def _together(fates: Sequence[Fate]) -> list[Fate]:
    """Return the fates with those of one mapping or list beside each other, where the first one stands."""
    first: dict[FieldPath, int] = {}
    for number, fate in enumerate(fates):
        for depth in range(1, len(fate.path) + 1):
            first.setdefault(fate.path[:depth], number)
    return sorted(fates, key=lambda fate: [first[fate.path[: n + 1]] for n in range(len(fate.path))])


def _branch(path: FieldPath) -> str:
    of_list = len(path) > 1 and (path[-2] in MERGE_KEYS or path[-1].isdigit())
    return f"{'  ' * (len(path) - 1)}{f'[{path[-1]}]' if of_list else path[-1]}"
