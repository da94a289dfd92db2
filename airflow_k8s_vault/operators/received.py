"""The line of a task's log that says which credentials its pod got: by name, as which role, and how soon."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from airflow_k8s_vault.vault_secret import VaultSecret

# Of their names, in one line.
_MOST_NAMES = 10


def sentence(secrets: Sequence[VaultSecret], role: str, how: str) -> str:
    """Return the line. how: how they came, with the time where it is known.

    >>> partner = VaultSecret("secret/payments/partner", file="partner.key", key="api_key")
    >>> login = VaultSecret("secret/payments/warehouse", env={"PGPASSWORD": "password"})
    >>> sentence([login, partner], "payments", "agent ready after 0.4 s")
    'This pod got 2 secrets (PGPASSWORD, partner.key) as role payments, agent ready after 0.4 s.'
    """
    names = [name for secret in secrets for name in (*(secret.env or {}), *([secret.file] if secret.file else []))]
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    count = "1 secret" if len(secrets) == 1 else f"{len(secrets)} secrets"
    return f"This pod got {count} ({', '.join(names[:_MOST_NAMES])}{more}) as role {role}, {how}."


def agent_seconds(log: Sequence[str]) -> float | None:
    """Return how long the agent took until all that it renders was there once; None: it does not say.

    log: lines of its container, each with the kubelet's time stamp. A pod's status has whole seconds.
    """
    began: datetime | None = None
    rendered: dict[str, datetime] = {}
    for line in log:
        stamp, _, text = line.partition(" ")
        moment = _moment(stamp)
        if moment is None:
            continue
        began = began or moment
        _, mark, target = text.partition("(runner) rendered ")
        if mark:
            rendered.setdefault(target, moment)
    return (max(rendered.values()) - began).total_seconds() if began and rendered else None


def _moment(stamp: str) -> datetime | None:
    try:
        # Nanoseconds are more than Python reads.
        return datetime.fromisoformat(f"{stamp[:26].rstrip('Z')}+00:00")
    except ValueError:
        return None
