"""A secret that a task needs once its pod has it from Vault, as code of a DAG; what is not known is a TODO."""

from __future__ import annotations

import textwrap
from typing import Any, NamedTuple

from airflow_k8s_vault import dag_code
from airflow_k8s_vault.vault_secret import VaultSecret

# No mount is called so, and no ceiling covers it: what was not filled in is refused at import.
TODO = "TODO"
_WIDTH = 78


class Needed(NamedTuple):
    """One VaultSecret. comments: what to fill in or to look at, empty where all is known.

    arguments: those of VaultSecret beside the path.
    """

    path: str
    arguments: dict[str, Any]
    comments: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """Return the code, a line each, ready to stand in a list of a DAG file."""
        wrapped = [line for text in self.comments for line in textwrap.wrap(text, _WIDTH - 10)]
        return [*(f"# {line}" for line in wrapped), *dag_code.call("VaultSecret", [self.path], self.arguments)]

    def errors(self) -> list[str]:
        """Return what VaultSecret says is wrong with it."""
        return VaultSecret(self.path, **self.arguments).mistakes()


def code(needed: list[Needed]) -> str:
    """Return the argument `vault_secrets` for these, ready to paste; "" where there are none.

    >>> print(code([Needed("secret/a/b", {"env": {"PGPASSWORD": "password"}})]))
    vault_secrets=[
        VaultSecret("secret/a/b", env={"PGPASSWORD": "password"}),
    ],
    """
    if not needed:
        return ""
    body = [
        f"{line}," if line.endswith(")") and not line.startswith(("#", " ")) else line
        for one in needed
        for line in one.lines()
    ]
    return "\n".join(["vault_secrets=[", *(f"    {line}" for line in body), "],"])
