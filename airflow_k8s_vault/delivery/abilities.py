"""What each delivery can do with what a VaultSecret requests: one piece of data for checks and docs."""

from __future__ import annotations

from typing import NamedTuple

ANY = "yes"
# Of files that not everybody may read, by what their container's user is; ownership.py finds it out.
WAYS = "Or take mode='0440' with fsGroup, or mode='0444'."
UNKNOWN_USER = f"nobody knows the container's user: set runAsUser in the pod template. {WAYS}"
ROOT = f"the container runs as root, which the agent never does: set runAsUser. {WAYS}"
OWNED_BY_ROOT = (
    "files of a Secret are root's: take delivery='agent', mode='0440' with fsGroup in the pod template, or "
    "mode='0444'."
)
GROUP_ADDED = (
    "Kubernetes lets the group of fsGroup read each file of a Secret: take delivery='agent', mode='0440', or a "
    "pod template without fsGroup."
)


class Ability(NamedTuple):
    """A thing to ask for, and how each delivery does it: ANY, or under which condition; else it is refused."""

    what: str
    agent: str
    secret: str


ABILITIES = (
    Ability("mode 0444, 0555", ANY, ANY),
    Ability("mode 0440, 0550", "with `fsGroup`, or as 0400", "with `fsGroup`, or as 0400"),
    Ability(
        "mode 0400, 0500",
        "where the container's user is known (`runAsUser`, or `agent.run_as_user: cluster`) and not root",
        "where the container runs as root, in a pod without `fsGroup`",
    ),
    Ability("`directory`, `decode`", ANY, ANY),
    Ability("`version`, lists of keys, `prefix`", ANY, ANY),
    Ability("variables", "on Kubernetes 1.35 or later", ANY),
    Ability("`parameters`, in files", "renewed before it ends", "where it lives as long as the task may run"),
    Ability(
        "`parameters`, in variables",
        "where it lives as long as the task may run",
        "where it lives as long as the task may run",
    ),
    Ability("a key of KV that changes while the task runs", "in files, within a minute", "no: it is read once"),
)


def table() -> str:
    """Return the table for docs/vault-secret.md."""
    rows = [("", "`agent`", "`secret`"), ("---",) * 3, *ABILITIES]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
