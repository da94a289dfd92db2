"""What a DAG requests for one task, as plain copies: what was checked is what is used."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from airflow_k8s_vault.operators import plain
from airflow_k8s_vault.teams import ALLOW_LITERALS
from airflow_k8s_vault.templates import holds_jinja
from airflow_k8s_vault.vault_secret import VaultSecret


@dataclass(frozen=True)
class TaskRequest:
    """pod_template, team, delivery: as given; None where it was left out or is no text.

    vault_secrets: what is exactly a VaultSecret, copied. strangers: the types of what else stood in their place.
    arguments: all that was passed, by name, the DAG's default_args included; set_by_dag: the names of those that
    the team's locks are about. unknown: what only a mapped task's run will tell.
    """

    task_id: str
    pod_template: str | None = None
    team: str | None = None
    template_vars: Mapping[str, Any] = field(default_factory=dict)
    vault_secrets: tuple[VaultSecret, ...] = ()
    strangers: tuple[str, ...] = ()
    delivery: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    set_by_dag: tuple[str, ...] = ()
    unknown: Collection[str] = frozenset()

    @property
    def templated(self) -> frozenset[str]:
        """The variables that are Airflow's Jinja until the task runs."""
        return frozenset(name for name, value in self.template_vars.items() if holds_jinja(value))

    @cached_property
    def mistakes(self) -> tuple[str, ...]:
        """The mistakes that the secrets show by themselves."""
        return tuple(mistake for secret in self.vault_secrets for mistake in secret.mistakes())

    @cached_property
    def sound_secrets(self) -> tuple[VaultSecret, ...]:
        """The secrets that have no mistake of their own."""
        return tuple(s for s in self.vault_secrets if not s.mistakes()) if self.mistakes else self.vault_secrets

    @classmethod
    def of(
        cls,
        task_id: str,
        arguments: Mapping[str, Any],
        lockable: frozenset[str],
        unknown: Collection[str] = frozenset(),
    ) -> TaskRequest:
        """Return the request that these arguments make; what has the wrong shape counts as left out."""
        secrets, strangers = copies(arguments.get("vault_secrets"))
        return cls(
            task_id=task_id,
            pod_template=plain.text(arguments.get("pod_template")),
            team=plain.text(arguments.get("team")),
            template_vars=plain.mapping(arguments.get("template_vars")),
            vault_secrets=secrets,
            strangers=strangers,
            delivery=plain.text(arguments.get("delivery")),
            arguments=arguments,
            # Whatever its value: None and an empty list say something, too. Only our own has one that asks for
            # nothing.
            set_by_dag=tuple(sorted(_requested(lockable, arguments, unknown))),
            unknown=unknown,
        )


def _requested(lockable: frozenset[str], arguments: Mapping[str, Any], unknown: Collection[str]) -> frozenset[str]:
    literals = frozenset({ALLOW_LITERALS})
    return (lockable & (arguments.keys() | set(unknown))) | (
        literals if arguments.get(ALLOW_LITERALS) else frozenset()
    )


def copies(requested: object) -> tuple[tuple[VaultSecret, ...], tuple[str, ...]]:
    """Return copies of what is exactly a VaultSecret, and the names of the types of all else that is there."""
    secrets, strangers = [], []
    for item in listed(requested):
        copy = VaultSecret.copy_of(item)
        if copy is None:
            strangers.append(type(item).__name__)
        else:
            secrets.append(copy)
    return tuple(secrets), tuple(strangers)


def listed(requested: object) -> list[Any]:
    """Return the entries of a list of any kind; none of what is no list, itself of one that cannot be read."""
    if isinstance(requested, str | bytes | Mapping) or not isinstance(requested, Iterable):
        return []
    try:
        return list(requested)
    except TypeError:  # an XComArg, which says so only when it is asked
        return [requested]
