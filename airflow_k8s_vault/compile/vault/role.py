"""The roles that a team's pods log in to: bound to account, namespace and audience, with the one policy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_k8s_vault.compile.source import Source
from airflow_k8s_vault.compile.vault.policy import policy_name
from airflow_k8s_vault.teams import dag_identity

# A login that nobody renews, as on a lost node, ends after this; and no task runs for longer than a day.
_TTL_SECONDS, _MAX_TTL_SECONDS = 600, 24 * 3600
# What Vault's audit log then says of a login: the names that the kubernetes method gives by itself.
_CLAIMS = {
    "/kubernetes.io/namespace": "service_account_namespace",
    "/kubernetes.io/serviceaccount/name": "service_account_name",
    "/kubernetes.io/pod/name": "pod_name",
    "/kubernetes.io/pod/uid": "pod_uid",
}


@dataclass(frozen=True)
class Role:
    """method: kubernetes or jwt. parameters: as Vault's API takes them; durations in seconds."""

    mount: str
    method: str
    name: str
    parameters: Mapping[str, Any]
    source: str

    @property
    def path(self) -> str:
        return f"auth/{self.mount}/role/{self.name}"


def roles(source: Source) -> list[Role]:
    """Return the team's role; with identity `dag` one for each DAG, named as its account is."""
    team, login = source.team, source.login
    if team.walls.identity == "dag":
        named = [dag_identity(team.service_account, dag_id) for dag_id in sorted(source.dags)]
        bound = [(name, name, name) for name in named]
    else:
        bound = [(team.vault_role, team.service_account, policy_name(source))]
    return [
        Role(
            login.auth_mount,
            login.auth_method,
            name,
            {**_binding(source, account), **_token(source, policy)},
            team.where("vault_role"),
        )
        for name, account, policy in bound
    ]


def _binding(source: Source, account: str) -> dict[str, Any]:
    namespace, audience = source.team.namespace, source.login.audience
    if source.login.auth_method == "kubernetes":
        return {
            "bound_service_account_names": [account],
            "bound_service_account_namespaces": [namespace],
            "audience": audience,
        }
    return {
        "role_type": "jwt",
        "user_claim": "sub",
        "bound_subject": f"system:serviceaccount:{namespace}:{account}",
        "bound_audiences": [audience],
        "claim_mappings": dict(_CLAIMS),
    }


def _token(source: Source, policy: str) -> dict[str, Any]:
    life = source.team.walls.token
    longest = life.max_ttl_seconds or _MAX_TTL_SECONDS
    # All of it, what is not limited too: Vault keeps what a later write leaves out.
    return {
        "token_type": "service",
        "token_policies": [policy],
        "token_no_default_policy": True,
        "token_ttl": min(life.ttl_seconds or _TTL_SECONDS, longest),
        "token_max_ttl": longest,
        "token_explicit_max_ttl": life.explicit_max_ttl_seconds or 0,
        "token_period": 0,
        "token_num_uses": 0,
        "token_bound_cidrs": list(life.bound_cidrs),
    }
