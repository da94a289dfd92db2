"""Pauses between tries, doubled each time: CrashLoopBackOff and ImagePullBackOff.

https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#restart-policy: 10 s, doubled up to 5 minutes,
forgotten after 10 minutes without trouble. Shorter ones (KEP-4603) are behind a gate that is off by default.

Needed by the fault tests: an image that is not there, an agent that ends again and again.
"""

from __future__ import annotations

import time

_LIMIT_SECONDS = 300
_RESET_SECONDS = 600


class BackOff:
    """`first_seconds` is the shortest pause."""

    def __init__(self, first_seconds: float) -> None:
        self._first = self._next = first_seconds
        self._failed_at: float | None = None

    def next(self) -> float:
        """Return how long to wait now, in seconds."""
        seconds, self._next = self._next, min(self._next * 2, _LIMIT_SECONDS)
        return seconds

    def next_restart(self) -> float:
        """Return how long to wait before a container that has just ended runs again.

        0 at first, and after a long time without an end (doBackOff in kuberuntime_manager.go, where a container
        without an entry is entered and started).
        """
        before, self._failed_at = self._failed_at, time.monotonic()
        if before is None or self._failed_at - before > _RESET_SECONDS:
            self._next = self._first
            return 0
        return self.next()


def duration(seconds: float) -> str:
    """Return seconds as Go prints a Duration.

    >>> duration(160)
    '2m40s'
    """
    minutes, rest = divmod(seconds, 60)
    return f"{minutes:.0f}m{rest:g}s" if minutes else f"{rest:g}s"
