"""Vault as `doctor` asks it: without a token, with an administrator's, and with the login of each team."""

from __future__ import annotations

import os
from functools import cached_property
from typing import Any

from airflow_k8s_vault.delivery import VaultLogin
from airflow_k8s_vault.secret_value import SecretValue
from airflow_k8s_vault.vault import VaultReader, settings_from

# Answers in every state of a server with 200: the state is in the body.
_HEALTH = "sys/health?standbyok=true&perfstandbyok=true&sealedcode=200&uninitcode=200&drsecondarycode=200"
NO_RIGHT = "a Vault token that may {} is needed for this: set VAULT_TOKEN."


class Vault:
    """Vault as pods log in to it; `admin` asks with VAULT_TOKEN, where that is set."""

    def __init__(self, login: VaultLogin) -> None:
        self.login = login
        given: dict[str, Any] = {"url": login.address, "auth_type": "token", "token": "none"}
        # No second try of its own: a login or a lease of which the answer was lost would be held by nobody.
        given |= {"timeout": 5, "deadline_seconds": 10, "retry_delay_seconds": 0}
        given |= {"namespace": login.namespace} if login.namespace else {}
        given |= {"verify": _ca_file(login.cacert)} if login.cacert else {}
        self.settings = settings_from(given, {})[0]
        token = os.environ.get("VAULT_TOKEN", "")
        self.admin = VaultReader(self.settings, SecretValue(token) if token else None)
        # By team: the login that `login` made, for the checks after it.
        self.sessions: dict[str, VaultReader] = {}

    @cached_property
    def health(self) -> dict[str, Any]:
        body: dict[str, Any] = VaultReader(self.settings).get(_HEALTH).body
        return body

    def close(self) -> None:
        """End the logins that checks made."""
        for session in self.sessions.values():
            session.post("auth/token/revoke-self")


def _ca_file(text: str) -> str:
    """Return the path of a file with that PEM text, which goes with this process."""
    import atexit
    import tempfile
    from pathlib import Path

    with tempfile.NamedTemporaryFile("w", suffix=".pem", prefix="k8s-vault-doctor-", delete=False) as file:
        file.write(text)
    atexit.register(Path(file.name).unlink, missing_ok=True)
    return file.name
