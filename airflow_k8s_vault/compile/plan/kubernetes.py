"""The teams' objects: compiled beside those of a live cluster. Pure functions; live_cluster reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_k8s_vault import quantity
from airflow_k8s_vault.compile import objects
from airflow_k8s_vault.compile.plan.bindings import Binding, widened
from airflow_k8s_vault.compile.plan.difference import Difference, fields
from airflow_k8s_vault.compile.rights import GROUP
from airflow_k8s_vault.compile.source import Source

_WHERE = "kubernetes"
# Below these more is not what the server fills in, but somebody's.
_STRICT = ("spec.hard", "rules", "subjects", "roleRef")
Key = tuple[str, str, str]


@dataclass(frozen=True)
class LiveCluster:
    """What was read. objects: by kind, namespace and name; None where there is none. labelled: with our label.

    bindings: who may do what, by team's namespace. unseen: what could not be read, with the reason.
    """

    objects: Mapping[Key, Mapping[str, Any] | None] = field(default_factory=dict)
    labelled: Sequence[Mapping[str, Any]] = ()
    bindings: Mapping[str, Sequence[Binding]] = field(default_factory=dict)
    unseen: Mapping[str, str] = field(default_factory=dict)


def key_of(obj: Mapping[str, Any]) -> Key:
    return obj["kind"], obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


def named(key: Key) -> str:
    kind, namespace, name = key
    return f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"


def cluster_differences(sources: Sequence[Source], live: LiveCluster, all_teams: bool) -> Iterator[Difference]:
    """Yield the differences. all_teams: whether every team is compiled."""
    for name, reason in live.unseen.items():
        yield Difference("?", _WHERE, name, reason)
    compiled: set[Key] = set()
    for source in sources:
        for made in objects.kubernetes_objects(source):
            key = key_of(made)
            compiled.add(key)
            if key in live.objects:
                yield from _of_object(made, live.objects[key])
        yield from widened(source, live.bindings.get(source.team.namespace, ()))
    teams = {source.team.name for source in sources}
    for obj in live.labelled:
        whose = obj["metadata"].get("labels", {}).get(objects.TEAM_LABEL)
        if key_of(obj) not in compiled and (all_teams or whose in teams):
            yield Difference("-", _WHERE, named(key_of(obj)))


def _of_object(compiled: Mapping[str, Any], actual: Mapping[str, Any] | None) -> Iterator[Difference]:
    name, source = named(key_of(compiled)), compiled["metadata"]["annotations"][objects.SOURCE_ANNOTATION]
    if actual is None:
        yield Difference("+", _WHERE, name, source=source)
        return
    expected, present = _comparable(compiled), _comparable({**actual, "kind": compiled["kind"]})
    changed = tuple(fields(present, expected, strict=_STRICT))
    if not changed:
        return
    sign, reason = ("!", "allows more") if _is_wider(compiled["kind"], present, expected) else ("~", "")
    yield Difference(sign, _WHERE, name, reason, changed, source)  # type: ignore[arg-type]


def _comparable(obj: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is compared of an object: its own content, its labels, quantities as amounts."""
    kept = {key: value for key, value in obj.items() if key not in ("metadata", "status", "apiVersion", "kind")}
    meta = {"labels": dict(obj["metadata"].get("labels") or {})}
    if obj["kind"] == "ServiceAccount":
        names = ("automountServiceAccountToken", "imagePullSecrets")
        kept = {name: kept[name] for name in names if kept.get(name) is not None}
    if obj["kind"] == "RoleBinding":
        kept["subjects"] = [_plain_subject(subject) for subject in kept.get("subjects") or ()]
    if obj["kind"] == "Role":
        kept["rules"] = sorted((_plain_rule(rule) for rule in kept.get("rules") or ()), key=str)
    return {"metadata": meta, **{key: _amounts(key, value) for key, value in kept.items()}}


def _plain_subject(subject: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: subject.get(key) for key in ("kind", "name", "namespace") if subject.get(key)}
    group = "" if subject.get("kind") == "ServiceAccount" else GROUP
    return {**kept, **({"apiGroup": subject["apiGroup"]} if subject.get("apiGroup", group) != group else {})}


def _plain_rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    return {key: sorted(value) for key, value in rule.items() if value}


def _amounts(key: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        if key in ("hard", "max", "min", "default", "defaultRequest"):
            return {name: _amount(text) for name, text in value.items()}
        return {name: _amounts(name, item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_amounts("", item) for item in value]
    return value


def _amount(text: Any) -> Any:
    result = quantity.parse(str(text))
    return text if result is None else str(result.normalize())


def _is_wider(kind: str, actual: Mapping[str, Any], compiled: Mapping[str, Any]) -> bool:
    """Return whether what is there gives more rights, to more, than what is compiled."""
    if kind == "Role":
        return bool(_granted(actual) - _granted(compiled))
    if kind == "RoleBinding":
        return any(subject not in compiled["subjects"] for subject in actual["subjects"])
    return False


def _granted(role: Mapping[str, Any]) -> set[tuple[str, str, str, tuple[str, ...]]]:
    return {
        (group, resource, verb, tuple(rule.get("resourceNames") or ()))
        for rule in role["rules"]
        for group in rule.get("apiGroups") or ()
        for resource in rule.get("resources") or ()
        for verb in rule.get("verbs") or ()
    }
