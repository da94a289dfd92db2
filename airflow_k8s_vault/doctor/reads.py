"""What a team's login may read of what its DAGs declare, how long it lives, and whether leases are given."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from airflow_k8s_vault import vault_parameters, vault_path
from airflow_k8s_vault.compile import Declared, Source
from airflow_k8s_vault.compile.vault import roles
from airflow_k8s_vault.doctor.check import Outcome
from airflow_k8s_vault.doctor.session import NO_RIGHT, Vault
from airflow_k8s_vault.errors import VaultUnavailable
from airflow_k8s_vault.vault import Reply, VaultReader


def paths(vault: Vault, source: Source, declared: tuple[Declared, ...]) -> Outcome:
    """Ask Vault what the team's login may do with each declared path, and of which engine the path is."""
    session = vault.sessions[source.team.name]
    errors: dict[str, None] = {}
    unknown = ""
    for item in declared:
        engine, where = item.resolved.engine, f"{item.resolved.path} (task {item.dag_id}.{item.task_id})"
        real = _engine_of(vault, item.resolved.path)
        if real and (engine in ("kv1", "kv2") or real in ("kv1", "kv2")) and real != engine:
            errors[f"{where} is declared as {engine}, and lies in an engine of type {real}."] = None
            continue
        path = _api_path(vault, item.resolved.path) if engine == "kv2" else item.resolved.path
        reply = session.post("sys/capabilities-self", {"paths": [path]})
        if reply.status != 200:
            reply = _capabilities_by_admin(vault, session, path)
        if reply.status != 200:
            unknown = NO_RIGHT.format("ask sys/capabilities")
        elif not {"read", "update", "root"} & set(reply.body.get("capabilities") or reply.body[path]):
            errors[f"{where}: the role's policy allows no read of {path}."] = None
        elif engine == "dynamic" and _engine_role(vault, item.resolved.path).status == 404:
            errors[f"{where}: Vault has no such role in that engine."] = None
    return Outcome("unknown", unknown) if unknown and not errors else Outcome.of(list(errors))


def lifetimes(vault: Vault, source: Source, declared: tuple[Declared, ...]) -> Outcome:
    """Compare how long logins and leases can live with how long the tasks that hold them may run."""
    seconds = max((item.timeout_seconds for item in declared if item.timeout_seconds is not None), default=None)
    if seconds is None:
        return Outcome("success")
    errors: list[str] = []
    for compiled in roles(source):
        reply = vault.admin.get(compiled.path)
        if reply.status != 200:
            return Outcome("unknown", NO_RIGHT.format(f"read {compiled.path}"))
        errors += _too_short(compiled.path, reply, ("token_max_ttl", "token_explicit_max_ttl"), seconds)
    for path in dict.fromkeys(item.resolved.path for item in declared if item.resolved.engine == "dynamic"):
        timeouts = [item.timeout_seconds or 0 for item in declared if item.resolved.path == path]
        errors += _too_short(path, _engine_role(vault, path), ("max_ttl",), max(timeouts))
    return Outcome.of(errors)


def leases(vault: Vault, source: Source, declared: tuple[Declared, ...]) -> Outcome:
    """Take one lease of each dynamic path, and end them all with the login that took them."""
    session, errors, taken = vault.sessions[source.team.name], [], []
    requested = {repr(item.resolved): item for item in declared if item.resolved.engine == "dynamic"}
    for item in requested.values():
        path, parameters = item.resolved.path, item.resolved.parameters
        try:
            reply = session.post(path, vault_parameters.texts(parameters)) if parameters else session.get(path)
        except VaultUnavailable as error:
            reply = Reply(error.status or 0, {}, str(error))
        if reply.status != 200:
            errors.append(f"{path} (task {item.task}) gives no credential: {reply.message}")
        elif lease := str(reply.body.get("lease_id") or ""):
            taken.append(lease)
    errors += _revoked(vault, session, taken)
    session.post("auth/token/revoke-self")
    del vault.sessions[source.team.name]
    return Outcome.of(errors) if errors else Outcome("success", f"leases taken and revoked: {len(taken)}")


def _revoked(vault: Vault, session: VaultReader, leases: list[str]) -> Iterator[str]:
    """Revoke each; what neither the login nor VAULT_TOKEN may revoke ends with the login, a little later."""
    readers = [session, *([vault.admin] if vault.admin.token is not None else [])]
    for lease in leases:
        replies = [reader.post("sys/leases/revoke", {"lease_id": lease, "sync": True}) for reader in readers]
        if not {200, 403} & {reply.status for reply in replies}:
            yield f"lease {lease} cannot be revoked: {replies[-1].message}"


def _too_short(what: str, reply: Reply, names: tuple[str, ...], seconds: float) -> Iterator[str]:
    for name in names:
        longest = (reply.body.get("data") or {}).get(name)
        # 0 is the server's own maximum, 32 days unless it is set otherwise.
        if isinstance(longest, int) and 0 < longest < seconds:
            yield f"{name} of {what} is {longest} s; a task's execution_timeout is {seconds:.0f} s."


def _engine_role(vault: Vault, path: str) -> Reply:
    """Return the role of an engine that makes credentials: `database/roles/x` for `database/creds/x`."""
    mount, _ = _mount_of(vault, path)
    name = path.rpartition("/")[2]
    return vault.admin.get(f"{mount}/roles/{name}") if mount else Reply(403, {})


def _capabilities_by_admin(vault: Vault, session: VaultReader, path: str) -> Reply:
    """The compiled policy does not let a login ask this of itself: an administrator asks of the login's token."""
    if session.token is None:
        return Reply(403, {})
    return vault.admin.post("sys/capabilities", {"token": session.token.reveal(), "paths": [path]})


def _mount_of(vault: Vault, path: str) -> tuple[str, dict[str, Any]]:
    """Return the mount that a path lies in and what Vault says of it; ("", {}) where it may not be looked at."""
    mounts = vault.admin.get("sys/mounts").body.get("data") or {}
    inside = max((name for name in mounts if f"{path}/".startswith(name)), key=len, default="")
    return inside.rstrip("/"), mounts.get(inside) or {}


def _engine_of(vault: Vault, path: str) -> str:
    """Return kv1, kv2 or the engine's type; empty where it may not be looked at."""
    kind, options = (about := _mount_of(vault, path)[1]).get("type"), about.get("options") or {}
    return f"kv{options.get('version', '1')}" if kind == "kv" else str(kind or "")


def _api_path(vault: Vault, path: str) -> str:
    return vault_path.kv_data(vault_path.Location(path, _mount_of(vault, path)[0]), 2)
