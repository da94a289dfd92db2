"""Values in memory, for a while."""

from __future__ import annotations

import threading
import time
from collections.abc import Hashable

from airflow_k8s_vault.fork import reset_in_children
from airflow_k8s_vault.secret_value import SecretValue


class Entry:
    """What a read gave: a value, or that there is none (value=None). Times are monotonic seconds."""

    __slots__ = ("connection", "fresh_until", "masked", "read_at", "value")

    def __init__(self, value: SecretValue[str] | None, read_at: float, fresh_until: float) -> None:
        self.value = value
        self.read_at = read_at
        self.fresh_until = fresh_until
        # Which state of Airflow's maskers knows the value; see masking.
        self.masked: object = None
        # The id and the Connection that was made of the value for it; see connection.
        self.connection: SecretValue[tuple[str, object]] | None = None


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
        self._lock = threading.Lock()
        reset_in_children(self)

    def after_fork(self) -> None:
        """A task gets the values that it asks for, not those that the process before it had asked for."""
        self._lock = threading.Lock()
        self._entries = {}

    def __len__(self) -> int:
        return len(self._entries)

    def fresh(self, key: Hashable) -> Entry | None:
        """Return what is known of the key and within its time."""
        entry = self._entries.get(key)
        return entry if entry is not None and time.monotonic() < entry.fresh_until else None

    def stale(self, key: Hashable) -> Entry | None:
        """Return a value that is past its time but not too old: for as long as Vault is unavailable."""
        entry = self._entries.get(key)
        if entry is None or entry.value is None:
            return None
        return entry if time.monotonic() < entry.fresh_until + self._stale else None

    def store(self, key: Hashable, value: SecretValue[str] | None) -> Entry:
        """Keep what was just read, and drop what is too old or too much."""
        now = time.monotonic()
        entry = Entry(value, now, now + (self._negative if value is None else self._ttl))
        with self._lock:
            self._entries.pop(key, None)
            if self._max and entry.fresh_until > now:
                self._entries[key] = entry
            for oldest, held in list(self._entries.items()):
                if len(self._entries) <= self._max and held.fresh_until + self._stale > now:
                    break
                del self._entries[oldest]
        return entry

    def drop(self, key: Hashable) -> None:
        with self._lock:
            self._entries.pop(key, None)

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()
