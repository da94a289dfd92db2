"""The rule on the CPU of one pod.

A LimitRange could hold it only where every container has a CPU limit, which throttles it; this one sums requests.
"""

from __future__ import annotations

from collections.abc import Iterator

from airflow_k8s_vault.compile import cel
from airflow_k8s_vault.compile.admission.rule import Rule
from airflow_k8s_vault.compile.source import Source


def of_limits(source: Source) -> Iterator[Rule]:
    """Yield the rule where the team's file has limits.cpu_per_pod."""
    cpu = dict(source.team.walls.limits).get("cpu_per_pod")
    if cpu is None:
        return
    has = cel.has_all("c", "resources", "requests") + ' && "cpu" in c.resources.requests'
    requested = 'quantity(c.resources.requests["cpu"]).asApproximateFloat()'
    total = f"variables.containers.map(c, {has} ? {requested} : 0.0).sum()"
    limit = f"quantity({cel.literal(cpu)}).asApproximateFloat()"
    yield Rule(f"{total} <= {limit}", f"A pod of team {source.team.name} asks for {cpu} of CPU at most.")
