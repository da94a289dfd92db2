"""A secret that a task needs once its pod has it from Vault, as code of a DAG; what is not known is a TODO."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any, NamedTuple

from airflow_k8s_vault import dag_code, vault_path
from airflow_k8s_vault.vault_secret import LOOKUPS, VaultSecret

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
        return [*(f"# {line}" for line in wrapped), *self.call()]

    def call(self, width: int = _WIDTH - 8) -> list[str]:
        """Return the lines of the call alone: one where it fits in so many characters."""
        engine = self.arguments.get("engine")
        if engine in LOOKUPS:
            container = {key: value for key, value in self.arguments.items() if key == "container"}
            return dag_code.call(f"VaultSecret.{engine}", [self.path], container, width)
        return dag_code.call("VaultSecret", [self.path], self.arguments, width)

    @property
    def known_path(self) -> str | None:
        """The path in Vault; None where it is to be filled in, or the secrets backend looks for it."""
        is_todo = self.path.startswith(f"{TODO}/") or self.arguments.get("engine") in LOOKUPS
        return None if is_todo or vault_path.errors(self.path) else self.path

    @property
    def is_written(self) -> bool:
        """Whether Vault is given parameters there, and so the team's `update` has to have the path."""
        return "parameters" in self.arguments

    @property
    def is_known(self) -> bool:
        """Whether nothing is left to fill in."""
        return TODO not in "".join(self.lines())

    def at(self, paths: Mapping[str, str]) -> Needed:
        """Return the secret at the path in Vault that is given for it, without what was said of an unknown path.

        paths: what follows "TODO/" to a path of Vault.
        """
        name = self.path.removeprefix(f"{TODO}/")
        if name == self.path or name not in paths:
            return self
        keys = "" if TODO not in str(self.arguments) else f"{TODO}: the keys of {paths[name]}."
        rest = [comment for comment in self.comments if not comment.startswith(f"{TODO}: the Vault path")]
        return Needed(paths[name], self.arguments, tuple(filter(None, (keys, *rest))))

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
