"""What `airflow k8s-vault compile` makes of a folder of templates, for a cluster and a Vault of ours.

Needed by the demo and the tests, whose teams are set up by what is compiled and by nothing else.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from airflow_k8s_vault import config
from airflow_k8s_vault.compile import Source
from airflow_k8s_vault.compile.vault import policies, roles, vault_requests

# Of each kind that is compiled: its plural, in paths.
_PLURALS = {
    "Namespace": "namespaces",
    "ServiceAccount": "serviceaccounts",
    "ResourceQuota": "resourcequotas",
    "LimitRange": "limitranges",
    "NetworkPolicy": "networkpolicies",
    "Role": "roles",
    "RoleBinding": "rolebindings",
    "ValidatingAdmissionPolicy": "validatingadmissionpolicies",
    "ValidatingAdmissionPolicyBinding": "validatingadmissionpolicybindings",
}
# A pod that passes Pod Security and that no team's templates give.
PROBE: dict[str, Any] = {
    "containers": [
        {
            "name": "base",
            "image": "registry.invalid/no-image-of-any-team:0",
            "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        }
    ],
    "securityContext": {"runAsNonRoot": True, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}},
}


def sources(
    templates_dir: Path, settings: Mapping[str, str], only: Sequence[str] | None, dags: Path | None
) -> list[Source]:
    """Return the teams as they are compiled with these settings of section [k8s_vault]."""
    # Imported here: they bring Airflow, which takes seconds.
    from airflow_k8s_vault.commands import read_dag_secrets, team_sources

    with contextlib.ExitStack() as replaced:
        for name, value in {**settings, "templates_dir": str(templates_dir)}.items():
            replaced.enter_context(config.replaced(name, value))
        return team_sources(templates_dir, only, read_dag_secrets(dags) if dags else None)


def requests(sources: Iterable[Source]) -> list[dict[str, Any]]:
    """Return the requests to Vault's API, as `compile vault --format json` prints them."""
    made = []
    for source in sources:
        made += vault_requests(policies(source), roles(source), source.login.namespace)
    return made


def path(obj: Mapping[str, Any]) -> str:
    """Return the API's path of an object.

    >>> path({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team-a"}})
    '/api/v1/namespaces/team-a'
    """
    version, meta = obj["apiVersion"], obj["metadata"]
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    namespace = f"/namespaces/{meta['namespace']}" if "namespace" in meta else ""
    return f"{root}{namespace}/{_PLURALS[obj['kind']]}/{meta['name']}"
