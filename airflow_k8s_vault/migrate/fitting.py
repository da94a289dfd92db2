"""Which template of a team gives the pod of a task, and what the task would still have to say."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from airflow_k8s_vault.errors import K8sVaultError
from airflow_k8s_vault.migrate.draft import Draft
from airflow_k8s_vault.migrate.target import OF_TEAM
from airflow_k8s_vault.policy import FieldPath, arguments_for, flatten, is_open, shown_path
from airflow_k8s_vault.templates import BASE_CONTAINER, SAMPLE_CONTEXT, PodTemplate, simplest_values

_BASE = ("spec", "containers", BASE_CONTAINER)
# Whose pod it is: the team's file says that.
_TEAM = {"namespace": "namespace", "service_account": "service_account_name"}
# KubernetesPodOperator itself says that a pod is never restarted.
NOT_COMPARED = (("apiVersion",), ("kind",), ("spec", "restartPolicy"), *OF_TEAM)


class Fit(NamedTuple):
    """How a template fits a task. differs: fields that neither it nor an argument can give; none: it fits.

    needed: arguments that the DAG goes on giving. closed: those of them that the team does not leave open.
    """

    template: str
    differs: tuple[str, ...]
    needed: frozenset[str]
    closed: tuple[str, ...]

    @property
    def fits(self) -> bool:
        return not self.differs


def best(draft: Draft, templates: list[PodTemplate], given: Collection[str] = ()) -> Fit | None:
    """Return the fit with the fewest differences, of those the one that opens least; None without templates.

    given: arguments of the task that no field of its pod shows, and that it goes on giving.
    """
    fits = [fit for template in templates if (fit := of(draft, template, given))]
    return min(
        fits, key=lambda fit: (len(fit.differs), len(fit.closed), len(fit.needed), fit.template), default=None
    )


def of(draft: Draft, template: PodTemplate, given_arguments: Collection[str] = ()) -> Fit | None:
    """Return how the template fits; None where it cannot be rendered, which `lint` says."""
    try:
        given = flatten(template.render(simplest_values(template), SAMPLE_CONTEXT))
    except K8sVaultError:
        return None
    team = template.team
    differs = [f"{name} '{draft.team[key]}'" for key, name in _TEAM.items() if _is_other(draft, key, team)]
    needed: set[str] = {*draft.arguments, *given_arguments}
    requested = flatten(draft.pod)
    for path in _other(requested, given):
        names = [argument.name for argument in arguments_for(path) if argument.rule != "locked"]
        if path == (*_BASE, "image") and requested.get(path) not in team.images.values():
            names = []
        if names and path in requested:
            needed.add(next((name for name in names if is_open(team, name)), names[0]))
        else:
            differs.append(shown_path(path))
    closed = tuple(sorted(name for name in needed if not is_open(team, name)))
    return Fit(template.name, tuple(differs), frozenset(needed), closed)


def _is_other(draft: Draft, key: str, team: Any) -> bool:
    return draft.team.get(key) not in (None, getattr(team, key))


def _other(requested: Mapping[FieldPath, Any], given: Mapping[FieldPath, Any]) -> Iterator[FieldPath]:
    for path, value in requested.items():
        if not is_same_field(path, given.get(path), value) and path not in NOT_COMPARED:
            yield path
    # The image's own command would be another's.
    yield from (
        path for path in ((*_BASE, "command"), (*_BASE, "args")) if path in given and path not in requested
    )


def is_same_field(path: FieldPath, one: Any, other: Any) -> bool:
    """Return whether two values of a field mean the same: quantities are text or numbers."""
    return str(one) == str(other) if "resources" in path else bool(one == other)
