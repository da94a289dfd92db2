"""How long to wait before the next try: longer each time, and never as long as the others wait."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

# client-go ends at 30 s, too. It begins at 0.8 s, for thousands of clients on one server; here there is one for
# each namespace, and somebody waits for a pod behind it.
_FIRST_SECONDS, _LONGEST_SECONDS = 0.2, 30.0


@dataclass
class Pauses:
    """Doubles from 0.2 s to 30 s, each with up to as much again on top. jitter: 0 to 1."""

    jitter: Callable[[], float] = random.random
    _seconds: float = _FIRST_SECONDS

    def next(self) -> float:
        """Return how many seconds to wait now."""
        seconds = self._seconds * (1 + self.jitter())
        self._seconds = min(2 * self._seconds, _LONGEST_SECONDS)
        return seconds

    def reset(self) -> None:
        """Begin anew: it works again."""
        self._seconds = _FIRST_SECONDS
