"""Requests to the Kubernetes API, sent again while it cannot answer, without doing anything twice."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from kubernetes.client import ApiException
from urllib3.exceptions import HTTPError

from airflow_k8s_vault import causes
from airflow_k8s_vault.errors import DeliveryRefused, DeliveryUnavailable

log = logging.getLogger(__name__)

T = TypeVar("T")

# Connecting, and then each wait for more of the answer.
REQUEST_SECONDS = (3, 10)
_WAITS_SECONDS = (0.1, 0.3, 1.0, 3.0)
# 409 without anything in the way: two at once, of whom one has to come again (a quota, an object just changed).
_BUSY = (409, 429, 500, 502, 503, 504)


def attempt(what: str, send: Callable[[], T], already: Callable[[], T | None] | None = None) -> T:
    """Return what `send` returns; five tries in about 5 s.

    what: for messages ("create Secret vault-1f"). already: asked after a 409 or 422, and returns what an earlier
    try made whose answer was lost, or None where nothing was made; raises DeliveryRefused where somebody else's is
    in the way.

    Raises DeliveryUnavailable where the API server does not answer, or does not know who asks, and DeliveryRefused
    where it says no; neither holds the request, which may hold a secret.
    """
    for wait_seconds in (*_WAITS_SECONDS, None):
        status, reason = 0, ""
        try:
            return send()
        except ApiException as refusal:
            status, reason = refusal.status or 0, f"{refusal.status} {refusal.reason}"
        except HTTPError as broken:
            reason = type(broken).__name__
        if status in (409, 422) and already and (made := unless_gone(what, already)) is not None:
            return made
        if status == 401:
            # Not for good: a cloud that gives no token now does so later.
            raise DeliveryUnavailable(
                f"The Kubernetes API does not take this worker's credentials, when asked to {what}: {reason}.\n"
                "  They are the Kubernetes connection's, or those of the worker's own pod. Where a program prints "
                f"them, the task's log has what it said.{causes.run('CLUSTER-REACHED')}"
            )
        if status and status not in _BUSY:
            break
        if wait_seconds is None:
            raise DeliveryUnavailable(
                f"The Kubernetes API did not answer when asked to {what}: {reason}.{_hint(status)}"
            )
        log.debug("Kubernetes API: %s, when asked to %s. Next try in %.1f s.", reason, what, wait_seconds)
        time.sleep(wait_seconds)
    raise DeliveryRefused(f"The Kubernetes API refused to {what} ({reason}).{_hint(status)}")


def unless_gone(what: str, send: Callable[[], T]) -> T | None:
    """Return what `send` returns, None where the object is not there (404) or is another one (409)."""

    def sent() -> T | None:
        try:
            return send()
        except ApiException as refusal:
            if refusal.status in (404, 409):
                return None
            raise

    return attempt(what, sent)


def _hint(status: int) -> str:
    if status == 403:
        advice = "\n  docs/security.md lists the rights that the worker needs for this delivery."
        return f"{advice}{causes.run('CLUSTER-RIGHTS')}"
    return causes.run("CLUSTER-REACHED") if status in (0, *_BUSY) else ""
