"""Where the pods of a team log in to Vault: the platform's settings and the team's role."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from airflow_k8s_vault import causes, config
from airflow_k8s_vault.errors import ConfigError
from airflow_k8s_vault.teams import AgentSettings, Team

_AGENT = AgentSettings()
# What the methods kubernetes and jwt say of a role that is not there.
_NO_ROLE = re.compile(r'invalid role name|role \\*"[^"]{1,200}" could not be found')


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
    # The agent's container, as platform and team have it.
    agent: AgentSettings = _AGENT
    # For messages; empty where it is not known.
    team: str = ""
    # Whether the role is one DAG's: the team has identity: dag.
    is_of_dag: bool = False

    @classmethod
    def of_role(cls, role: str) -> VaultLogin:
        """Return the login that section [k8s_vault] describes. Raises ConfigError where it is not complete."""
        return cls(
            address=config.get("vault_addr"),
            role=role,
            namespace=config.get("vault_namespace"),
            cacert=_certificate(config.get("vault_cacert")),
            auth_method=config.get("vault_auth_method"),
            auth_mount=config.get("vault_auth_mount"),
            audience=config.get("vault_token_audience"),
            image=config.get("vault_agent_image"),
        )

    @classmethod
    def of_team(cls, team: Team) -> VaultLogin:
        """Return the login of a team's pods, with what its file says of the agent."""
        is_of_dag = team.walls.identity == "dag"
        return replace(cls.of_role(team.vault_role), agent=team.agent, team=team.name, is_of_dag=is_of_dag)

    def advice(self, message: str) -> str:
        """Return what to look at after Vault refused this login in these words."""
        if _NO_ROLE.search(message):
            return f"There is no auth/{self.auth_mount}/role/{self.role}: {self.compile_and_apply('vault')}"
        role = f"Check auth/{self.auth_mount}/role/{self.role} (bound service account, namespace, audience), and "
        if "not yet valid" in message or "expired" in message:
            what = "the clocks: the token's times are the cluster's, and Vault compares them with its own."
        elif self.auth_method == "kubernetes":
            what = "that the mount has a token_reviewer_jwt: a token of that audience cannot review itself."
        else:
            what = f"that auth/{self.auth_mount}/config knows the keys of this cluster's tokens."
        return f"{role}{what}"

    def doctor(self, code: str) -> str:
        """Return the last line of a message: the step of doctor that shows more (see causes)."""
        return causes.run(code, self.team)

    def compile_and_apply(self, what: str) -> str:
        """Return the way out where something of the team is missing in Vault or Kubernetes.

        >>> VaultLogin("", "payments", team="payments", is_of_dag=True).compile_and_apply("vault")
        'compile and apply (airflow k8s-vault compile vault --team payments --dags DIR).'
        """
        options = f"{f' --team {self.team}' if self.team else ''}{' --dags DIR' if self.is_of_dag else ''}"
        return f"compile and apply (airflow k8s-vault compile {what}{options})."


def _certificate(setting: str) -> str:
    """Return the text of vault_cacert, which may be a path."""
    if not setting or "-----" in setting:
        return setting
    try:
        return Path(setting).read_text()
    except OSError as error:
        raise ConfigError(
            f"[k8s_vault] vault_cacert is '{setting}', which cannot be read: {error.strerror}."
        ) from error
