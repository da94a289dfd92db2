"""One team's objects in Kubernetes, in the order in which they apply, each with the line that it comes from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from airflow_k8s_vault.compile import admission, network, rights
from airflow_k8s_vault.compile.source import Source
from airflow_k8s_vault.teams import dag_identity

MANAGED_BY, US = "app.kubernetes.io/managed-by", "airflow-k8s-vault"
TEAM_LABEL = "airflow-k8s-vault/team"
SOURCE_ANNOTATION = "airflow-k8s-vault/source"
Object = dict[str, Any]
# Where a namespace has a quota of memory, what has no limit of its own (the XCom sidecar) needs one.
_DEFAULT_MEMORY, _DEFAULT_REQUEST = "64Mi", {"cpu": "10m", "memory": "16Mi"}


def kubernetes_objects(source: Source) -> list[Object]:
    """Return the team's objects: namespace, accounts, quota, network, rights, admission."""
    return [_signed(source, obj, where) for obj, where in _objects(source)]


def account_names(source: Source) -> list[str]:
    """Return the names of the service accounts that the team's pods run as."""
    account = source.team.service_account
    if source.team.walls.identity == "dag":
        return [dag_identity(account, dag_id) for dag_id in sorted(source.dags)]
    return [account]


def policy_name(source: Source, what: str) -> str:
    """Return the name of an admission policy, which lies in no namespace."""
    return f"{US}-{source.team.namespace}-{what}"


def _objects(source: Source) -> Iterator[tuple[Object, str]]:
    """Yield each object with the key of the team's file that it comes from."""
    team, limits = source.team, dict(source.team.walls.limits)
    yield _namespace(source), "namespace"
    for name in account_names(source):
        yield _account(source, name), "service_account"
    if hard := _quota(limits):
        yield _in_team(source, "ResourceQuota", "v1", US, {"spec": {"hard": hard}}), "limits"
    if ranges := _ranges(limits):
        yield _in_team(source, "LimitRange", "v1", US, {"spec": {"limits": ranges}}), "limits"
    if team.walls.egress is not None:
        spec = {"spec": network.policy(source)}
        yield _in_team(source, "NetworkPolicy", "networking.k8s.io/v1", US, spec), "egress"
    for role in rights.roles(source, account_names(source)):
        yield _in_team(source, "Role", rights.API_VERSION, role.name, {"rules": role.rules}), role.key
        yield _in_team(source, "RoleBinding", rights.API_VERSION, role.name, role.binding()), role.key
    for obj in admission.of_pods(source, policy_name(source, "pods")):
        yield obj, "images"
    for obj in admission.of_exec(source, policy_name(source, "exec")):
        yield obj, "namespace"


def _namespace(source: Source) -> Object:
    level = source.team.pod_security
    labels = {f"pod-security.kubernetes.io/{mode}": level for mode in ("audit", "enforce", "warn")}
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": source.team.namespace, "labels": labels},
    }


def _account(source: Source, name: str) -> Object:
    content: Object = {"automountServiceAccountToken": False}
    if source.team.walls.image_pull_secrets:
        content["imagePullSecrets"] = [{"name": name} for name in source.team.walls.image_pull_secrets]
    return _in_team(source, "ServiceAccount", "v1", name, content)


def _quota(limits: Mapping[str, str]) -> Mapping[str, str]:
    names = {"cpu": ("requests.cpu",), "memory": ("requests.memory", "limits.memory"), "pods": ("pods",)}
    return {name: limits[key] for key, hard in names.items() if key in limits for name in hard}


def _ranges(limits: Mapping[str, str]) -> list[Object]:
    ranges: list[Object] = []
    if "memory" in limits or "memory_per_pod" in limits or "cpu" in limits:
        ranges.append(
            {
                "type": "Container",
                "default": {"memory": _DEFAULT_MEMORY},
                "defaultRequest": dict(_DEFAULT_REQUEST),
            }
        )
    if "memory_per_pod" in limits:
        ranges.append({"type": "Pod", "max": {"memory": limits["memory_per_pod"]}})
    return ranges


def _in_team(source: Source, kind: str, version: str, name: str, content: Mapping[str, Any]) -> Object:
    meta = {"name": name, "namespace": source.team.namespace}
    return {"apiVersion": version, "kind": kind, "metadata": meta, **content}


def _signed(source: Source, obj: Object, key: str) -> Object:
    meta = obj["metadata"]
    platform = key.startswith("platform.")
    where = source.team.platform_where(key.removeprefix("platform.")) if platform else source.team.where(key)
    labels = {**meta.get("labels", {}), MANAGED_BY: US, TEAM_LABEL: source.team.name}
    signed = {**meta, "labels": dict(sorted(labels.items())), "annotations": {SOURCE_ANNOTATION: where}}
    return {**obj, "metadata": signed}
