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
import json
from collections.abc import Iterable, Sequence
from typing import Any

from airflow_k8s_vault.delivery.agent_template import KILLED, env_file, secret_file
from airflow_k8s_vault.delivery.login import VaultLogin
from airflow_k8s_vault.delivery.placement import FILES_DIR, by_container, refuse_clashes
from airflow_k8s_vault.secret import VaultSecret

CONTAINER = "vault-agent"
_AGENT_DIR = "/vault/agent"
_ENV_DIR = "/vault/env"
_TOKEN_DIR = "/var/run/secrets/vault"  # noqa: S105 - a folder
_AGENT_VOLUME, _ENV_VOLUME, _TOKEN_VOLUME = "vault-agent", "vault-env", "vault-token"

# Half a second of a slow start is worth more than a limit that throttles it: no CPU limit.
_RESOURCES = {"requests": {"cpu": "25m", "memory": "64Mi"}, "limits": {"memory": "192Mi"}}
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

# The token, and every token before it should the agent have had to log in again, is revoked on SIGTERM (the
# kubelet sends it when the other containers have ended) and when the agent gives up before the pod started.
# Later on a failing agent is started again: the main process still holds credentials of the first login.
# A container that starts a second time finds the files of the first: what that one rendered must not start a main
# process, since its token is revoked. `clean` names the start (of process 1, in ticks) that has looked after this.
_SCRIPT = """\
revoke() {
  [ ! -s token ] || cat token >> tokens
  [ -s tokens ] || return 0
  sort -u tokens | while read -r token; do VAULT_TOKEN=$token "$vault" token revoke -self; done
  rm -f token tokens
}
stop() {
  # A login that is under way would leave a token that nobody knows: wait, 4 s at most, for the agent to have it.
  tries=0
  while [ ! -s token ] && [ $tries -lt 20 ] && kill -0 $agent 2>/dev/null; do
    tries=$((tries + 1))
    sleep 0.2
  done
  [ -z "$agent" ] || { kill "$agent" 2>/dev/null; wait "$agent"; }
  revoke
  exit 0
}
umask 077
cd /vault/agent || exit 1
if command -v bao >/dev/null 2>&1; then vault=bao; else vault=vault; fi
agent=
trap stop TERM INT
if [ -n "${AGENT_CACERT-}" ]; then
  printf '%s' "$AGENT_CACERT" > ca.pem
  export VAULT_CACERT=/vault/agent/ca.pem
fi
printf '%s' "$AGENT_CONFIG" > agent.json
[ ! -s token ] || { cat token >> tokens; echo >> tokens; rm -f token; }
if [ ! -e started ]; then
  rm -f /vault/env/* /vault/files/*/*
  if [ -s tokens ]; then
    # Killed before it was done: no second login. The kubelet would pause after the next kill, with nobody there to
    # end what that one logged in for.
    revoke
    echo "KILLED_WORDS"
    exit 137
  fi
fi
cut -d' ' -f22 /proc/1/stat > clean
while :; do
  "$vault" agent -config=agent.json &
  agent=$!
  wait "$agent"
  status=$?
  if [ ! -e started ]; then
    rm -f /vault/env/* /vault/files/*/*
    revoke
    exit "$status"
  fi
  [ ! -s token ] || { cat token >> tokens; echo >> tokens; }
  sleep 5
done
"""

_SCRIPT = _SCRIPT.replace("KILLED_WORDS", KILLED)

_WAIT_FOR_FILES = """\
start=$(cut -d' ' -f22 /proc/1/stat)
until [ "$(cat /vault/agent/clean 2>/dev/null)" = "$start" ]; do sleep 0.05; done
for file in "$@"; do
  until [ -e "$file" ]; do sleep 0.05; done
done
: > /vault/agent/started
"""


def attach(
    pod: dict[str, Any], secrets: Sequence[VaultSecret], login: VaultLogin, base_container: str = "base"
) -> dict[str, Any]:
    """Return a copy of the v1 Pod manifest in which the agent delivers the secrets; as it is where there are none.

    Raises DeliveryRefused, listing all problems, where a container that is to get a secret does not exist, sets
    such a variable itself, or mounts something at /vault/secrets.
    """
    if not secrets:
        return copy.deepcopy(pod)
    pod = copy.deepcopy(pod)
    spec = pod["spec"]
    containers = {c["name"]: c for c in [*spec.get("initContainers", []), *spec["containers"]]}
    wanted = by_container(secrets, base_container)
    refuse_clashes(containers, wanted, _in_the_way(spec, containers))
    templates, volumes, mounts = [], [_in_memory(_AGENT_VOLUME)], [_mount(_AGENT_VOLUME, _AGENT_DIR)]
    if any(secret.env for secret in secrets):
        volumes.append(_in_memory(_ENV_VOLUME))
        mounts.append(_mount(_ENV_VOLUME, _ENV_DIR))
    for number, (name, asked) in enumerate(wanted.items()):
        container = containers[name]
        variables = [secret for secret in asked if secret.env]
        if variables:
            templates.append(_template(env_file(variables), f"{_ENV_DIR}/{name}.env", "0400"))
            container["env"] = [*container.get("env", []), *_references(variables, f"{name}.env")]
        files = [secret for secret in asked if secret.file]
        if files:
            # By number: a container's name may be as long as a volume's is allowed to be.
            volume, folder = f"vault-files-{number}", f"/vault/files/{number}"
            volumes.append(_in_memory(volume))
            mounts.append(_mount(volume, folder))
            templates += [_template(secret_file(secret), f"{folder}/{secret.file}", "0444") for secret in files]
            mount = {**_mount(volume, FILES_DIR), "readOnly": True}
            container["volumeMounts"] = [*container.get("volumeMounts", []), mount]
    volumes.append(_token(login.audience))
    mounts.append({**_mount(_TOKEN_VOLUME, _TOKEN_DIR), "readOnly": True})
    spec["volumes"] = [*spec.get("volumes", []), *volumes]
    sidecar = _sidecar(login, templates, mounts)
    if not spec.get("securityContext", {}).get("runAsUser"):
        sidecar["securityContext"]["runAsUser"] = _USER_ID
    spec["initContainers"] = [sidecar, *spec.get("initContainers", [])]
    return pod


def _in_the_way(spec: dict[str, Any], containers: Iterable[str]) -> list[str]:
    found = []
    if CONTAINER in containers:
        found.append(f"the pod template has a container '{CONTAINER}': that name is the agent's.")
    for field in ("shareProcessNamespace", "hostPID"):
        # Its neighbours run as the same user, and /proc/<agent>/root/vault/agent/token is open to that user.
        if spec.get(field):
            found.append(f"the pod template sets {field}, which opens the agent's token to other containers.")
    return found


def needs_file_key_ref(secrets: Iterable[VaultSecret]) -> bool:
    """Whether the cluster has to know `fileKeyRef` (Kubernetes 1.35, or 1.34 behind the gate EnvFiles)."""
    return any(secret.env for secret in secrets)


def _references(secrets: Iterable[VaultSecret], path: str) -> list[dict[str, Any]]:
    return [
        {
            "name": variable,
            "valueFrom": {"fileKeyRef": {"volumeName": _ENV_VOLUME, "path": path, "key": variable}},
        }
        for secret in secrets
        for variable in secret.env or {}
    ]


def _template(contents: str, destination: str, mode: str) -> dict[str, Any]:
    return {"contents": contents, "destination": destination, "perms": mode, "error_on_missing_key": True}


def _sidecar(login: VaultLogin, templates: list[dict[str, Any]], mounts: list[dict[str, Any]]) -> dict[str, Any]:
    rendered = [template["destination"] for template in templates]
    return {
        "name": CONTAINER,
        "image": login.image,
        "restartPolicy": "Always",
        "command": ["sh", "-c", _SCRIPT],
        "env": _environment(login, templates),
        "lifecycle": {"postStart": {"exec": {"command": ["sh", "-c", _WAIT_FOR_FILES, "sh", *rendered]}}},
        # The agent's last words become the container's termination message, which the operator shows.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "resources": copy.deepcopy(_RESOURCES),
        "securityContext": copy.deepcopy(_SECURITY_CONTEXT),
        "volumeMounts": mounts,
    }


def _environment(login: VaultLogin, templates: list[dict[str, Any]]) -> list[dict[str, str]]:
    values = {
        "AGENT_CONFIG": json.dumps(_config(login, templates)),
        "AGENT_CACERT": login.cacert,
        "HOME": _AGENT_DIR,
        "VAULT_ADDR": login.address,
        "VAULT_NAMESPACE": login.namespace,
        # A Vault that does not answer is reported after two attempts of 4 s: within the 20 s that a task waits.
        "VAULT_CLIENT_TIMEOUT": "4s",
        "VAULT_MAX_RETRIES": "1",
    }
    # Kubernetes expands $(NAME) in values; $$ is how it is told not to.
    return [{"name": k, "value": v.replace("$", "$$")} for k, v in values.items() if v]


def _config(login: VaultLogin, templates: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "vault": {"address": login.address, "retry": {"num_retries": 2}},
        "auto_auth": {
            "method": [_method(login)],
            "sink": [{"type": "file", "config": {"path": f"{_AGENT_DIR}/token", "mode": 0o600}}],
        },
        "template_config": {"exit_on_retry_failure": True, "static_secret_render_interval": "1m"},
        "template": templates,
    }


def _method(login: VaultLogin) -> dict[str, Any]:
    token_file = f"{_TOKEN_DIR}/token"
    jwt = {"path": token_file, "remove_jwt_after_reading": False}
    return {
        "type": login.auth_method,
        "mount_path": f"auth/{login.auth_mount}",
        "config": {
            "role": login.role,
            **({"token_path": token_file} if login.auth_method == "kubernetes" else jwt),
        },
        # A refusal has to end the container: a sidecar that tries for ever looks like a slow pod.
        "exit_on_err": True,
    }


def _in_memory(name: str) -> dict[str, Any]:
    return {"name": name, "emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}}


def _mount(volume: str, path: str) -> dict[str, Any]:
    return {"name": volume, "mountPath": path}


def _token(audience: str) -> dict[str, Any]:
    # 600 s is the shortest life that Kubernetes grants; the kubelet renews the file.
    source = {"serviceAccountToken": {"audience": audience, "expirationSeconds": 600, "path": "token"}}
    return {"name": _TOKEN_VOLUME, "projected": {"defaultMode": 0o444, "sources": [source]}}
