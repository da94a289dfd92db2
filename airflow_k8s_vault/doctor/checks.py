"""All checks, in the order in which a task meets what they look at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from airflow_k8s_vault.compile import Declared, Source
from airflow_k8s_vault.doctor import cluster, here, pod, task, vault
from airflow_k8s_vault.doctor.check import Check, Outcome
from airflow_k8s_vault.doctor.kube import Kube
from airflow_k8s_vault.doctor.session import Vault

# What is asked of Vault once, and what is asked for each team.
_OF_ALL = ("VAULT-REACHED", "VAULT-SEALED", "VAULT-ADVISORY", "VAULT-MOUNT")
_OF_TEAM = (
    *("CLUSTER-NAMESPACE", "CLUSTER-ACCOUNT", "CLUSTER-RIGHTS", "CLUSTER-RIGHTS-WIDE", "CLUSTER-ADMISSION"),
    *("CLUSTER-QUOTA", "CLUSTER-POD", "VAULT-ROLE", "VAULT-LOGIN"),
)


@dataclass(frozen=True)
class Environment:
    """What is looked at. teams: all names that were asked for; sources: those that could be read.

    unread: team to why its source could not be read. declared: what the DAGs ask for. vault: None where the
    settings do not say where it is, which a check tells.
    """

    teams: list[str]
    sources: list[Source]
    unread: dict[str, str]
    declared: tuple[Declared, ...]
    kube: Kube
    vault: Vault | None


@dataclass(frozen=True)
class Depth:
    """How far the checks go. from_pod: also start a pod of each team; leases: also take one of each dynamic path.

    canary: also run a real task, with a KV 2 path and key ("secret/x/canary:value"), "" for one without secrets,
    None for no task.
    """

    from_pod: bool = False
    leases: bool = False
    canary: str | None = None


def all_checks(environment: Environment, depth: Depth = Depth()) -> Iterator[Check]:
    """Yield the checks, in the order of a task's way."""
    kube, sources = environment.kube, environment.sources
    yield from here.checks(environment.teams)
    for name in environment.teams:
        errors = [environment.unread[name]] if name in environment.unread else []
        yield Check("HERE-COMPILED", partial(Outcome.of, errors), name, name, ("HERE-SETTINGS", "HERE-TEMPLATES"))
    yield from cluster.checks(kube, sources)
    if environment.vault is None:
        yield from _not_run([""], _OF_ALL + _OF_TEAM, "HERE-SETTINGS", "HERE-TEMPLATES")
        return
    yield from _not_run(environment.unread, _OF_TEAM, "HERE-TEMPLATES", "HERE-COMPILED")
    yield from vault.checks(environment.vault, kube, sources, environment.declared, leases=depth.leases)
    if depth.from_pod:
        yield from pod.checks(kube, sources)
    if depth.canary is not None:
        yield from task.checks(kube, sources, depth.canary)


def _not_run(teams: Iterable[str], codes: tuple[str, ...], *after: str) -> Iterator[Check]:
    """Yield checks that cannot be made, so that each says so."""
    for name in teams:
        for code in codes:
            yield Check(code, lambda: Outcome("skipped", "not run: see above"), name, name, after)
