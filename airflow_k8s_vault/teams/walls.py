"""What a team's file says of the walls around its pods: what `compile` makes Vault and Kubernetes hold."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_PART = re.compile(r"([0-9]+)([dhms]?)")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def seconds(duration: str | int) -> int:
    """Return a duration of the file in seconds.

    >>> seconds("10m"), seconds("1h30m"), seconds(600)
    (600, 5400, 600)
    """
    return sum(int(number) * _SECONDS[unit] for number, unit in _PART.findall(str(duration)))


@dataclass(frozen=True)
class TokenLife:
    """How long a pod's Vault token lives, in seconds, and from where it is taken. None: not limited here."""

    ttl_seconds: int | None = None
    max_ttl_seconds: int | None = None
    explicit_max_ttl_seconds: int | None = None
    bound_cidrs: tuple[str, ...] = ()


_ANY_LIFE = TokenLife()


@dataclass(frozen=True)
class Peer:
    """Somebody whom the pods may connect to: addresses, or a namespace; `ports` empty: all."""

    cidr: str | None
    namespace: str | None
    ports: tuple[int, ...]


@dataclass(frozen=True)
class Walls:
    """deliveries empty: [k8s_vault] default_delivery. limits: name to quantity. egress None: anything."""

    identity: str = "team"
    deliveries: tuple[str, ...] = ()
    xcom: bool = True
    image_pull_secrets: tuple[str, ...] = ()
    limits: tuple[tuple[str, str], ...] = ()
    egress: tuple[Peer, ...] | None = None
    token: TokenLife = _ANY_LIFE


def token_life(data: Mapping[str, Any], limit: TokenLife = _ANY_LIFE) -> TokenLife:
    """Return what a file says of tokens; of each limit the stricter, its own or `limit`."""

    def life(name: str, other: int | None) -> int | None:
        own = seconds(data[name]) if name in data else None
        return min((value for value in (own, other) if value is not None), default=None)

    return TokenLife(
        life("token_ttl", limit.ttl_seconds),
        life("token_max_ttl", limit.max_ttl_seconds),
        life("token_explicit_max_ttl", limit.explicit_max_ttl_seconds),
        # That a team's addresses lie within the platform's is looked at where they are compiled.
        tuple(data.get("token_bound_cidrs", limit.bound_cidrs)),
    )


def read_walls(data: Mapping[str, Any], limit: TokenLife) -> Walls:
    """Return the walls of a valid team file; `limit` is the platform's."""
    egress = data.get("egress")
    return Walls(
        identity=data.get("identity", "team"),
        deliveries=tuple(data.get("deliveries", ())),
        xcom=data.get("xcom", True),
        image_pull_secrets=tuple(data.get("image_pull_secrets", ())),
        limits=tuple((name, str(value)) for name, value in data.get("limits", {}).items()),
        egress=None if egress is None else tuple(_peer(entry) for entry in egress),
        token=token_life(data, limit),
    )


def _peer(entry: Mapping[str, Any]) -> Peer:
    ports = tuple(int(port) for port in entry.get("ports", ()))
    return Peer(entry.get("cidr"), entry.get("namespace"), ports)
