"""The Vault client: reads, logs in when it has to, and says in Vault's words what went wrong."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

from airflow_k8s_vault.errors import VaultRefused, VaultUnavailable
from airflow_k8s_vault.fork import reset_in_children
from airflow_k8s_vault.log_once import log_once
from airflow_k8s_vault.secret_value import SecretValue
from airflow_k8s_vault.vault import logins
from airflow_k8s_vault.vault.breaker import CircuitBreaker
from airflow_k8s_vault.vault.connection import Connection
from airflow_k8s_vault.vault.deadline import Deadline
from airflow_k8s_vault.vault.identity import who_asks
from airflow_k8s_vault.vault.keeper import TokenKeeper
from airflow_k8s_vault.vault.reading import settings_from
from airflow_k8s_vault.vault.rejected import Rejected
from airflow_k8s_vault.vault.settings import Settings
from airflow_k8s_vault.vault.token import Token


class VaultClient:
    """One Vault, one role. Safe under threads and across fork; nothing is sent until the first read.

    >>> VaultClient.from_settings(url="http://127.0.0.1:8200", token="not shown")
    <VaultClient of http://127.0.0.1:8200, token>
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._breaker = CircuitBreaker.of(settings.url or "", settings.breaker_seconds)
        self._connection = Connection(settings)
        self.keeper = TokenKeeper(settings, self._connection)
        reset_in_children(self)

    @classmethod
    def from_settings(cls, **given: Any) -> VaultClient:
        """Return a client of checked settings; raises ConfigError, which lists all mistakes."""
        settings, mistakes = settings_from(given, os.environ)
        # It may hold plain secrets, and a traceback may show the variables of its frames.
        del given
        if mistakes:
            raise mistakes
        return cls(settings)

    def __repr__(self) -> str:
        return f"<VaultClient of {self.settings.url}, {self.settings.auth_type}>"

    def after_fork(self) -> None:
        self.keeper.after_fork()

    def read(self, path: str, deadline: Deadline | None = None) -> SecretValue[dict[str, Any]] | None:
        """GET /v1/{path} and return the answer's `data`; None where Vault says 404.

        deadline: that of a look-up which this read is a part of; None: `deadline_seconds` from now.
        Raises VaultRefused (a 4xx, a refused login) and VaultUnavailable (no answer within the deadline).
        """
        state = self._breaker.enter()
        if state == "stop":
            raise VaultUnavailable(f"{self._breaker.reason} Not asked again: that was a moment ago.")
        try:
            deadline = deadline or Deadline(self.settings.deadline_seconds)
            if state == "probe":
                deadline = deadline.of_a_probe(CircuitBreaker.PROBE_SECONDS)
            data = self._read(path, deadline)
        except VaultUnavailable as failure:
            self._breaker.failed(str(failure))
            raise
        except VaultRefused:
            self._breaker.answered()
            raise
        except BaseException:
            self._breaker.abandoned()
            raise
        self._breaker.answered()
        return data

    def _read(self, path: str, deadline: Deadline) -> SecretValue[dict[str, Any]] | None:
        token = self.keeper.current(deadline)
        for tries_left in (1, 0):
            try:
                return self._get(path, token, deadline)
            except Rejected as rejected:
                status, message = rejected.status, str(rejected)
            if not tries_left or status != 403 or not self.keeper.may_help_to_replace(token, deadline):
                break
            token = self.keeper.replacement(token, deadline)
        # Outside of `except`: the frames of the request hold the token.
        raise VaultRefused(
            f"Vault at {self.settings.url} refused path {path!r} ({message}).\n  {who_asks(self.settings, token)}"
        )

    def _get(self, path: str, token: Token, deadline: Deadline) -> SecretValue[dict[str, Any]] | None:
        try:
            answer = self._connection.requests(deadline, token.value).get(f"/v1/{path}")
        except Rejected as rejected:
            if rejected.status != 404:
                raise
            if rejected.hint:
                log_once(("hint", path), f"Vault at {self.settings.url} has nothing at {path!r}: {rejected.hint}")
            return None
        data = answer.get("data")
        return SecretValue(data if isinstance(data, dict) else {})


def team_settings(settings: Settings, team: str) -> Settings:
    """Return the settings of one team's look-ups: its role, namespace and mount, by their templates."""
    templates = {
        logins.METHODS[settings.auth_type].role: settings.team_role,
        "namespace": settings.team_namespace,
        "mount_point": settings.team_mount_point,
    }
    changes = {name: template.replace("{team}", team) for name, template in templates.items() if name and template}
    return replace(settings, **changes)  # type: ignore[arg-type]
