"""What is counted, through Airflow's own metrics (StatsD or OpenTelemetry, as Airflow is configured).

One row of data each; docs/reference/metrics.md and the Grafana dashboard are made from them. A tag is a team, a
delivery or one of CAUSES: never a path or the name of a secret.
"""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

from airflow_k8s_vault import errors

# The closed set of the tag `cause`: the error's class, for what is not ours "pod".
CAUSES = {
    errors.DeliveryRefused: "refused",
    errors.DeliveryUnavailable: "unavailable",
    errors.PolicyError: "policy",
    errors.TemplateError: "template",
    errors.TeamError: "team",
    errors.ConfigError: "config",
    errors.SecretSpecError: "secret_spec",
    errors.SecretShapeError: "secret_shape",
    errors.VaultRefused: "refused",
    errors.VaultUnavailable: "unavailable",
}
OTHER = "pod"
# Those that Airflow has initialised, by which kind of process this is.
_STATS = ("airflow.sdk.observability.stats", "airflow.observability.stats", "airflow.stats")


class Metric(NamedTuple):
    """kind: "counter", or "timer" in milliseconds."""

    name: str
    kind: str
    tags: tuple[str, ...]
    description: str


METRICS = (
    Metric("k8s_vault.delivery.started", "counter", ("team", "delivery"), "Pods that were created."),
    Metric(
        "k8s_vault.delivery.ready_ms",
        "timer",
        ("team", "delivery"),
        "From a pod's creation to its main process, by Kubernetes' own times, which are whole seconds.",
    ),
    Metric(
        "k8s_vault.delivery.failed",
        "counter",
        ("team", "delivery", "cause"),
        "Tasks that failed, by the kind of error; `pod` where the pod itself failed.",
    ),
    Metric(
        "k8s_vault.delivery.outlived",
        "counter",
        ("team", "delivery"),
        "Logins that could not be ended with their pod, and end by their TTL.",
    ),
    Metric(
        "k8s_vault.lookup",
        "counter",
        ("served",),
        "Look-ups of the secrets backend: `fresh` from Vault, `cached`, `stale` while Vault was down, `refused`, "
        "`unavailable`.",
    ),
)
_BY_NAME = {metric.name: metric for metric in METRICS}


def count(name: str, **tags: str) -> None:
    """Count one more; nothing where this process has no metrics."""
    if (stats := _stats(name, tags)) is not None:
        stats.incr(name, tags=tags)


def time(name: str, milliseconds: float, **tags: str) -> None:
    """Report how long something took; nothing where this process has no metrics."""
    if (stats := _stats(name, tags)) is not None:
        stats.timing(name, milliseconds, tags=tags)


def cause_of(error: BaseException) -> str:
    """Return the tag of an error.

    >>> cause_of(errors.DeliveryRefused("no")), cause_of(ValueError())
    ('refused', 'pod')
    """
    return next((CAUSES[kind] for kind in type(error).__mro__ if kind in CAUSES), OTHER)


def _stats(name: str, tags: dict[str, str]) -> Any:
    assert set(tags) == set(_BY_NAME[name].tags), name  # noqa: S101  a mistake of ours, not of a user
    # Not imported: the secrets backend counts while airflow.configuration may still be importing.
    for module in _STATS:
        if (result := sys.modules.get(module)) is not None and hasattr(result, "Stats"):
            return result.Stats
    return None
