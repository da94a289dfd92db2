"""Who else may do in a team's namespace what gives away its secrets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_k8s_vault.compile import rights
from airflow_k8s_vault.compile.plan.difference import Difference
from airflow_k8s_vault.compile.source import Source

# Who makes pods runs as the team's account; the others read what its pods hold.
_GIVES_AWAY = (
    ("pods", "create"),
    ("serviceaccounts/token", "create"),
    ("secrets", "get"),
    ("secrets", "list"),
    ("secrets", "watch"),
    ("pods/exec", "create"),
    ("pods/exec", "get"),
    ("pods/attach", "create"),
    ("pods/attach", "get"),
    ("pods/ephemeralcontainers", "patch"),
    ("pods/ephemeralcontainers", "update"),
)
# Kubernetes' own, and its administrators: no wall holds against them.
_ADMINISTRATORS = frozenset({"system:masters", "kubeadm:cluster-admins"})
_SYSTEM_NAMESPACES = frozenset({"kube-system"})


@dataclass(frozen=True)
class Binding:
    """One binding that holds in a namespace. rules: of its role. name: as messages show it."""

    name: str
    subjects: tuple[Mapping[str, Any], ...]
    rules: tuple[Mapping[str, Any], ...]
    compiled: bool = False


def widened(source: Source, bindings: Sequence[Binding]) -> Iterator[Difference]:
    """Yield each binding that gives somebody else than Airflow's accounts one of those rights."""
    for binding in bindings:
        given = [f"{verb} {resource}" for resource, verb in _GIVES_AWAY if allows(binding.rules, resource, verb)]
        others = sorted(filter(None, (_named(source, binding, subject) for subject in binding.subjects)))
        if given and others and not binding.compiled:
            who = ", ".join(others)
            name = f"{binding.name} in {source.team.namespace}"
            yield Difference("!", "kubernetes", name, f"lets {who} {', '.join(given)}")


def allows(rules: Iterable[Mapping[str, Any]], resource: str, verb: str) -> bool:
    """Return whether the rules allow it, whatever the names of the objects."""
    subresource = resource.partition("/")[2]
    expected = {resource, "*", *([f"*/{subresource}"] if subresource else [])}
    return any(
        {"", "*"} & set(rule.get("apiGroups") or ())
        and expected & set(rule.get("resources") or ())
        and {verb, "*"} & set(rule.get("verbs") or ())
        for rule in rules
    )


def _named(source: Source, binding: Binding, subject: Mapping[str, Any]) -> str | None:
    """Return the subject as messages show it; None where it is one who may."""
    kind, name = str(subject.get("kind")), str(subject.get("name"))
    if name in _ADMINISTRATORS or name in source.team.platform.break_glass:
        return None
    if kind == "ServiceAccount":
        if subject.get("namespace") in _SYSTEM_NAMESPACES:
            return None
        return f"service account {subject.get('namespace')}/{name}"
    if kind == "User" and name.startswith(("system:kube-", "system:node", "system:apiserver")):
        return None
    if kind == "Group" and name in ("system:nodes",):
        return None
    return f"{kind.lower()} {name}"


def names_of_compiled() -> frozenset[str]:
    """Return the names of the RoleBindings that are compiled into each team's namespace."""
    return frozenset(f"airflow-{who}" for who in (rights.WORKER, rights.TRIGGERER))
