"""Requests to the Kubernetes API, sent again while it cannot answer, without doing anything twice."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from kubernetes.client import ApiException
from urllib3.exceptions import HTTPError

from airflow_k8s_vault.errors import DeliveryRefused, DeliveryUnavailable

log = logging.getLogger(__name__)

T = TypeVar("T")


class NotDone(Exception):
    """Raised by `already`: nobody is in the way, and what was asked for has not been done."""


# Connecting, and then each wait for more of the answer.
TIMEOUT_SECONDS = (3, 10)
_WAITS_SECONDS = (0.1, 0.3, 1.0, 3.0)
_BUSY = (429, 500, 502, 503, 504)


def attempt(what: str, send: Callable[[], T], already: Callable[[], T | None] | None = None) -> T:
    """Return what `send` returns; five tries in about 5 s.

    what: for messages ("create Secret vault-1f"). already: asked after a 409 or 422, and returns what an earlier
    try made whose answer was lost, or None where somebody else is in the way; where there is nothing (404, or
    NotDone), the 409 was one of those that Kubernetes means to be tried again: a quota, or another object that the
    request touches, changed meanwhile.

    Raises DeliveryUnavailable where the API server does not answer, and DeliveryRefused where it says no; neither
    holds the request, which may hold a secret.
    """
    for wait_seconds in (*_WAITS_SECONDS, None):
        status, words = 0, ""
        try:
            return send()
        except ApiException as refusal:
            status, words = refusal.status or 0, f"{refusal.status} {refusal.reason}"
        except HTTPError as broken:
            words = type(broken).__name__
        is_busy = status in _BUSY or not status
        if status in (409, 422) and already:
            try:
                if (made := attempt(what, lambda: _unless_nothing(already))) is not None:
                    return made
            except NotDone:
                is_busy = status == 409
        elif status == 409:
            is_busy = True
        if not is_busy:
            break
        if wait_seconds is None:
            raise DeliveryUnavailable(f"The Kubernetes API did not answer when asked to {what}: {words}.")
        log.debug("Kubernetes API: %s, when asked to %s. Next try in %.1f s.", words, what, wait_seconds)
        time.sleep(wait_seconds)
    raise DeliveryRefused(f"The Kubernetes API refused to {what} ({words}).{_hint(status)}")


def _unless_nothing(already: Callable[[], T | None]) -> T | None:
    try:
        return already()
    except ApiException as refusal:
        if refusal.status == 404:
            raise NotDone from None
        raise


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
        return "\n  docs/security.md lists the rights that the worker needs for this delivery."
    return ""
