"""Whose login it was, and whose path it is: what the teams' files say."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from airflow_k8s_vault.teams import Team, dag_identity


class Owner(NamedTuple):
    """stranger: the role is the team's, and the account that logged in is not."""

    team: str
    stranger: bool


class Roles:
    """The teams by their Vault roles, namespaces and ceilings."""

    def __init__(self, teams: Iterable[Team]) -> None:
        self._teams = list(teams)
        self._by_name = {team.name: team for team in self._teams}
        self._by_role = {team.vault_role: team for team in self._teams}
        self._by_namespace = {team.namespace: team for team in self._teams}
        self.owner = lru_cache(maxsize=100_000)(self._owner)
        self.owners = lru_cache(maxsize=100_000)(self._owners)

    def _owner(self, role: str, namespace: str, account: str) -> Owner | None:
        """Return whose login that was, None where it is of no team. namespace: "" where Vault does not say."""
        team = self._by_role.get(role) or self._by_namespace.get(namespace)
        if team is None:
            return None
        # With an identity for each DAG the accounts' names begin with the team's.
        is_own = namespace == team.namespace and account.startswith(team.service_account)
        return Owner(team.name, bool(namespace) and not is_own)

    def may_be(self, team: str, account: str, dag_id: str) -> bool:
        """Whether a pod of the DAG runs as that account ("namespace/name"): each DAG may have its own."""
        of = self._by_name[team]
        name = account.rpartition("/")[2]
        return name in ("", of.service_account) or name == dag_identity(of.service_account, dag_id)

    def _owners(self, path: str) -> tuple[str, ...]:
        """Return the teams whose ceiling covers a path."""
        return tuple(team.name for team in self._teams if team.allows_path(path))
