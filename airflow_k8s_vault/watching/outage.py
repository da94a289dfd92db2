"""How long an API server has not answered a watch."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from airflow_k8s_vault.watching.failures import ApiError, WatchUnavailable

log = logging.getLogger(__name__)

# Longer than an API server takes for an upgrade. Whoever waits then tries for himself, and fails in his own way.
LONGEST_SECONDS = 600


@dataclass
class Outage:
    """what: is watched, for the log. clock: returns seconds, of any beginning."""

    what: str
    clock: Callable[[], float]
    _since: float | None = None

    def over(self) -> None:
        self._since = None

    def failed(self, failure: ApiError) -> None:
        """Log it. Raises WatchUnavailable where nothing else has happened for LONGEST_SECONDS."""
        # A watch that is cut, or has fallen behind, is everyday; a server that does not answer is not.
        level = logging.DEBUG if self._since is None else logging.WARNING
        log.log(level, "The watch of %s: %s", self.what, failure)
        if failure.status == 403 or failure.is_of_version:
            return
        now = self.clock()
        self._since = now if self._since is None else self._since
        if now - self._since > LONGEST_SECONDS:
            raise WatchUnavailable(f"The API server has not answered for {now - self._since:.0f} s: {failure}")
