"""Airflow's secrets maskers: every value that leaves is registered with them, in each of its forms.

Airflow has two, one of its core and one of its task SDK, and masks by itself only what it knows to be sensitive.
"""

from __future__ import annotations

import re
import sys
from typing import Any

from airflow_k8s_vault.log_once import log_once
from airflow_k8s_vault.secrets_backend.forms import MOST, words_of_connection, words_of_value

__all__ = ["amask", "mask", "same", "state", "words_of_connection", "words_of_value"]

_CORE = "airflow._shared.secrets_masker.secrets_masker"
_SDK = "airflow.sdk._shared.secrets_masker.secrets_masker"
# Airflow compiles its pattern anew for each form that it learns. For this many of a key's lines the supervisor,
# which meanwhile sends no heartbeat, takes some seconds.
MOST_FOR_THE_SUPERVISOR = 500


def state() -> tuple[object, object]:
    """Return what changes when a masker is reset, as Airflow does before each task, or comes to be loaded."""
    core, sdk = sys.modules.get(_CORE), sys.modules.get(_SDK)
    return (core and core._secrets_masker().patterns, sdk and sdk._secrets_masker().patterns)


def same(one: Any, other: Any) -> bool:
    return one is not None and one[0] is other[0] and one[1] is other[1]


def mask(words: list[str]) -> None:
    """Register with both maskers, and with the supervisor of the running task, whose log it is."""
    words = _mask_here(words)
    sdk_log = sys.modules.get("airflow.sdk.log")
    if sdk_log is not None:
        sdk_log.mask_secret(words[:MOST_FOR_THE_SUPERVISOR])


async def amask(words: list[str]) -> None:
    """As `mask`, without blocking the event loop that answers the supervisor."""
    words = _mask_here(words)
    sdk_log = sys.modules.get("airflow.sdk.log")
    if sdk_log is not None and hasattr(sdk_log, "amask_secret"):
        await sdk_log.amask_secret(words[:MOST_FOR_THE_SUPERVISOR])


def _mask_here(words: list[str]) -> list[str]:
    """Register with this process's maskers; return what is not too short for them."""
    if len(words) > MOST_FOR_THE_SUPERVISOR:
        most = MOST if len(words) >= MOST else MOST_FOR_THE_SUPERVISOR
        log_once("parts", f"A value has more than {most:,} parts: what a task prints of the rest is not masked.")
    # Imported here: airflow.configuration imports the secrets backend before it imports its maskers.
    from airflow._shared.secrets_masker import mask_secret

    words = _learn_at_once(sys.modules[_CORE], words)
    mask_secret(words)  # type: ignore[arg-type]
    sdk = sys.modules.get(_SDK)
    if sdk is not None:
        sdk.mask_secret(_learn_at_once(sdk, words))
    return words


def _learn_at_once(module: Any, words: list[str]) -> list[str]:
    """Compile the masker's pattern once for all the forms, which it then finds that it knows."""
    masker = module._secrets_masker()
    kept = [word for word in words if len(word) >= masker.min_length_to_mask]
    new = {re.escape(word) for word in kept if word.lower() not in module.SECRETS_TO_SKIP_MASKING}
    if len(new - masker.patterns) > 1:
        masker.patterns |= new
        # The longest first: a form that another one begins with would leave the other's end readable.
        masker.replacer = re.compile("|".join(sorted(masker.patterns, key=len, reverse=True)))
    return kept
