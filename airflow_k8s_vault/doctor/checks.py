"""All checks, in the order in which a task meets what they look at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from airflow_k8s_vault.compile import Declared, Source
from airflow_k8s_vault.doctor import cluster, here, pod, task, vault
from airflow_k8s_vault.doctor.check import Check, Outcome
from airflow_k8s_vault.doctor.kube import Kube
from airflow_k8s_vault.doctor.vault import Vault


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


def all_checks(environment: Environment, *, from_pod: bool = False, canary: str | None = None) -> Iterator[Check]:
    """Yield the checks; from_pod: also those that start a short pod of each team; canary: also a real task's pod.

    canary: a KV 2 path and key ("secret/x/canary:value"), "" for tasks without secrets, None for no tasks.
    """
    kube, sources = environment.kube, environment.sources
    yield from here.checks(environment.teams)
    for name in environment.teams:
        errors = [environment.unread[name]] if name in environment.unread else []
        yield Check("HERE-COMPILED", partial(Outcome.of, errors), name, name, ("HERE-SETTINGS", "HERE-TEMPLATES"))
    yield from cluster.checks(kube, sources)
    if environment.vault is None:
        return
    yield from vault.checks(environment.vault, kube, sources, environment.declared)
    if from_pod:
        yield from pod.checks(kube, sources, environment.vault.login)
    if canary is not None:
        yield from task.checks(sources, canary)
