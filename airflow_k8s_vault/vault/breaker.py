"""A circuit breaker: after one look-up has waited in vain, those that follow fail at once."""

from __future__ import annotations

import logging
import threading
import time

from airflow_k8s_vault.fork import reset_in_children

log = logging.getLogger(__name__)

_by_address: dict[str, CircuitBreaker] = {}


class CircuitBreaker:
    """Closed while Vault answers; open for `rest_seconds` after a look-up failed; then one probe is let through.

    `rest_seconds=0` switches it off. A probe is one look-up with a short deadline and without retries: were it
    given the whole deadline, each process would hang that long again and again through an outage.
    """

    PROBE_SECONDS = 1.0

    def __init__(self, address: str, rest_seconds: float) -> None:
        self.address = address
        self.rest_seconds = rest_seconds
        self.reason = ""
        self._open_until = 0.0
        self._probe_until = 0.0
        self._lock = threading.Lock()
        reset_in_children(self)

    @classmethod
    def of(cls, address: str, rest_seconds: float) -> CircuitBreaker:
        """Return the one breaker of this address in this process: all teams' clients share its knowledge."""
        breaker = _by_address.setdefault(address, cls(address, rest_seconds))
        breaker.rest_seconds = rest_seconds
        return breaker

    def after_fork(self) -> None:
        self._lock = threading.Lock()
        self._probe_until = 0.0

    def enter(self) -> str:
        """Return "go", "probe" or "stop" for the look-up that is about to start."""
        if not self._open_until or not self.rest_seconds:
            return "go"
        with self._lock:
            if not self._open_until:
                return "go"
            now = time.monotonic()
            if now < max(self._open_until, self._probe_until):
                return "stop"
            # A signal may end a probe before it can say so: the next one is not kept out for ever.
            self._probe_until = now + 2 * self.PROBE_SECONDS
            return "probe"

    def answered(self) -> None:
        """Vault answered, whatever it said: close."""
        if not self._open_until:
            return
        with self._lock:
            self._open_until, self._probe_until, self.reason = 0.0, 0.0, ""
        log.info("Vault at %s answers again.", self.address)

    def failed(self, reason: str) -> None:
        """A look-up failed for its whole deadline: open, or stay open for another rest."""
        with self._lock:
            self._open_until, self._probe_until, self.reason = time.monotonic() + self.rest_seconds, 0.0, reason

    def abandoned(self) -> None:
        """A probe ended without an answer about Vault (it was interrupted): let another one through."""
        with self._lock:
            self._probe_until = 0.0
