"""Whose the files are: a file that not everybody may read belongs to the user that its container runs as.

With `agent` a file is its agent's, so the agent has to run as that user. With `secret` a file is root's, and of
the pod's fsGroup where there is one, which may read it then whatever its mode:
https://kubernetes.io/docs/tasks/configure-pod-container/security-context/#configure-volume-permission-and-ownership-change-policy-for-pods
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from airflow_k8s_vault.delivery import abilities
from airflow_k8s_vault.teams import BY_CLUSTER, AgentSettings
from airflow_k8s_vault.vault_file import VaultFile
from airflow_k8s_vault.vault_secret import VaultSecret


def agent_user(pod: Mapping[str, Any], expected: Mapping[str, list[VaultSecret]]) -> int | None:
    """Return the user that private files need the agent to run as, of a pod without `agent_errors`."""
    users = {_user(pod["spec"], name) for name, _ in _owned(pod["spec"], expected)}
    return next(iter(users), None)


def agent_errors(
    pod: Mapping[str, Any], expected: Mapping[str, list[VaultSecret]], settings: AgentSettings
) -> Iterator[str]:
    """Yield what keeps the agent from running as the user that private files need."""
    spec = pod["spec"]
    users: dict[int, str] = {}
    for name, file in _owned(spec, expected):
        user = _user(spec, name)
        what = f"file '{file.name}' of container '{name}' has mode {file.mode}"
        if user is None and settings.run_as_user == BY_CLUSTER:
            # The cluster gives all containers that name none the same user.
            continue
        if user is None:
            yield f"{what}, and {abilities.UNKNOWN_USER}"
        elif user == 0:
            yield f"{what}, and {abilities.ROOT}"
        elif settings.run_as_user not in (None, user):
            yield (
                f"{what}, the container runs as {user} and the agent as {settings.run_as_user} "
                f"(agent.run_as_user): only one of them can own the file. {abilities.WAYS}"
            )
        else:
            users.setdefault(user, name)
    if len(users) > 1:
        shown = " and ".join(f"{user} ('{name}')" for user, name in users.items())
        yield f"private files are for the users {shown}, and the agent can be one of them only. {abilities.WAYS}"


def secret_errors(pod: Mapping[str, Any], expected: Mapping[str, list[VaultSecret]]) -> Iterator[str]:
    """Yield the private files that a container could not read from a Secret."""
    spec = pod["spec"]
    for name, file in _owned(spec, expected):
        reason = abilities.OWNED_BY_ROOT
        if _user(spec, name) == 0:
            if _group(spec) is None:
                continue
            reason = abilities.GROUP_ADDED
        yield f"file '{file.name}' of container '{name}' has mode {file.mode}, and {reason}"


def _owned(spec: Mapping[str, Any], expected: Mapping[str, list[VaultSecret]]) -> Iterator[tuple[str, VaultFile]]:
    """Yield container and file where its owner has to be the container's user: the group does not read it."""
    for name, secrets in expected.items():
        for file in _files(secrets):
            if file.is_private and (_group(spec) is None or file.mode[2] == "0"):
                yield name, file


def _group(spec: Mapping[str, Any]) -> Any:
    return (spec.get("securityContext") or {}).get("fsGroup")


def _files(secrets: Iterable[VaultSecret]) -> Iterator[VaultFile]:
    return (file for secret in secrets for file in secret.outputs)


def _user(spec: Mapping[str, Any], name: str) -> int | None:
    containers = [*(spec.get("initContainers") or ()), *spec["containers"]]
    own = next((c.get("securityContext") or {} for c in containers if c["name"] == name), {})
    user = own.get("runAsUser", (spec.get("securityContext") or {}).get("runAsUser"))
    return user if isinstance(user, int) else None
