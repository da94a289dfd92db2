"""Settings as tests set them: in the environment, and long after Airflow has been imported."""

from __future__ import annotations

import os

from airflow_k8s_vault import config

_PREFIXES = (
    "AIRFLOW__K8S_VAULT__",
    "AIRFLOW__CORE__",
    "AIRFLOW__SECRETS__",
    "AIRFLOW__WORKERS__",
    "VAULT_NAMESPACE",
)


def follow_the_environment() -> None:
    """Let this process take the settings anew after each change of the environment.

    In earnest they are taken once: tests/operators/test_settings.py.
    """
    get, multi_team = config.get, config.multi_team
    seen = _environment()

    def follow() -> None:
        nonlocal seen
        if (now := _environment()) != seen:
            # In this order: another thread that looks meanwhile does the same once more.
            config.reload()
            seen = now

    def following_get(name: str) -> str:
        follow()
        return get(name)

    def following_multi_team() -> bool:
        follow()
        return multi_team()

    config.get, config.multi_team = following_get, following_multi_team


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith(_PREFIXES)}
