"""From a path to a value: from memory, else from Vault; one reader for equal settings in this process.

Airflow makes a new backend for each `*_secret` option of its configuration. They share a reader, and with it one
login and one memory.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from typing import Any

from airflow_k8s_vault import metrics, vault_path
from airflow_k8s_vault.errors import SecretShapeError, VaultError, VaultRefused, VaultUnavailable
from airflow_k8s_vault.log_once import forget, log_once
from airflow_k8s_vault.lookups import LookupPath
from airflow_k8s_vault.secret_value import SecretValue
from airflow_k8s_vault.secrets_backend.cache import Entry, SecretCache
from airflow_k8s_vault.secrets_backend.flights import Flights
from airflow_k8s_vault.vault import Deadline, Settings, VaultClient
from airflow_k8s_vault.vault_path import Location

Shape = Callable[[dict[str, Any], str], str]

_shared: dict[str, Reader] = {}


class Reader:
    """Reads paths of one Vault with one role, through one memory."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.client = VaultClient(settings)
        self.cache = SecretCache(
            settings.cache_ttl_seconds,
            settings.cache_negative_seconds,
            settings.cache_stale_seconds,
            settings.cache_max_entries,
        )
        self._flights = Flights()
        self._logins = 0

    @classmethod
    def of(cls, settings: Settings, for_a_team: bool = False) -> Reader:
        """Return the one reader of these settings in this process.

        for_a_team: forked children do not get its token (docs/decisions/0002).
        """
        mark = settings.fingerprint()
        # Without a lock: a fork while another thread held it would lock the child out. Two make one, one wins.
        reader = _shared.get(mark) or _shared.setdefault(mark, cls(settings))
        if for_a_team:
            reader.client.keeper.kept_in_children = False
        return reader

    def known(self, lookup_path: LookupPath, shape: Shape) -> Entry | None:
        """Return what memory holds of that path, None where it has to be read."""
        entry = self.cache.fresh((shape, lookup_path))
        if entry is not None:
            metrics.count("k8s_vault.lookup", served="cached")
        return entry

    def read(self, lookup_path: LookupPath, shape: Shape, deadline: Deadline) -> Entry:
        """Return what the path holds in that shape; an entry without value where there is nothing.

        Raises SecretShapeError, VaultRefused and VaultUnavailable; each is logged once, without values.
        """
        key, api_path, entry = (shape, lookup_path), self.api_path(lookup_path), self.known(lookup_path, shape)
        try:
            while entry is None:
                flight, is_mine = self._flights.join(key)
                if not is_mine:
                    entry = flight.wait(deadline.at_most(0))
                    continue
                with flight:
                    # It may have been read while this thread came here.
                    entry = flight.entry = self.cache.fresh(key) or self._read(key, api_path, shape, deadline)
        except VaultError as error:
            log_once(self._subject(error, api_path), str(error))
            raise
        return entry

    def _read(self, key: Hashable, api_path: str, shape: Shape, deadline: Deadline) -> Entry:
        try:
            value = self._value(api_path, shape, deadline)
        except VaultUnavailable:
            stale = self.cache.stale(key)
            if stale is None:
                metrics.count("k8s_vault.lookup", served="unavailable")
                raise
            metrics.count("k8s_vault.lookup", served="stale")
            log_once(
                ("stale", api_path),
                f"Vault at {self.settings.url} is unavailable: serving the value of {api_path!r} "
                f"that was read {time.monotonic() - stale.read_at:.0f} s ago.",
            )
            return stale
        except VaultError:
            metrics.count("k8s_vault.lookup", served="refused")
            self.cache.drop(key)
            raise
        metrics.count("k8s_vault.lookup", served="fresh")
        return self.cache.store(key, value)

    def _value(self, api_path: str, shape: Shape, deadline: Deadline) -> SecretValue[str] | None:
        try:
            data = self.client.read(api_path, deadline)
        finally:
            self._forget_after_a_login()
        forget(("unavailable", self.settings.url), ("stale", api_path))
        if data is not None and self.settings.kv_engine_version == 2:
            data = self._inner(data, api_path)
        if data is None:
            return None
        value = SecretValue(shape(data.reveal(), api_path))
        forget(("refused", api_path), ("shape", api_path))
        return value

    def _forget_after_a_login(self) -> None:
        """A new token may have other rights: what was read with the one before is read again."""
        logins = self.client.keeper.logins
        if logins != self._logins:
            self._logins = logins
            self.cache.clear()

    def _inner(self, data: SecretValue[dict[str, Any]], api_path: str) -> SecretValue[dict[str, Any]] | None:
        """KV 2 wraps a secret's data in its metadata; a deleted version has metadata alone."""
        inner = data.reveal().get("data", data)
        if inner is None:
            return None
        if not isinstance(inner, dict):
            raise SecretShapeError(f"The answer at {api_path!r} is not KV version 2: is kv_engine_version right?")
        return SecretValue(inner)

    def api_path(self, lookup_path: LookupPath) -> str:
        location = Location(f"{lookup_path.mount}/{lookup_path.path}", lookup_path.mount)
        return vault_path.encoded(vault_path.kv_data(location, self.settings.kv_engine_version))

    def _subject(self, error: VaultError, api_path: str) -> Hashable:
        if isinstance(error, VaultUnavailable):
            return ("unavailable", self.settings.url)
        return ("refused" if isinstance(error, VaultRefused) else "shape", api_path)
