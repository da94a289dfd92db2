"""What Airflow learns about this package through its `apache_airflow_provider` entry point."""

from __future__ import annotations

from typing import Any

from airflow_k8s_vault.config import SECTION, SETTINGS


def get_provider_info() -> dict[str, Any]:
    """Return the provider info in the shape of Airflow's provider_info.schema.json."""
    return {
        "package-name": "airflow-k8s-vault",
        "name": "Kubernetes and Vault",
        "description": "Pod templates by name, and Vault credentials that reach only the pods that need them.",
        "operators": [
            {"integration-name": "Kubernetes and Vault", "python-modules": ["airflow_k8s_vault.operators"]}
        ],
        "task-decorators": [
            {"name": "vault_pod", "class-name": "airflow_k8s_vault.operators.vault_pod_task"},
        ],
        "cli": ["airflow_k8s_vault.commands.cli.get_cli_commands"],
        "secrets-backends": ["airflow_k8s_vault.secrets_backend.VaultSecretsBackend"],
        "config": {
            SECTION: {
                "description": "Pod templates and Vault credentials of VaultPodOperator.",
                "options": {
                    setting.name: {
                        "description": setting.description,
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": setting.example,
                        "default": setting.default,
                    }
                    for setting in SETTINGS
                },
            }
        },
    }
