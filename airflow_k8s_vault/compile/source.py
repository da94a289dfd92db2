"""All that one team's objects and policies are made from: plain data, read elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from airflow_k8s_vault.compile.declared import Declared
from airflow_k8s_vault.delivery import VaultLogin
from airflow_k8s_vault.teams import Team

_USER = "user:"


class Account(NamedTuple):
    """A service account of Kubernetes, or with namespace "" a user."""

    namespace: str
    name: str

    @classmethod
    def of(cls, written: str, team: str) -> Account:
        """Return the account that platform.yaml writes as namespace/name or user:NAME, `{team}` replaced."""
        written = written.replace("{team}", team)
        if written.startswith(_USER):
            return cls("", written.removeprefix(_USER))
        namespace, _, name = written.partition("/")
        return cls(namespace, name)

    @property
    def user(self) -> str:
        """The name of its user in the API server's requests."""
        return f"system:serviceaccount:{self.namespace}:{self.name}" if self.namespace else self.name

    @property
    def subject(self) -> dict[str, str]:
        """Return the account as a subject of a RoleBinding."""
        if self.namespace:
            return {"kind": "ServiceAccount", "name": self.name, "namespace": self.namespace}
        return {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": self.name}


@dataclass(frozen=True)
class Source:
    """One team as it is compiled.

    login: where its pods log in. deliveries: those that its tasks use. worker, triggerer: Airflow's accounts.
    pods: what its templates give, with cel.VARIES where a variable or the run decides. xcom_sidecar: the container
    that KubernetesPodOperator adds for XCom, None where the team pushes none. dags: the ids of the team's DAGs,
    where each has an identity of its own; dag_labels: each with the label that Airflow gives its pods.
    declared: what they declare, None where the ceiling is compiled.
    """

    team: Team
    login: VaultLogin
    deliveries: tuple[str, ...]
    worker: Account
    triggerer: Account
    pods: tuple[Mapping[str, Any], ...] = ()
    xcom_sidecar: Mapping[str, Any] | None = None
    dags: tuple[str, ...] = ()
    dag_labels: Mapping[str, str] = field(default_factory=dict)
    declared: tuple[Declared, ...] | None = None
