"""What a live Vault holds of the teams: read with the caller's token, and nothing is changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from airflow_k8s_vault.compile.plan.vault import LiveVault
from airflow_k8s_vault.compile.source import Source
from airflow_k8s_vault.compile.vault import policies, roles
from airflow_k8s_vault.errors import VaultError, VaultUnavailable
from airflow_k8s_vault.vault import Session, settings_from

_T = TypeVar("_T")
_DEADLINE_SECONDS = 10


class _Unreachable(Exception):
    """Vault does not answer: nothing else is asked of it."""


def read_vault(sources: Sequence[Source], environment: Mapping[str, str], all_teams: bool) -> LiveVault:
    """Return what is there, by the address and token of VAULT_ADDR, VAULT_TOKEN and the like.

    Without VAULT_ADDR the address is [k8s_vault] vault_addr. What cannot be read is in `unseen`, with the reason.
    """
    login = sources[0].login
    given: dict[str, Any] = {"deadline_seconds": _DEADLINE_SECONDS, "timeout": 5}
    if not environment.get("VAULT_ADDR"):
        given |= {"url": login.address, **({"verify": login.cacert} if login.cacert else {})}
    if login.namespace:
        given["namespace"] = login.namespace
    settings, mistakes = settings_from(given, environment)
    if mistakes:
        return LiveVault(unseen={"Vault": "VAULT_ADDR or VAULT_TOKEN is not set"})
    reader = _Reader(Session(settings, settings.token))
    try:
        return reader.read(sources, all_teams)
    except _Unreachable as unreachable:
        return LiveVault(unseen={"Vault": str(unreachable)})


class _Reader:
    def __init__(self, session: Session) -> None:
        self._session = session
        self._unseen: dict[str, str] = {}

    def read(self, sources: Sequence[Source], all_teams: bool) -> LiveVault:
        live_policies: dict[str, str | None] = {}
        live_roles: dict[str, Mapping[str, Any] | None] = {}
        for source in sources:
            for policy in policies(source):
                self._into(live_policies, policy.name, f"policy {policy.name}", partial(self._policy, policy.name))
            for role in roles(source):
                self._into(live_roles, role.path, f"role {role.path}", partial(self._data, role.path))
        names = self._listed("sys/policies/acl", "the names of policies") if all_teams else ()
        others = self._other_roles(sources, set(live_roles))
        return LiveVault(live_policies, tuple(names), live_roles, others, dict(self._unseen))

    def _into(self, actual: dict[str, Any], key: str, name: str, read: Callable[[], Any]) -> None:
        seen, value = self._tried(name, read)
        if seen:
            actual[key] = value

    def _tried(self, name: str, read: Callable[[], _T]) -> tuple[bool, _T | None]:
        try:
            return True, read()
        except VaultUnavailable as unavailable:
            raise _Unreachable(str(unavailable)) from None
        except VaultError as refused:
            self._unseen[name] = str(refused)
            return False, None

    def _data(self, path: str) -> Mapping[str, Any] | None:
        result = self._session.read(path, once=False)
        return None if result is None else result.data.reveal()

    def _policy(self, name: str) -> str | None:
        result = self._data(f"sys/policies/acl/{name}")
        return None if result is None else str(result.get("policy", ""))

    def _listed(self, path: str, name: str) -> Sequence[str]:
        return self._tried(name, lambda: self._session.list(path))[1] or ()

    def _other_roles(self, sources: Sequence[Source], compiled: set[str]) -> dict[str, Mapping[str, Any]]:
        """Return the roles of the mounts that are not compiled: they could give the teams' policies to others."""
        result: dict[str, Any] = {}
        for mount in dict.fromkeys(source.login.auth_mount for source in sources):
            for name in self._listed(f"auth/{mount}/role", f"the roles of auth/{mount}"):
                path = f"auth/{mount}/role/{name}"
                if path not in compiled:
                    self._into(result, path, f"role {path}", partial(self._data, path))
        return {path: role for path, role in result.items() if role is not None}
