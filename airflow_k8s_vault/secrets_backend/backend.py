"""VaultSecretsBackend: what Airflow calls, in every process, for every name that it looks up."""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import Callable
from dataclasses import fields
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

from airflow.secrets import BaseSecretsBackend

from airflow_k8s_vault.errors import SecretShapeError, VaultError
from airflow_k8s_vault.log_once import log_once
from airflow_k8s_vault.lookups import Place, Rules, connection_text, places, value_text
from airflow_k8s_vault.secret_value import SecretValue
from airflow_k8s_vault.secrets_backend import masking, stopping
from airflow_k8s_vault.secrets_backend.cache import Entry
from airflow_k8s_vault.secrets_backend.copying import copy_of
from airflow_k8s_vault.secrets_backend.reader import Reader, Shape
from airflow_k8s_vault.secrets_backend.running_team import running_team
from airflow_k8s_vault.vault import Deadline, Settings, settings_from, team_settings

T = TypeVar("T")


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
        super().__init__()
        settings, mistakes = settings_from(given, os.environ)
        # It may hold plain secrets, and a traceback may show the variables of its frames.
        del given
        self.settings = settings
        if mistakes:
            raise mistakes
        stopping.refuse_old_airflow(settings.fall_through)
        self._reader = Reader.of(settings)
        self._teams: dict[str | None, Reader] = {None: self._reader}
        self._connections = _Kind(settings.bases("connections_path"), connection_text, masking.words_of_connection)
        self._variables = _Kind(settings.bases("variables_path"), value_text, masking.words_of_value)
        self._config = _Kind(settings.bases("config_path"), value_text, masking.words_of_value)

    def __repr__(self) -> str:
        return f"<VaultSecretsBackend of {self.settings.url}, {self.settings.auth_type}>"

    @cached_property
    def _rules(self) -> Rules:
        # Not at construction: airflow.configuration makes a backend while it is importing itself.
        from airflow.configuration import conf

        multi_team = conf.getboolean("core", "multi_team", fallback=False)
        return self.settings.rules(multi_team)

    # What Airflow calls.

    def get_conn_value(self, conn_id: str, team_name: str | None = None) -> str | None:
        """Return the connection as URI or JSON, None where Vault has none of that id."""
        return self._text(self._look_up(self._connections, conn_id, team_name))

    def get_connection(self, conn_id: str, team_name: str | None = None) -> Any:
        """Return Airflow's Connection, None where Vault has none of that id."""
        entry = self._look_up(self._connections, conn_id, team_name)
        return None if entry is None else self._connection(conn_id, entry)

    async def aget_connection(self, conn_id: str, team_name: str | None = None) -> Any:
        """As get_connection; reads in a thread, so that the triggerer's event loop goes on."""
        kind, rules = self._connections, self._rules
        team = self._team(team_name, rules)
        deadline = Deadline(self.settings.deadline_seconds)
        for place in self._places(kind, conn_id, team, rules):
            entry = self._reader_of(place.team).known(place, kind.shape)
            if entry is None:
                entry = await asyncio.to_thread(self._read, kind, place, deadline)
            if entry.value is not None:
                if not masking.same(entry.masked, masking.state()):
                    await masking.amask(self._stopping(self._words, kind, entry))
                    entry.masked = masking.state()
                return self._connection(conn_id, entry)
        return None

    def get_variable(self, key: str, team_name: str | None = None) -> str | None:
        """Return the variable's value, None where Vault has none of that key."""
        return self._text(self._look_up(self._variables, key, team_name))

    def get_config(self, key: str) -> str | None:
        """Return the value of a `*_secret` option, None where Vault has none of that key."""
        return self._text(self._look_up(self._config, key, None, self.settings.rules(multi_team=False)))

    # How it gets there.

    def _look_up(self, kind: _Kind, key: str, team_name: str | None, rules: Rules | None = None) -> Entry | None:
        rules = rules or self._rules
        team = self._team(team_name, rules)
        deadline = None
        for place in self._places(kind, key, team, rules):
            entry = self._reader_of(place.team).known(place, kind.shape)
            if entry is None:
                # One for all the places of a look-up.
                deadline = deadline or Deadline(self.settings.deadline_seconds)
                entry = self._read(kind, place, deadline)
            if entry.value is not None:
                if not masking.same(entry.masked, masking.state()):
                    self._stopping(self._mask, kind, entry)
                return entry
        return None

    def _mask(self, kind: _Kind, entry: Entry) -> None:
        masking.mask(self._words(kind, entry))
        entry.masked = masking.state()

    def _words(self, kind: _Kind, entry: Entry) -> list[str]:
        return kind.words(self._text(entry) or "")

    def _text(self, entry: Entry | None) -> str | None:
        return entry.value.reveal() if entry is not None and entry.value is not None else None

    def _team(self, team_name: str | None, rules: Rules) -> str | None:
        return team_name or (running_team() if rules.multi_team else None)

    def _places(self, kind: _Kind, key: str, team: str | None, rules: Rules) -> tuple[Place, ...]:
        found, why_not = places(kind.bases, key, team, rules)
        if why_not:
            log_once(("key", key, team), f"Secret id {key!r} {why_not}. It is not looked up in Vault.")
        return found

    def _read(self, kind: _Kind, place: Place, deadline: Deadline) -> Entry:
        return self._stopping(self._reader_of(place.team).read, place, kind.shape, deadline)

    def _stopping(self, work: Callable[..., T], *arguments: Any) -> T:
        """Do the work; have whatever goes wrong stop Airflow's search, as the setting wants it."""
        try:
            return work(*arguments)
        except VaultError as error:
            failure = stopping.for_airflow(error, self.settings.fall_through)
        except Exception as error:
            # A mistake of our own must not look like "not defined" either. Its text could hold a value.
            failure = stopping.for_airflow(stopping.unexpected(error), self.settings.fall_through)
        # Raised here: the frames below are of no use to the reader, and the error says it all.
        raise failure

    def _reader_of(self, team: str | None) -> Reader:
        reader = self._teams.get(team)
        if reader is None:
            own = team_settings(self.settings, team or "")
            reader = self._teams[team] = Reader.of(own, for_a_team=own != self.settings)
        return reader

    def _connection(self, conn_id: str, entry: Entry) -> Any:
        made_for, built = entry.built.reveal() if entry.built is not None else (None, None)
        # Airflow's class may take another id than it was given, and two ids may name one place.
        if made_for != conn_id or type(built) is not self._get_connection_class():
            built = self._built(conn_id, entry)
            entry.built = SecretValue((conn_id, built))
        return copy_of(built)

    def _built(self, conn_id: str, entry: Entry) -> object:
        try:
            return self.deserialize_connection(conn_id, self._text(entry) or "")
        except Exception as error:
            problem = type(error).__name__
        # Airflow's own message would quote the value.
        raise stopping.for_airflow(
            SecretShapeError(f"The secret of connection {conn_id!r} is no valid connection ({problem})."),
            self.settings.fall_through,
        )
