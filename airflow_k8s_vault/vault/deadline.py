"""One total time limit for all the requests, retries and waits of one look-up."""

from __future__ import annotations

import math
import time


class Deadline:
    """A moment on the monotonic clock, and whether the time until then may go into second tries.

    0 seconds means that there is no limit.

    >>> Deadline(0).remaining_seconds()
    inf
    """

    def __init__(self, seconds: float, retries: bool = True) -> None:
        self.retries = retries
        self._end = time.monotonic() + seconds if seconds else math.inf

    def remaining_seconds(self) -> float:
        """Return the seconds left, 0 where it has passed."""
        return max(0.0, self._end - time.monotonic())

    def at_most(self, seconds: float) -> float | None:
        """Return the smaller of `seconds` (0: no limit) and what is left; None where neither is a limit."""
        limit = min(seconds or math.inf, self.remaining_seconds())
        return None if math.isinf(limit) else max(limit, 0.001)

    def without_retries(self) -> Deadline:
        return self.of_a_probe(math.inf)

    def of_a_probe(self, seconds: float) -> Deadline:
        """Return a deadline `seconds` from now, or this one where it is sooner; without second tries."""
        probe = Deadline(0, retries=False)
        probe._end = min(self._end, time.monotonic() + seconds)
        return probe
