"""The `agent` delivery: a native sidecar logs in with the pod's own token, renders, renews and revokes.

`attach` is a pure function from manifest to manifest. What it adds holds paths and key names, never a value:

- `vault-agent`, an init container with restartPolicy Always (KEP-753), started before all others; the base
  container starts once its postStart hook has seen every rendered file;
- volumes in memory: the agent's own, one for environment files that nobody mounts (the kubelet reads it for
  `fileKeyRef`, KEP-3721), and one for each container that asked for files, mounted there read-only;
- a projected service-account token of the audience that Vault expects, mounted in the agent alone.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterable, Sequence
from typing import Any

from airflow_k8s_vault.delivery import ownership
from airflow_k8s_vault.delivery.agent import configuration
from airflow_k8s_vault.delivery.agent.configuration import AGENT_DIR, TOKEN_DIR
from airflow_k8s_vault.delivery.agent.script import CHECKED, LEASES, LIMIT, SCRIPT, WAIT_FOR_FILES
from airflow_k8s_vault.delivery.agent.template import env_files, file_contents, file_key, lease_list
from airflow_k8s_vault.delivery.login import VaultLogin
from airflow_k8s_vault.delivery.placement import (
    add_variables,
    by_container,
    directories,
    mount_files,
    refuse_clashes,
)
from airflow_k8s_vault.teams import BY_CLUSTER, AgentSettings
from airflow_k8s_vault.vault_secret import VaultSecret

CONTAINER = "vault-agent"
_ENV_DIR = "/vault/env"
_AGENT_VOLUME, _ENV_VOLUME, _TOKEN_VOLUME = "vault-agent", "vault-env", "vault-token"

# The agent's user where the pod's own securityContext names none, or root: the image's is a name, and the
# kubelet takes no name for proof that a user is not root.
_USER_ID = 65532
# Pod Security Standard `restricted`.
_SECURITY_CONTEXT = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def attach(
    pod: dict[str, Any], secrets: Sequence[VaultSecret], login: VaultLogin, base_container: str = "base"
) -> dict[str, Any]:
    """Return a copy of the v1 Pod manifest in which the agent delivers the secrets; as it is where there are none.

    Raises DeliveryRefused, listing all problems, where a container that is to get a secret does not exist, sets
    such a variable itself, or mounts something where its files will be.
    """
    if not secrets:
        return copy.deepcopy(pod)
    pod = copy.deepcopy(pod)
    spec = pod["spec"]
    containers = {c["name"]: c for c in [*spec.get("initContainers", []), *spec["containers"]]}
    expected = by_container(secrets, base_container)
    blocked = [*_in_the_way(containers), *ownership.agent_errors(pod, expected, login.agent)]
    refuse_clashes(pod, expected, blocked)
    templates, volumes, mounts = [], [_in_memory(_AGENT_VOLUME)], [_mount(_AGENT_VOLUME, AGENT_DIR)]
    if needs_file_key_ref(secrets):
        volumes.append(_in_memory(_ENV_VOLUME))
        mounts.append(_mount(_ENV_VOLUME, _ENV_DIR))
    # By number: a container's name may be as long as a volume's is allowed to be.
    numbers = itertools.count()
    for name, requested in expected.items():
        container = containers[name]
        for env in env_files([secret for secret in requested if secret.variables], name):
            templates.append(_template(env.contents, f"{_ENV_DIR}/{env.name}", "0400"))
            add_variables(container, [_reference(env.name, variable) for variable in env.variables])
        for directory, files in directories(requested).items():
            number = next(numbers)
            volume, folder = f"vault-files-{number}", f"/vault/files/{number}"
            volumes.append(_in_memory(volume))
            mounts.append(_mount(volume, folder))
            templates += [
                _template(file_contents(s, file), f"{folder}/{file.name}", file.mode) for s, file in files
            ]
            mount_files(container, volume, directory)
    limit_seconds = spec.get("activeDeadlineSeconds")
    leased = [secret for secret in secrets if secret.engine == "dynamic" and secret.variables]
    if limit_seconds and leased:
        templates.append(_template(lease_list(leased), LEASES, "0400"))
    volumes.append(_token(login.audience))
    mounts.append({**_mount(_TOKEN_VOLUME, TOKEN_DIR), "readOnly": True})
    spec["volumes"] = [*spec.get("volumes", []), *volumes]
    environment = _environment(login, templates, secrets)
    sidecar = _sidecar(login, templates, mounts, environment, limit_seconds if leased else None)
    sidecar["securityContext"] |= _user(spec, login.agent, ownership.agent_user(pod, expected))
    _add_pull_secrets(spec, login.agent.image_pull_secrets)
    spec["initContainers"] = [sidecar, *spec.get("initContainers", [])]
    return pod


def _user(spec: dict[str, Any], settings: AgentSettings, owner: int | None) -> dict[str, int]:
    """Return the agent's own runAsUser, where it has one: root never runs it. owner: of private files."""
    pods = (spec.get("securityContext") or {}).get("runAsUser")
    if owner is not None:
        return {} if owner == pods and settings.run_as_user is None else {"runAsUser": owner}
    if pods and not isinstance(settings.run_as_user, int):
        return {}
    user = own_user(settings)
    return {} if user is None else {"runAsUser": user}


def own_user(settings: AgentSettings) -> int | None:
    """Return the user that the package's own containers run as where the pod names none; None: the cluster's."""
    if settings.run_as_user == BY_CLUSTER:
        return None
    return _USER_ID if settings.run_as_user is None else settings.run_as_user


def _add_pull_secrets(spec: dict[str, Any], names: Iterable[str]) -> None:
    there = spec.get("imagePullSecrets") or []
    missing = [{"name": name} for name in names if {"name": name} not in there]
    if missing:
        spec["imagePullSecrets"] = [*there, *missing]


def _in_the_way(containers: Iterable[str]) -> list[str]:
    if CONTAINER in containers:
        return [f"the pod template has a container '{CONTAINER}': that name is the agent's."]
    return []


def needs_file_key_ref(secrets: Iterable[VaultSecret]) -> bool:
    """Whether the cluster has to know `fileKeyRef` (Kubernetes 1.35, or 1.34 behind the gate EnvFiles)."""
    return any(secret.variables for secret in secrets)


def _reference(path: str, variable: str) -> dict[str, Any]:
    source = {"volumeName": _ENV_VOLUME, "path": path, "key": file_key(variable)}
    return {"name": variable, "valueFrom": {"fileKeyRef": source}}


def _template(contents: str, destination: str, mode: str) -> dict[str, Any]:
    return {"contents": contents, "destination": destination, "perms": mode, "error_on_missing_key": True}


def _sidecar(
    login: VaultLogin,
    templates: list[dict[str, Any]],
    mounts: list[dict[str, Any]],
    environment: list[dict[str, str]],
    limit_seconds: int | None,
) -> dict[str, Any]:
    awaited = [template["destination"] for template in templates]
    if limit_seconds:
        awaited.append(CHECKED)
        environment.append({"name": LIMIT, "value": str(limit_seconds)})
    return {
        "name": CONTAINER,
        "image": login.image,
        "restartPolicy": "Always",
        "command": ["sh", "-c", SCRIPT],
        "env": environment,
        "lifecycle": {"postStart": {"exec": {"command": ["sh", "-c", WAIT_FOR_FILES, "sh", *awaited]}}},
        # The agent's last words become the container's termination message, which the operator shows.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "resources": login.agent.resources(),
        "securityContext": copy.deepcopy(_SECURITY_CONTEXT),
        "volumeMounts": mounts,
        **({"imagePullPolicy": login.agent.image_pull_policy} if login.agent.image_pull_policy else {}),
    }


def _environment(
    login: VaultLogin, templates: list[dict[str, Any]], secrets: Sequence[VaultSecret]
) -> list[dict[str, str]]:
    values = {
        **configuration.variables(login, templates, secrets),
        "AGENT_CACERT": login.cacert,
        "AGENT_LOG_LEVEL": login.agent.log_level,
        "HOME": AGENT_DIR,
        "VAULT_ADDR": login.address,
        "VAULT_NAMESPACE": login.namespace,
        # A Vault that does not answer is reported after two attempts of 4 s: within the 20 s that a task waits.
        "VAULT_CLIENT_TIMEOUT": "4s",
        "VAULT_MAX_RETRIES": "1",
    }
    # Kubernetes expands $(NAME) in values; $$ is how it is told not to.
    return [{"name": k, "value": v.replace("$", "$$")} for k, v in values.items() if v]


def _in_memory(name: str) -> dict[str, Any]:
    return {"name": name, "emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}}


def _mount(volume: str, path: str) -> dict[str, Any]:
    return {"name": volume, "mountPath": path}


def _token(audience: str) -> dict[str, Any]:
    # 600 s is the shortest life that Kubernetes grants; the kubelet renews the file.
    source = {"serviceAccountToken": {"audience": audience, "expirationSeconds": 600, "path": "token"}}
    return {"name": _TOKEN_VOLUME, "projected": {"defaultMode": 0o444, "sources": [source]}}
