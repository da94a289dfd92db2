"""One read for all threads that ask for the same at once."""

from __future__ import annotations

import copy
import threading
from collections.abc import Hashable

from airflow_k8s_vault.errors import VaultError, VaultUnavailable
from airflow_k8s_vault.fork import reset_in_children
from airflow_k8s_vault.secrets_backend.cache import Entry


class Flight:
    """A read that is under way. The thread that does it enters it, and leaves its `entry` there."""

    def __init__(self, flights: Flights, key: Hashable) -> None:
        self.entry: Entry | None = None
        self.thread = threading.get_ident()
        self._error: BaseException | None = None
        self._landed = threading.Event()
        self._flights, self._key = flights, key

    def __enter__(self) -> Flight:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._error = error
        self._flights.end(self._key, self)
        self._landed.set()

    def wait(self, timeout_seconds: float | None) -> Entry | None:
        """Return what the read gave, None where it was interrupted: that is no answer.

        Raises what the read raised, and VaultUnavailable where it lasts longer than the timeout.
        """
        if not self._landed.wait(timeout_seconds):
            self._flights.end(self._key, self)
            raise VaultUnavailable("Vault did not answer: another thread's read of the same secret still waits.")
        if isinstance(self._error, VaultError):
            # An error of one's own: raising writes into it.
            raise copy.copy(self._error)
        return self.entry


class Flights:
    """The reads that are under way in this process, by what they read."""

    def __init__(self) -> None:
        self._under_way: dict[Hashable, Flight] = {}
        self._lock = threading.Lock()
        reset_in_children(self)

    def after_fork(self) -> None:
        """The threads that read are the parent's."""
        self._lock = threading.Lock()
        self._under_way = {}

    def join(self, key: Hashable) -> tuple[Flight, bool]:
        """Return the flight of the key, and whether it is the caller's, who then has to enter it and read."""
        with self._lock:
            flight = self._under_way.get(key)
            # One of this very thread was interrupted before it could end.
            if flight is not None and flight.thread != threading.get_ident():
                return flight, False
            mine = self._under_way[key] = Flight(self, key)
            return mine, True

    def end(self, key: Hashable, flight: Flight) -> None:
        with self._lock:
            if self._under_way.get(key) is flight:
                del self._under_way[key]
