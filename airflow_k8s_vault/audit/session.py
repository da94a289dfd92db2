"""Logins with a team's role, and what was read with them: the entries of an audit file by the token's accessor."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from airflow_k8s_vault import vault_path
from airflow_k8s_vault.audit.entry import Auth, Entry
from airflow_k8s_vault.audit.roles import Roles

_REVOKED_TOGETHER = "sys/leases/revoke-prefix/"
_SYSTEM = ("sys/", "auth/", "identity/", "cubbyhole/")
# How Vault's two methods name a pod, where they do.
_POD = (("pod_name", "pod_uid"), ("kubernetes_pod_name", "kubernetes_pod_uid"))


@dataclass(slots=True)
class Read:
    """One read of a secret, refused ones too. time: seconds since the epoch. policies: those that allowed it."""

    time: float
    path: str
    lease: str
    policies: tuple[str, ...]
    error: str


@dataclass(slots=True)
class Session:
    """One token, from its login to its end. Times are seconds since the epoch, None where the files do not say.

    pod, uid: "" where the login method does not tell whose token it was. stranger: whether the login was made by
    an account that is none of the team's.
    """

    accessor: str
    team: str
    role: str
    account: str
    pod: str
    uid: str
    address: str
    stranger: bool
    mount: str = ""
    login: float | None = None
    expires: float | None = None
    revoked: float | None = None
    reads: list[Read] = field(default_factory=list)

    @property
    def begin(self) -> float:
        """The login, or the first read where the login is older than the files."""
        return self.login if self.login is not None else self.reads[0].time if self.reads else 0.0

    @property
    def ended(self) -> float | None:
        return self.revoked if self.revoked is not None else self.expires


class Sessions:
    """Takes entries in, and keeps those of the teams. others: reads below a team's ceiling with other roles, by
    who it was and the path."""

    def __init__(self, roles: Roles) -> None:
        self._roles = roles
        self._by_accessor: dict[str, Session] = {}
        self.others: Counter[tuple[str, str]] = Counter()

    def all(self) -> list[Session]:
        return sorted(self._by_accessor.values(), key=lambda session: session.begin)

    def take(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            path = entry.request.path
            if path.startswith("auth/"):
                self._of_auth(entry, path)
            elif path.startswith(_REVOKED_TOGETHER) and not entry.error:
                self._revoke_all(seconds(entry.time), path.removeprefix(_REVOKED_TOGETHER))
            elif entry.request.operation == "read" and not path.startswith(_SYSTEM):
                self._read(entry)

    def _of_auth(self, entry: Entry, path: str) -> None:
        made = entry.response.auth if entry.response else None
        if path.endswith("/login") and made is not None and not entry.error:
            session = self._session(made, entry)
            if session is not None:
                session.login, session.mount = seconds(entry.time), sys.intern(path.removesuffix("/login"))
                session.expires = session.login + made.token_ttl if made.token_ttl else None
        elif path == "auth/token/renew-self" and made is not None:
            session = self._by_accessor.get(made.accessor)
            if session is not None and made.token_ttl:
                session.expires = seconds(entry.time) + made.token_ttl
        elif path in ("auth/token/revoke-self", "auth/token/revoke-accessor") and not entry.error:
            accessor = entry.auth.accessor if entry.auth and path.endswith("self") else _accessor_in(entry)
            session = self._by_accessor.get(accessor)
            if session is not None and session.revoked is None:
                session.revoked = seconds(entry.time)

    def _revoke_all(self, now: float, prefix: str) -> None:
        """End the logins of an auth mount, which somebody revoked all at once."""
        for session in self._by_accessor.values():
            if session.revoked is None and session.mount and f"{session.mount}/login".startswith(prefix):
                session.revoked = now

    def _read(self, entry: Entry) -> None:
        auth, path = entry.auth, read_path(entry)
        if auth is None:
            return
        session = self._by_accessor.get(auth.accessor) or self._session(auth, entry)
        if session is None:
            if self._roles.owners(path):
                self.others[(auth.display_name, path)] += 1
            return
        results = auth.policy_results
        granting = results.granting_policies if results else None
        policies = tuple(sys.intern(policy.name) for policy in granting or ())
        lease = entry.response.secret.lease_id if entry.response and entry.response.secret else ""
        session.reads.append(Read(seconds(entry.time), sys.intern(path), lease, policies, entry.error))

    def _session(self, auth: Auth, entry: Entry) -> Session | None:
        """Return the session of a token, new or known; None where it is of no team."""
        if not auth.accessor or auth.accessor in self._by_accessor:
            return self._by_accessor.get(auth.accessor)
        metadata = auth.metadata or {}
        namespace, account = _text(metadata, "service_account_namespace"), _text(metadata, "service_account_name")
        owner = self._roles.owner(_text(metadata, "role"), namespace, account)
        if owner is None:
            return None
        pod, uid = next(((_text(metadata, a), _text(metadata, b)) for a, b in _POD if a in metadata), ("", ""))
        made = Session(
            auth.accessor,
            owner.team,
            sys.intern(_text(metadata, "role")),
            sys.intern(f"{namespace}/{account}"),
            pod,
            uid,
            sys.intern(entry.request.remote_address),
            owner.stranger,
        )
        self._by_accessor[auth.accessor] = made
        return made


def read_path(entry: Entry) -> str:
    """Return the path as `vault kv get` takes it.

    KV 2 is told by its answer, and by the path where there was none: a folder of KV 1 may be called data.
    """
    request = entry.request
    mount = request.mount_point.rstrip("/") or request.path.partition("/")[0]
    rest = request.path.removeprefix(f"{mount}/")
    if request.mount_type not in ("kv", "") or not rest.startswith("data/"):
        return request.path
    # A refusal says nothing of the engine.
    data = bytes(entry.response.data) if entry.response and not entry.error else b""
    is_kv1 = bool(data) and data != b"null" and b'"metadata"' not in data
    return request.path if is_kv1 else f"{mount}/{vault_path.named(f'/{rest}').lstrip('/')}"


def seconds(time: str) -> float:
    """
    >>> seconds("1970-01-01T00:00:01.5Z")
    1.5
    """
    return datetime.fromisoformat(time).timestamp()


def _accessor_in(entry: Entry) -> str:
    try:
        data = msgspec.json.decode(bytes(entry.request.data) or b"{}")
    except msgspec.DecodeError:
        return ""
    return str(data.get("accessor", "")) if isinstance(data, dict) else ""


def _text(metadata: dict[str, Any], name: str) -> str:
    return str(metadata.get(name) or "")
