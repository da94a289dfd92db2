"""The settings of section [k8s_vault] in airflow.cfg: one line of data each.

The provider entry point, `airflow config list` and the docs are read from SETTINGS.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache

from airflow_k8s_vault.errors import ConfigError

SECTION = "k8s_vault"
DELIVERIES = ("agent", "secret")


@dataclass(frozen=True)
class Setting:
    """One setting. `default=None` means that it has to be set before it is needed."""

    name: str
    default: str | None
    description: str
    example: str | None = None
    choices: tuple[str, ...] = ()
    starts: tuple[str, ...] = ()

    @property
    def environment_variable(self) -> str:
        return f"AIRFLOW__{SECTION.upper()}__{self.name.upper()}"


SETTINGS = (
    Setting(
        "templates_dir",
        None,
        "Folder of the pod templates: shared templates at its top, one sub-folder with a team.yaml per team.",
        "/opt/airflow/pod_templates",
    ),
    Setting(
        "vault_addr",
        None,
        "Address of Vault or OpenBao as the pods reach it (scheme, host and port).",
        "https://vault.vault.svc:8200",
        starts=("https://", "http://"),
    ),
    Setting("vault_namespace", "", "Vault namespace of the auth mount and the secrets. Empty: the root one."),
    Setting(
        "vault_cacert",
        "",
        "PEM text of the CA that signed Vault's certificate, or a path to it on the worker, from where it is "
        "copied into the pod. Empty: the CAs of the agent's image.",
    ),
    Setting(
        "vault_auth_method",
        "kubernetes",
        "How pods log in to Vault with their service-account token.",
        choices=("kubernetes", "jwt"),
    ),
    Setting("vault_auth_mount", "kubernetes", "Mount path of that auth method in Vault, without auth/."),
    Setting(
        "vault_token_audience",
        "vault",
        "Audience of the service-account token that pods log in with. The Vault role should require the same.",
    ),
    Setting(
        "vault_agent_image",
        "openbao/openbao:2.7.2",
        "Image of the sidecar that fetches the secrets: any that has sh and the bao or vault binary.",
    ),
    Setting(
        "secrets_backend_kwargs",
        "",
        "Where VaultSecret.connection and .variable look, as JSON: mount_point, connections_path, variables_path "
        "and the like of [secrets] backend_kwargs. For workers without a secrets backend of their own. Empty: "
        "what [workers] secrets_backend, else [secrets] backend, is given.",
        '{"mount_point": "secret", "connections_path": "connections"}',
    ),
    Setting(
        "guard_team_namespaces",
        "False",
        "Whether a DAG whose plain KubernetesPodOperator aims at the namespace of a team fails to import.",
        choices=("True", "False"),
    ),
    Setting(
        "default_delivery",
        "agent",
        "How secrets reach the pod where the task does not say otherwise.",
        choices=DELIVERIES,
    ),
)

_BY_NAME = {setting.name: setting for setting in SETTINGS}


def get(name: str) -> str:
    """Return the setting's value, stripped; its default where it is not set.

    Raises ConfigError, which names the setting and its environment variable, where a setting without
    a default is not set, or where the value is none of the setting's choices, or starts otherwise than it has to.
    """
    return _checked(_BY_NAME[name], os.environ.get(_BY_NAME[name].environment_variable))


# Airflow takes 30 us to look an option up, and a DAG file may make a thousand operators. What airflow.cfg says
# stays as it is while a process lives; what the environment says is part of the key.
@lru_cache(maxsize=256)
def _checked(setting: Setting, environment: str | None) -> str:
    # Imported here: the secrets backend imports this package while airflow.configuration still imports.
    from airflow.configuration import conf

    name = setting.name
    value = str(conf.get(SECTION, name, fallback=setting.default) or "").strip()
    if not value and setting.default is None:
        raise ConfigError(
            f"[{SECTION}] {name} is not set. {setting.description}\n"
            f"  Set it in airflow.cfg, or as {setting.environment_variable} (for example {setting.example})."
        )
    if setting.choices and value not in setting.choices:
        raise ConfigError(
            f"[{SECTION}] {name} is '{value}', which is none of: {', '.join(setting.choices)}.\n"
            f"  Set it in airflow.cfg, or as {setting.environment_variable}."
        )
    if setting.starts and not value.startswith(setting.starts):
        raise ConfigError(
            f"[{SECTION}] {name} is '{value}', which does not start with {' or '.join(setting.starts)}.\n"
            f"  Set it in airflow.cfg, or as {setting.environment_variable} (for example {setting.example})."
        )
    return value
