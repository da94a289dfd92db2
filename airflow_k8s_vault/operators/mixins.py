"""Which classes may be mixed with VaultPodOperator: none that brings a way of its own to a cluster."""

from __future__ import annotations

from functools import lru_cache

from airflow_k8s_vault.errors import ArgumentError

# Where another class would have the say: who talks to the cluster, and whose trigger follows a deferred pod.
_WAYS = ("hook", "client", "invoke_defer_method", "trigger_reentry")


def require_none(operator: type, ours: type, task_id: str) -> None:
    """Raise ArgumentError where a class that is mixed with `ours` brings its own way to a cluster.

    Its arguments would choose the cluster, which a team's file opens or not, and its trigger knows nothing of
    refused logins or of our Secrets (docs/decisions/0012).
    """
    if names := _bringing_a_way(operator, ours):
        raise ArgumentError(
            f"Task '{task_id}' is of a class that mixes {ours.__name__} with {', '.join(names)}, which finds the "
            "cluster by itself.\n"
            f"  Make it a {ours.__name__}, and let its Kubernetes connection lead to the cluster: "
            "kubernetes_conn_id, where the team opens it, else kubernetes_default (docs/howto/other-clusters.md)."
        )


@lru_cache(maxsize=64)
def _bringing_a_way(operator: type, ours: type) -> tuple[str, ...]:
    return tuple(
        kind.__name__
        for kind in operator.__mro__
        if kind not in ours.__mro__ and not issubclass(kind, ours) and any(name in vars(kind) for name in _WAYS)
    )
