"""The worker's part of delivery `secret`, and the only part of any delivery that knows the Vault client.

Nothing imports this package with an import statement: delivery.handover() does it by name, when a
task wants this delivery. docs/decisions/0005 says why.
"""

from __future__ import annotations

from airflow_k8s_vault.handover.handover import Handover, kept_token, revoke

__all__ = [
    "Handover",
    "kept_token",
    "revoke",
]
