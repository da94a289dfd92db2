"""Values in memory, for a while; one read for all who ask for the same at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable

from airflow_k8s_vault.errors import VaultError, VaultUnavailable
from airflow_k8s_vault.fork import reset_in_children
from airflow_k8s_vault.secret_value import SecretValue


class Entry:
    """What a read found: a value, or that there is none (value=None). Times are monotonic seconds."""

    __slots__ = ("built", "fresh_until", "masked", "read_at", "value")

    def __init__(self, value: SecretValue[str] | None, read_at: float, fresh_until: float) -> None:
        self.value = value
        self.read_at = read_at
        self.fresh_until = fresh_until
        # Which state of Airflow's maskers knows the value; see masking.
        self.masked: object = None
        # The id and the Connection that was made of the value for it, to be copied.
        self.built: SecretValue[tuple[str, object]] | None = None


class _Flight:
    """A read that is under way, and those who wait for it."""

    def __init__(self) -> None:
        self.landed = threading.Event()
        self.entry: Entry | None = None
        self.error: VaultError | None = None


class SecretCache:
    """Bounded, never on disk, empty after a fork. Each limit may be 0, which switches that part off."""

    def __init__(
        self, ttl_seconds: float, negative_seconds: float, stale_seconds: float, max_entries: int
    ) -> None:
        self._ttl, self._negative, self._stale, self._max = (
            ttl_seconds,
            negative_seconds,
            stale_seconds,
            max_entries,
        )
        self._entries: dict[Hashable, Entry] = {}
        self._flights: dict[Hashable, _Flight] = {}
        self._lock = threading.Lock()
        reset_in_children(self)

    def after_fork(self) -> None:
        """A task gets the values that it asks for, not those that the process before it had asked for."""
        self._lock = threading.Lock()
        self._entries, self._flights = {}, {}

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()

    def __len__(self) -> int:
        return len(self._entries)

    def fresh(self, key: Hashable) -> Entry | None:
        entry = self._entries.get(key)
        return entry if entry is not None and time.monotonic() < entry.fresh_until else None

    def load(
        self, key: Hashable, read: Callable[[], SecretValue[str] | None], timeout_seconds: float | None
    ) -> Entry:
        """Return what `read` finds, or what another thread's read of the same key finds meanwhile.

        Where Vault is unavailable, a value that is not too old is returned instead; its `fresh_until` tells.
        Raises what `read` raises, and VaultUnavailable where another thread's read lasts longer than the timeout.
        """
        while True:
            with self._lock:
                flight = self._flights.get(key)
                if flight is None:
                    known = self.fresh(key)
                    if known is not None:
                        return known
                    mine = self._flights[key] = _Flight()
            if flight is None:
                return self._fly(key, mine, read)
            if not flight.landed.wait(timeout_seconds):
                raise VaultUnavailable(
                    "Vault did not answer: another thread's read of the same secret still waits."
                )
            if flight.error is not None:
                raise flight.error
            if flight.entry is not None:
                return flight.entry
            # Its thread was interrupted, by a task's timeout for example: that is no answer. Read ourselves.

    def _fly(self, key: Hashable, flight: _Flight, read: Callable[[], SecretValue[str] | None]) -> Entry:
        try:
            flight.entry = self._read(key, read)
            return flight.entry
        except VaultError as error:
            flight.error = error
            raise
        finally:
            with self._lock:
                self._flights.pop(key, None)
            flight.landed.set()

    def _read(self, key: Hashable, read: Callable[[], SecretValue[str] | None]) -> Entry:
        try:
            value = read()
        except VaultUnavailable:
            old = self._entries.get(key)
            if old is not None and old.value is not None and time.monotonic() < old.fresh_until + self._stale:
                return old
            raise
        except VaultError:
            with self._lock:
                self._entries.pop(key, None)
            raise
        now = time.monotonic()
        entry = Entry(value, now, now + (self._negative if value is None else self._ttl))
        self._store(key, entry, now)
        return entry

    def _store(self, key: Hashable, entry: Entry, now: float) -> None:
        with self._lock:
            self._entries.pop(key, None)
            if self._max and entry.fresh_until > now:
                self._entries[key] = entry
            for oldest, held in list(self._entries.items()):
                if len(self._entries) <= self._max and held.fresh_until + self._stale > now:
                    break
                del self._entries[oldest]
