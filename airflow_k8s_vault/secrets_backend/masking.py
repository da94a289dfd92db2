"""Airflow's secrets maskers: every value that leaves is registered with them, in each of its forms.

Airflow has two, one of its core and one of its task SDK, and masks by itself only what it knows to be sensitive.
"""

from __future__ import annotations

import re
import sys
from typing import Any

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


def mask(forms: list[str]) -> None:
    """Register with both maskers, and with the supervisor of the running task, whose log it is."""
    forms = _mask_here(forms)
    sdk_log = sys.modules.get("airflow.sdk.log")
    if sdk_log is not None:
        sdk_log.mask_secret(forms[:MOST_FOR_THE_SUPERVISOR])


async def amask(forms: list[str]) -> None:
    """As `mask`, without blocking the event loop that answers the supervisor."""
    forms = _mask_here(forms)
    sdk_log = sys.modules.get("airflow.sdk.log")
    if sdk_log is not None and hasattr(sdk_log, "amask_secret"):
        await sdk_log.amask_secret(forms[:MOST_FOR_THE_SUPERVISOR])


def _mask_here(forms: list[str]) -> list[str]:
    """Register with this process's maskers; return what is not too short for them."""
    # Imported here: airflow.configuration imports the secrets backend before it imports its maskers.
    from airflow._shared.secrets_masker import mask_secret

    forms = _learn_at_once(sys.modules[_CORE], forms)
    mask_secret(forms)  # type: ignore[arg-type]
    sdk = sys.modules.get(_SDK)
    if sdk is not None:
        sdk.mask_secret(_learn_at_once(sdk, forms))
    return forms


def _learn_at_once(module: Any, forms: list[str]) -> list[str]:
    """Compile the masker's pattern once for all the forms, which it then finds that it knows."""
    masker = module._secrets_masker()
    kept = [form for form in forms if len(form) >= masker.min_length_to_mask]
    new = {re.escape(form) for form in kept if form.lower() not in module.SECRETS_TO_SKIP_MASKING}
    if len(new - masker.patterns) > 1:
        masker.patterns |= new
        # The longest first: a form that another one begins with would leave the other's end readable.
        masker.replacer = re.compile("|".join(sorted(masker.patterns, key=len, reverse=True)))
    return kept
