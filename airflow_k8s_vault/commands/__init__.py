"""What `airflow k8s-vault …` does; the modules `cli` and `cli_templates` define the commands.

The names load on first use: Airflow asks for the commands' definition at each start, and for nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_k8s_vault.door import lazy_door

if TYPE_CHECKING:
    from airflow_k8s_vault.commands.cli import get_cli_commands
    from airflow_k8s_vault.commands.compile_sources import team_sources
    from airflow_k8s_vault.commands.dag_secrets import read_dag_secrets

__all__ = ["get_cli_commands", "read_dag_secrets", "team_sources"]

__getattr__ = lazy_door(
    __name__,
    {"get_cli_commands": "cli", "read_dag_secrets": "dag_secrets", "team_sources": "compile_sources"},
)
