"""Where a name is looked up: from kind, key and team to paths of the mount, in order.

A key is never read as "team/name": nothing tells a nested shared name from another team's. So a key with a
separator is looked up in the asking team's own folder only, and for no team nowhere, as in Airflow's VaultBackend.
One that climbs (`..`) is never looked up, since HTTP clients resolve it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

# Airflow's own tables hold 250 characters. A longer one is no name: it would fill memory, logs and Vault's log.
LONGEST_KEY = 1024
# What Airflow itself accepts: airflow.models.team.Team.
_TEAM_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")


@dataclass(frozen=True)
class LookupPath:
    """One path to read. `team` is None for what all share."""

    mount: str
    path: str
    team: str | None = None


@dataclass(frozen=True)
class Rules:
    """The settings that decide about paths, and whether Airflow's multi-team is on."""

    mount: str | None
    team_mount: str | None
    team_folders: bool
    then_shared: bool
    multi_team: bool


def lookup_paths(
    bases: tuple[str, ...], key: str, team: str | None, rules: Rules
) -> tuple[tuple[LookupPath, ...], str | None]:
    """Return the paths of `key` in order, and why there are none where it may not be looked up.

    >>> rules = Rules("secret", None, team_folders=True, then_shared=True, multi_team=True)
    >>> [lookup.path for lookup in lookup_paths(("connections",), "db", "payments", rules)[0]]
    ['connections/payments/db', 'connections/db']
    >>> [lookup.path for lookup in lookup_paths(("connections",), "science/db", "payments", rules)[0]]
    ['connections/payments/science/db']
    >>> lookup_paths(("connections",), "../variables/db", None, rules)
    ((), "has a part that is '.', '..' or a control character")
    """
    if len(key) > LONGEST_KEY:
        return (), f"has {len(key):,} characters, and {LONGEST_KEY:,} are the most"
    return _lookup_paths(bases, key, team, rules)


@lru_cache(maxsize=4096)
def _lookup_paths(
    bases: tuple[str, ...], key: str, team: str | None, rules: Rules
) -> tuple[tuple[LookupPath, ...], str | None]:
    mount, name = _split(key, rules.mount)
    if not mount or not name:
        return (), None
    if any(part in (".", "..") for part in key.split("/")) or not key.isprintable():
        return (), "has a part that is '.', '..' or a control character"
    if not rules.multi_team:
        return tuple(LookupPath(mount, _join(base, name)) for base in bases), None
    if team is not None and not (team and _TEAM_CHARACTERS.issuperset(team)):
        return (), f"is asked for by team {team!r}, which is no name of a team"
    own_mount = _team_mount(mount, team, rules)
    if not rules.team_folders:
        # A team may still have a mount, a role or a namespace of its own.
        return tuple(LookupPath(own_mount, _join(base, name), team) for base in bases), None
    if team is None and "/" in name:
        return (), "holds a '/' and no team asks for it, so it could be a team's"
    result = tuple(LookupPath(own_mount, _join(base, team or "", name), team) for base in bases)
    if team and rules.then_shared and "/" not in name:
        result += tuple(LookupPath(mount, _join(base, name)) for base in bases)
    return result, None


def _split(key: str, mount: str | None) -> tuple[str, str]:
    if mount:
        return mount.strip("/"), key
    first, _, rest = key.partition("/")
    return first, rest


def _team_mount(mount: str, team: str | None, rules: Rules) -> str:
    return rules.team_mount.replace("{team}", team).strip("/") if rules.team_mount and team else mount


def _join(*parts: str) -> str:
    """Join with single slashes, as Vault's own command line and hvac do."""
    return "/".join(piece for part in parts for piece in part.split("/") if piece)
