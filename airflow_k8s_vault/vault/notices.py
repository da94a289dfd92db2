"""Warnings that are given once, until what they say is over."""

from __future__ import annotations

import logging
from collections.abc import Hashable

log = logging.getLogger("airflow_k8s_vault.vault")

_given: dict[Hashable, None] = {}
_MOST = 1000


def once(subject: Hashable, message: str) -> None:
    """Log at WARNING, unless this subject was logged and not forgotten since."""
    if subject in _given:
        return
    if len(_given) >= _MOST:
        _given.clear()
    _given[subject] = None
    log.warning("%s", message)


def forget(*subjects: Hashable) -> None:
    for subject in subjects:
        _given.pop(subject, None)
