"""The `agent` delivery: a native sidecar logs in with the pod's own token, renders, renews and revokes.

Read in this order: sidecar (what is added to the manifest), configuration and template (what the agent is told),
lookup, library and go (Airflow's look-ups in the agent's own language), script (what runs in its container),
failure and ended (what it left behind).
"""

from __future__ import annotations

from airflow_k8s_vault.delivery.agent.configuration import FURTHER_VARIABLES
from airflow_k8s_vault.delivery.agent.script import CONFIG, LIMIT
from airflow_k8s_vault.delivery.agent.sidecar import CONTAINER, attach, needs_file_key_ref, own_user

__all__ = [
    "CONFIG",
    "CONTAINER",
    "FURTHER_VARIABLES",
    "LIMIT",
    "attach",
    "needs_file_key_ref",
    "own_user",
]
