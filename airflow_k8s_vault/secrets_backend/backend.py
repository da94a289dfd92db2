"""VaultSecretsBackend: what Airflow calls, in every process, for every name that it looks up."""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import Callable
from dataclasses import fields
from functools import cached_property
from typing import Any, NamedTuple

from airflow.secrets import BaseSecretsBackend

from airflow_k8s_vault.errors import ConfigError
from airflow_k8s_vault.log_once import log_once
from airflow_k8s_vault.lookups import LookupPath, Rules, connection_text, lookup_paths, value_text
from airflow_k8s_vault.secret_value import SecretValue
from airflow_k8s_vault.secrets_backend import masking
from airflow_k8s_vault.secrets_backend.cache import Entry
from airflow_k8s_vault.secrets_backend.connection import connection_of
from airflow_k8s_vault.secrets_backend.errors import refuse_old_airflow, stops_airflow
from airflow_k8s_vault.secrets_backend.reader import Reader, Shape
from airflow_k8s_vault.secrets_backend.running_team import running_team
from airflow_k8s_vault.traceback_guard import traceback_guard
from airflow_k8s_vault.vault import Deadline, Settings, settings_from, team_settings

# Of an id in a message, in characters.
_SHOWN = 250


class _Kind(NamedTuple):
    """One of the three things that Airflow looks up."""

    bases: tuple[str, ...]
    shape: Shape
    words: Callable[[str], list[str]]


class VaultSecretsBackend(BaseSecretsBackend):
    """Connections, variables and config values from Vault or OpenBao.

    Takes the settings of docs/secrets-backend.md by name, as JSON values or as strings. Raises ConfigError, which
    lists every mistake, on construction; nothing is sent to Vault before the first look-up.

    Look-ups return None where Vault has nothing under that name, so that Airflow asks its next backend, and raise
    an error that stops Airflow's search in every other case: VaultRefused, VaultUnavailable, SecretShapeError.
    """

    # From the table of settings: no **kwargs that would swallow a misspelt name.
    __signature__ = inspect.Signature(
        [
            inspect.Parameter(row.name, inspect.Parameter.KEYWORD_ONLY, default=row.default, annotation=row.type)
            for row in fields(Settings)
        ]
    )

    def __init__(self, **given: Any) -> None:
        # It may hold plain secrets, and a traceback may show the variables of its frames.
        hidden = SecretValue(given)
        del given
        super().__init__()
        self.settings, self._reader = _made_of(hidden)
        self._teams: dict[str | None, Reader] = {None: self._reader}
        bases = self.settings.bases
        self._connections = _Kind(bases("connections_path"), connection_text, masking.words_of_connection)
        self._variables = _Kind(bases("variables_path"), value_text, masking.words_of_value)
        self._config = _Kind(bases("config_path"), value_text, masking.words_of_value)

    def __repr__(self) -> str:
        settings = vars(self).get("settings")
        # A traceback of a wrong setting shows it before it has any.
        return (
            f"<VaultSecretsBackend of {settings.url}, {settings.auth_type}>" if settings else object.__repr__(self)
        )

    @stops_airflow
    def get_conn_value(self, conn_id: str, team_name: str | None = None) -> str | None:
        """Return the connection as URI or JSON, None where Vault has none of that id."""
        return _text(self._look_up(self._connections, conn_id, team_name))

    @stops_airflow
    def get_connection(self, conn_id: str, team_name: str | None = None) -> Any:
        """Return Airflow's Connection, None where Vault has none of that id."""
        entry = self._look_up(self._connections, conn_id, team_name)
        return None if entry is None else self._connection(conn_id, entry)

    @stops_airflow
    async def aget_connection(self, conn_id: str, team_name: str | None = None) -> Any:
        """As get_connection; reads in a thread, so that the triggerer's event loop goes on."""
        kind, deadline = self._connections, Deadline(self.settings.deadline_seconds)
        for lookup_path in self._lookup_paths(kind, conn_id, team_name):
            reader = self._reader_of(lookup_path.team)
            entry = reader.known(lookup_path, kind.shape)
            if entry is None:
                entry = await asyncio.to_thread(reader.read, lookup_path, kind.shape, deadline)
            if entry.value is not None:
                if not masking.same(entry.masked, masking.state()):
                    await masking.amask(kind.words(_text(entry) or ""))
                    entry.masked = masking.state()
                return self._connection(conn_id, entry)
        return None

    @stops_airflow
    def get_variable(self, key: str, team_name: str | None = None) -> str | None:
        """Return the variable's value, None where Vault has none of that key."""
        return _text(self._look_up(self._variables, key, team_name))

    @stops_airflow
    def get_config(self, key: str) -> str | None:
        """Return the value of a `*_secret` option, None where Vault has none of that key."""
        return _text(self._look_up(self._config, key, None, self.settings.rules(multi_team=False)))

    def _look_up(self, kind: _Kind, key: str, team_name: str | None, rules: Rules | None = None) -> Entry | None:
        """Return the first entry with a value, masked; None where no path has one."""
        deadline = None
        for lookup_path in self._lookup_paths(kind, key, team_name, rules):
            reader = self._reader_of(lookup_path.team)
            entry = reader.known(lookup_path, kind.shape)
            if entry is None:
                # One for all the paths of a look-up.
                deadline = deadline or Deadline(self.settings.deadline_seconds)
                entry = reader.read(lookup_path, kind.shape, deadline)
            if entry.value is not None:
                if not masking.same(entry.masked, masking.state()):
                    masking.mask(kind.words(_text(entry) or ""))
                    entry.masked = masking.state()
                return entry
        return None

    def _lookup_paths(
        self, kind: _Kind, key: str, team_name: str | None, rules: Rules | None = None
    ) -> tuple[LookupPath, ...]:
        rules = rules or self._rules
        team = team_name or (running_team() if rules.multi_team else None)
        result, why_not = lookup_paths(kind.bases, key, team, rules)
        if why_not:
            shown = key if len(key) <= _SHOWN else f"{key[:_SHOWN]}…"
            log_once(("key", shown, team), f"Secret id {shown!r} {why_not}. It is not looked up in Vault.")
        return result

    @cached_property
    def _rules(self) -> Rules:
        # Not at construction: airflow.configuration makes a backend while it is importing itself.
        from airflow.configuration import conf

        multi_team = conf.getboolean("core", "multi_team", fallback=False)
        return self.settings.rules(multi_team)

    def _reader_of(self, team: str | None) -> Reader:
        reader = self._teams.get(team)
        if reader is None:
            own = team_settings(self.settings, team or "")
            reader = self._teams[team] = Reader.of(own, for_a_team=own != self.settings)
        return reader

    def _connection(self, conn_id: str, entry: Entry) -> Any:
        return connection_of(entry, conn_id, self._get_connection_class(), self.deserialize_connection)


def _text(entry: Entry | None) -> str | None:
    return entry.value.reveal() if entry is not None and entry.value is not None else None


@traceback_guard(unexpected=ConfigError)
def _made_of(given: SecretValue[dict[str, Any]]) -> tuple[Settings, Reader]:
    settings, mistakes = settings_from(given.reveal(), os.environ)
    if mistakes:
        raise mistakes
    refuse_old_airflow(settings.fall_through)
    return settings, Reader.of(settings)
