"""Where the pods of a team log in to Vault: the platform's settings and the team's role."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from airflow_k8s_vault import config


@dataclass(frozen=True)
class VaultLogin:
    """Where the pods of a team log in: the platform's settings and the team's role. No secrets."""

    address: str
    role: str
    namespace: str = ""
    cacert: str = ""
    auth_method: str = "kubernetes"
    auth_mount: str = "kubernetes"
    audience: str = "vault"
    image: str = "openbao/openbao:2.7.2"

    @classmethod
    def of_role(cls, role: str) -> VaultLogin:
        """Return the login that section [k8s_vault] describes. Raises ConfigError where it is not complete."""
        cacert = config.get("vault_cacert")
        return cls(
            address=config.get("vault_addr"),
            role=role,
            namespace=config.get("vault_namespace"),
            cacert=Path(cacert).read_text() if os.path.sep in cacert and "-----" not in cacert else cacert,
            auth_method=config.get("vault_auth_method"),
            auth_mount=config.get("vault_auth_mount"),
            audience=config.get("vault_token_audience"),
            image=config.get("vault_agent_image"),
        )
