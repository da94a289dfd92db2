"""The agent's configuration: how it logs in, and what it renders; in variables of its container."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from airflow_k8s_vault import vault_parameters
from airflow_k8s_vault.delivery import sizes
from airflow_k8s_vault.delivery.agent.script import CONFIG
from airflow_k8s_vault.delivery.login import VaultLogin
from airflow_k8s_vault.errors import DeliveryRefused
from airflow_k8s_vault.vault_secret import VaultSecret

AGENT_DIR = "/vault/agent"
TOKEN_DIR = "/var/run/secrets/vault"  # noqa: S105 - a folder
# How often the agent looks whether a KV secret has changed; a file then changes in the running pod. And how often
# where there is a credential that Vault makes on request: one of which Vault tells no end, such as an SSH
# certificate, is made anew as often, so rarely where it lives for long.
_RENDER_INTERVAL, _WRITTEN_INTERVAL = "1m", "5m"
# The variables in which it goes on, all that there can be: each part is half full at least.
FURTHER_VARIABLES = [
    f"{CONFIG}_{n}" for n in range(1, 2 * sizes.AGENT_CONFIG_BYTES // sizes.AGENT_CONFIG_PART_BYTES + 1)
]
_LONG_SECONDS = 600
# When what cannot be renewed is made anew, as a part of its life, give or take 0.05. The agent's own 0.9 leaves
# a certificate of an hour three minutes for a Vault that does not answer at once.
_RENEWAL_THRESHOLD = 0.7


def variables(
    login: VaultLogin, templates: Sequence[dict[str, Any]], secrets: Sequence[VaultSecret]
) -> dict[str, str]:
    """Return the variables whose values, one after the other, are the configuration as JSON.

    Each is short enough for Linux, and each but the first begins with a template, so that an admission policy can
    tell by each alone that it is nothing but a list of templates. Raises DeliveryRefused where they are too much.
    """
    parts = list(_parts(_without_templates(login, _interval(secrets)), templates))
    size = sum(map(_size, parts))
    if size > sizes.AGENT_CONFIG_BYTES:
        raise DeliveryRefused(
            f"The secrets of this task take {size} bytes of the agent's configuration, and a pod has room for "
            f"{sizes.AGENT_CONFIG_BYTES}: take whole secrets as files (file= without key=), use "
            "delivery='secret', or share the work among several tasks."
        )
    return {f"{CONFIG}_{number}" if number else CONFIG: part for number, part in enumerate(parts)}


def _interval(secrets: Sequence[VaultSecret]) -> str:
    lives = [vault_parameters.ttl_seconds(secret.parameters) for secret in secrets if secret.parameters]
    if not lives or any(seconds is not None and seconds < _LONG_SECONDS for seconds in lives):
        return _RENDER_INTERVAL
    return _WRITTEN_INTERVAL


def _parts(head: dict[str, Any], templates: Sequence[dict[str, Any]]) -> Iterator[str]:
    part = json.dumps(head)[:-1] + ', "template": ['
    size = _size(part)
    for number, template in enumerate(templates):
        # The agent's reader takes no pair of surrogates, by which JSON writes some characters of a file's name.
        text = json.dumps(template, ensure_ascii=False) + ("]}" if number + 1 == len(templates) else ", ")
        if size + _size(text) > sizes.AGENT_CONFIG_PART_BYTES:
            yield part
            part, size = "", 0
        part += text
        size += _size(text)
    yield part


def _size(text: str) -> int:
    return len(text.encode())


def _without_templates(login: VaultLogin, interval: str) -> dict[str, Any]:
    return {
        "vault": {"address": login.address, "retry": {"num_retries": 2}},
        "auto_auth": {
            "method": [_method(login)],
            "sink": [{"type": "file", "config": {"path": f"{AGENT_DIR}/token", "mode": 0o600}}],
        },
        "template_config": {
            "exit_on_retry_failure": True,
            "lease_renewal_threshold": _RENEWAL_THRESHOLD,
            "static_secret_render_interval": interval,
        },
    }


def _method(login: VaultLogin) -> dict[str, Any]:
    token_file = f"{TOKEN_DIR}/token"
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
