"""Warnings that are logged once, until what they say is over."""

from __future__ import annotations

import logging
from collections.abc import Hashable

log = logging.getLogger("airflow_k8s_vault.vault")

_logged: dict[Hashable, None] = {}
_MOST = 1000


def log_once(subject: Hashable, message: str) -> None:
    """Log at WARNING, unless this subject was logged and not forgotten since."""
    if subject in _logged:
        return
    if len(_logged) >= _MOST:
        _logged.clear()
    _logged[subject] = None
    log.warning("%s", message)


def forget(*subjects: Hashable) -> None:
    """Log these subjects again the next time."""
    for subject in subjects:
        _logged.pop(subject, None)
