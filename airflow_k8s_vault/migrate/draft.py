"""A pod on its way to a template: the manifest as far as it is taken over, and what became of each field."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

from airflow_k8s_vault.migrate.needed import Needed
from airflow_k8s_vault.policy import MERGE_KEYS, FieldPath, flatten, shown_path

Verdict = Literal["kept", "team.yaml", "variable", "VaultSecret", "changed", "left out"]


class Fate(NamedTuple):
    """What became of a field of the input, or of all below it. Never with a value that could be a credential."""

    path: FieldPath
    verdict: Verdict
    why: str = ""

    def row(self) -> dict[str, str]:
        """Return the fate as the command shows it."""
        return {"field": shown_path(self.path), "becomes": self.verdict, "why": self.why}


class Draft:
    """One input pod. `pod` is what is left of it; fates tell the rest, by the names that the input has.

    needed: the secrets that the task needs instead. team: what goes to team.yaml. notes: to be read.
    arguments: what stays in the DAG. credentials: where credentials lie in plain text, or in Airflow's database.
    """

    def __init__(self, name: str, pod: Mapping[str, Any], live: bool) -> None:
        self.name = name
        self.live = live
        self.input = flatten(pod)
        self.pod: dict[str, Any] = copy.deepcopy(dict(pod))
        self.fates: dict[FieldPath, Fate] = {}
        self.needed: list[Needed] = []
        self.team: dict[str, Any] = {}
        self.notes: list[str] = []
        self.arguments: dict[str, Any] = {}
        self.credentials: list[str] = []
        # Of the pod to the input, where a container has another name.
        self.renamed: dict[str, str] = {}

    @property
    def spec(self) -> dict[str, Any]:
        spec: dict[str, Any] = self.pod["spec"]
        return spec

    @property
    def metadata(self) -> dict[str, Any]:
        metadata: dict[str, Any] = self.pod.setdefault("metadata", {})
        return metadata

    def containers(self) -> Iterator[tuple[FieldPath, dict[str, Any]]]:
        """Yield path and container, ordinary ones last."""
        for section in ("initContainers", "containers"):
            for container in self.spec.get(section) or ():
                yield ("spec", section, str(container.get("name"))), container

    def tell(self, path: FieldPath, verdict: Verdict, why: str = "") -> None:
        """Say what became of a field; the first word about it counts."""
        self.fates.setdefault(path, Fate(path, verdict, why))

    def add(self, path: FieldPath, verdict: Verdict, why: str) -> None:
        """Say one more thing of a field that is still there."""
        if (fate := self.fate(path)) is None:
            self.tell(path, verdict, why)
        elif fate.path == path and fate.verdict not in ("left out", "VaultSecret"):
            self.fates[path] = Fate(path, fate.verdict, f"{fate.why}; {why}")

    def fate(self, path: FieldPath) -> Fate | None:
        """Return the fate of a field: its own, or that of what holds it; None where it is kept."""
        return next((self.fates[path[:n]] for n in range(len(path), 0, -1) if path[:n] in self.fates), None)

    def now(self, path: FieldPath) -> FieldPath:
        """Return a path of the input by the names that the pod has."""
        names = {old: new for new, old in self.renamed.items()}
        if path[1:2] == ("containers",) and path[2:3] and path[2] in names:
            return (*path[:2], names[path[2]], *path[3:])
        return path

    def take(self, path: FieldPath, verdict: Verdict, why: str = "") -> Any:
        """Take a field out of the pod and say what became of it. Returns its value, None where there is none."""
        steps: list[tuple[Any, Any]] = []
        value: Any = self.pod
        for before, step in zip(("", *path), path, strict=False):
            if isinstance(value, list):
                key: Any = _index(value, before, step)
            else:
                key = step if isinstance(value, dict) and step in value else None
            if key is None:
                return None
            steps.append((value, key))
            value = value[key]
        holder, key = steps[-1]
        del holder[key]
        # As in `flatten`: hostNetwork: false says nothing.
        says_nothing = value in (None, {}, []) or path == ("spec", "hostNetwork")
        if not says_nothing or path[:2] == ("spec", "volumes"):
            self.tell(path, verdict, why)
        return value


def _index(items: list[Any], list_name: str, step: str) -> int | None:
    key = MERGE_KEYS.get(list_name)
    for number, item in enumerate(items):
        if (key and isinstance(item, dict) and str(item.get(key)) == step) or (not key and step == str(number)):
            return number
    return None


def rows(
    fates: Mapping[FieldPath, Fate], fields: Mapping[FieldPath, Any], variables: Mapping[FieldPath, str]
) -> list[Fate]:
    """Return the fates of all fields of an input, in its order; what is kept as a whole is one row.

    variables: fields that differ between several inputs, each with the variable that it became.
    """
    result: dict[FieldPath, Fate] = {}
    of_field = {path: _fate(path, fates, variables) for path in fields}
    # What is said of a field that is kept is a row of its own.
    kept = {path for path, fate in of_field.items() if fate.verdict == "kept" and not fate.why}
    broken = {path[:n] for path in fields if path not in kept for n in range(len(path) + 1)}
    for path, fate in of_field.items():
        if path in kept:
            whole = next(path[:n] for n in range(1, len(path) + 1) if path[:n] not in broken or n == len(path))
            result.setdefault(whole, Fate(whole, "kept"))
        else:
            result.setdefault(fate.path, fate)
    # Volumes of an empty kind and the like are no fields; what was said of them is told all the same.
    for path, fate in fates.items():
        result.setdefault(path, fate)
    return list(result.values())


def _fate(path: FieldPath, fates: Mapping[FieldPath, Fate], variables: Mapping[FieldPath, str]) -> Fate:
    for n in range(len(path), 0, -1):
        if path[:n] in fates:
            return fates[path[:n]]
        if path[:n] in variables:
            return Fate(path[:n], "variable", variables[path[:n]])
    return Fate(path, "kept")
