"""One secret that a task of a DAG declares: what the least policy is made from."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_k8s_vault.vault_secret import VaultSecret


@dataclass(frozen=True)
class Declared:
    """`secret` is as the task has it, `resolved` as the pod reads it. file: the DAG's.

    timeout_seconds: the task's execution_timeout, None where it has none.
    """

    dag_id: str
    task_id: str
    team: str
    template: str
    secret: VaultSecret
    resolved: VaultSecret
    file: str
    timeout_seconds: float | None = None

    @property
    def paths(self) -> tuple[str, ...]:
        """The path; of a connection or variable each place where it is looked for."""
        return tuple(location.path for location in self.resolved.locations)

    @property
    def task(self) -> str:
        """The task, as messages and comments name it."""
        return f"{self.dag_id}.{self.task_id}"
