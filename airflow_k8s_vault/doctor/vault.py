"""What has to be true of Vault before a pod of a team gets its secrets, in the order of a login and a read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cached_property, partial
from typing import Any

from airflow_k8s_vault import vault_path
from airflow_k8s_vault.compile import Declared, Source
from airflow_k8s_vault.compile.vault import roles
from airflow_k8s_vault.delivery.login import VaultLogin
from airflow_k8s_vault.doctor import advisories
from airflow_k8s_vault.doctor.check import Check, Outcome
from airflow_k8s_vault.doctor.cluster import of_clock
from airflow_k8s_vault.doctor.kube import Answer, Kube
from airflow_k8s_vault.secret_value import SecretValue
from airflow_k8s_vault.vault import Reply, VaultReader, settings_from

# Answers in every state of a server with 200: the state is in the body.
_HEALTH = "sys/health?standbyok=true&perfstandbyok=true&sealedcode=200&uninitcode=200&drsecondarycode=200"
_TOKEN_SECONDS = 600
_LOOKED_AT = (
    *("bound_service_account_names", "bound_service_account_namespaces", "audience"),
    *("bound_audiences", "bound_subject", "user_claim", "token_policies"),
)
_NO_RIGHT = "a Vault token that may {} is needed for this: set VAULT_TOKEN."


class Vault:
    """Vault as pods log in to it; `admin` asks with VAULT_TOKEN, where that is set."""

    def __init__(self, login: VaultLogin) -> None:
        self.login = login
        given: dict[str, Any] = {"url": login.address, "auth_type": "token", "token": "none"}
        given |= {"timeout": 5, "deadline_seconds": 10}
        given |= {"namespace": login.namespace} if login.namespace else {}
        given |= {"verify": _ca_file(login.cacert)} if login.cacert else {}
        self.settings = settings_from(given, {})[0]
        token = os.environ.get("VAULT_TOKEN", "")
        self.admin = VaultReader(self.settings, SecretValue(token) if token else None)
        # By team: the login that `login` made, for the checks after it.
        self.sessions: dict[str, VaultReader] = {}

    @cached_property
    def health(self) -> dict[str, Any]:
        body: dict[str, Any] = VaultReader(self.settings).get(_HEALTH).body
        return body

    def close(self) -> None:
        """End the logins that checks made."""
        for session in self.sessions.values():
            session.post("auth/token/revoke-self")


def checks(vault: Vault, kube: Kube, sources: list[Source], declared: tuple[Declared, ...]) -> Iterator[Check]:
    """Yield the checks of Vault, then those of each team; declared: what the teams' DAGs ask for."""
    yield Check("VAULT-REACHED", partial(reached, vault))
    after: tuple[str, ...] = ("VAULT-REACHED",)
    yield Check("VAULT-SEALED", partial(sealed, vault), after=after)
    yield Check("VAULT-ADVISORY", partial(advisory, vault), after=after)
    yield Check("CLUSTER-CLOCK", partial(clock, vault), "Vault", after=after)
    after = (*after, "VAULT-SEALED")
    yield Check("VAULT-MOUNT", partial(mount, vault), after=after)
    after = (*after, "VAULT-MOUNT")
    if vault.login.auth_method == "kubernetes":
        yield Check("VAULT-REVIEWER", partial(reviewer, vault), after=after)
        after = (*after, "VAULT-REVIEWER")
    for source in sources:
        name = source.team.name
        own = tuple(item for item in declared if item.team == name)
        yield Check("VAULT-ROLE", partial(role, vault, source), name, name, after)
        also = (*after, "VAULT-ROLE", "CLUSTER-REACHED", "CLUSTER-ACCOUNT")
        yield Check("VAULT-LOGIN", partial(login, vault, kube, source), name, name, also)
        if own:
            yield Check("VAULT-PATHS", partial(paths, vault, source, own), name, name, (*also, "VAULT-LOGIN"))
            yield Check("VAULT-TTL", partial(lifetimes, vault, source, own), name, name, also)


def reached(vault: Vault) -> Outcome:
    """Ask for the health, without a token."""
    return Outcome("success", f"{vault.login.address} is version {vault.health.get('version')}", may_come_up=False)


def sealed(vault: Vault) -> Outcome:
    """Look at initialized, sealed and standby."""
    health = vault.health
    errors = []
    if not health.get("initialized"):
        errors.append(f"Vault at {vault.login.address} is not initialized.")
    elif health.get("sealed"):
        errors.append(f"Vault at {vault.login.address} is sealed.")
    vault.__dict__.pop("health", None)
    return Outcome.of(errors) if not errors else Outcome("error", errors[0], may_come_up=True)


def advisory(vault: Vault) -> Outcome:
    """Compare server and agent with the table of advisories."""
    version = str(vault.health.get("version", ""))
    # HashiCorp's says whether it is the enterprise edition; OpenBao has no such.
    servers: list[tuple[str, str, str]] = [
        ("the server", "vault" if "enterprise" in vault.health else "openbao", version)
    ]
    servers += [(f"the agent's image {vault.login.image}", *advisories.of_image(vault.login.image))]
    errors, fixed = [], ""
    for what, product, own in servers:
        for result in advisories.concerning(product, own):
            errors.append(f"{what} is {product} {own}: {result.what} ({result.identifier}, {result.source}).")
            fixed = " or ".join(result.fixed)
    return Outcome.of(errors, warning=True, fixed=fixed)


def clock(vault: Vault) -> Outcome:
    """Compare Vault's clock with this machine's."""
    return of_clock("Vault's clock", float(vault.health.get("server_time_utc") or 0))


def mount(vault: Vault) -> Outcome:
    """Look at the auth mount's kind; without a token that may, only whether it answers logins."""
    at, method = vault.login.auth_mount, vault.login.auth_method
    reply = vault.admin.get("sys/auth")
    if reply.status == 200:
        mounts = reply.body.get("data") or reply.body
        kind = (mounts.get(f"{at}/") or {}).get("type")
        if kind is None:
            named = ", ".join(sorted(name.rstrip("/") for name in mounts))
            return Outcome.of([f"Vault has nothing mounted at auth/{at}. Mounted: {named}."])
        fits = kind == method or (method == "jwt" and kind == "oidc")
        return Outcome.of([] if fits else [f"auth/{at} is of type {kind}; vault_auth_method is {method}."])
    tried = VaultReader(vault.settings).post(f"auth/{at}/login", {"role": "", "jwt": ""})
    if tried.status == 404 or "no handler" in tried.message or "unsupported path" in tried.message:
        return Outcome.of([f"Vault has nothing mounted at auth/{at} ({tried.message})."])
    return Outcome("unknown", _NO_RIGHT.format("read sys/auth"))


def reviewer(vault: Vault) -> Outcome:
    """Look whether the mount has a token of its own to review tokens with."""
    reply = vault.admin.get(f"auth/{vault.login.auth_mount}/config")
    if reply.status != 200:
        return Outcome("unknown", _NO_RIGHT.format(f"read auth/{vault.login.auth_mount}/config"))
    data = reply.body.get("data") or {}
    if data.get("token_reviewer_jwt_set"):
        return Outcome("success")
    message = f"auth/{vault.login.auth_mount} has no token_reviewer_jwt, and pods' tokens are of audience "
    return Outcome.of([f"{message}'{vault.login.audience}'."], mount=vault.login.auth_mount)


def role(vault: Vault, source: Source) -> Outcome:
    """Compare the role with the one that is compiled from the team's file."""
    errors = []
    for compiled in roles(source):
        reply = vault.admin.get(compiled.path)
        if reply.status == 404:
            errors.append(f"there is no role {compiled.path}.")
            continue
        if reply.status != 200:
            return Outcome("unknown", _NO_RIGHT.format(f"read {compiled.path}"))
        errors += _differing(compiled.path, reply, compiled.parameters)
    return Outcome.of(errors)


def _differing(path: str, reply: Reply, parameters: Any) -> Iterator[str]:
    data = reply.body.get("data") or {}
    for name in _LOOKED_AT:
        if name in parameters and _plain(data.get(name)) != _plain(parameters[name]):
            yield f"{path}: {name} is {_shown(data.get(name))}; compiled is {_shown(parameters[name])}."


def _plain(value: Any) -> Any:
    return sorted(map(str, value)) if isinstance(value, list | tuple) else str(value or "")


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value or "nothing")


def login(vault: Vault, kube: Kube, source: Source) -> Outcome:
    """Log in with a token of the team's account, made as the kubelet makes a pod's."""
    team = source.team
    path = f"/api/v1/namespaces/{team.namespace}/serviceaccounts/{team.service_account}/token"
    spec = {"audiences": [vault.login.audience], "expirationSeconds": _TOKEN_SECONDS}
    try:
        made = kube.post(path, {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec})
    except Answer as error:
        if error.status != 403:
            raise
        needed = f"create serviceaccounts/token in {team.namespace}"
        return Outcome("unknown", f"whoever runs this needs the right: {needed}.")
    body = {"role": team.vault_role, "jwt": made["status"]["token"]}
    reply = VaultReader(vault.settings).post(f"auth/{vault.login.auth_mount}/login", body)
    if reply.status == 200:
        token = SecretValue(str(reply.body["auth"]["client_token"]))
        vault.sessions[team.name] = VaultReader(vault.settings, token)
        return Outcome("success")
    refused = (
        f"Vault refused role '{team.vault_role}' on auth/{vault.login.auth_mount} to account "
        f"'{team.service_account}' of '{team.namespace}' ({reply.message})."
    )
    if vault.login.auth_method == "kubernetes":
        refused += (
            "\nWhere the role is as compiled: the reviewer's account may lack the right to create tokenreviews."
        )
    return Outcome.of([refused])


def paths(vault: Vault, source: Source, declared: tuple[Declared, ...]) -> Outcome:
    """Ask Vault what the team's login may do with each declared path, and of which engine the path is."""
    session = vault.sessions[source.team.name]
    errors: dict[str, None] = {}
    unknown = ""
    for item in declared:
        engine, where = item.located.engine, f"{item.located.path} (task {item.dag_id}.{item.task_id})"
        real = _engine_of(vault, item.located.path)
        if real and (engine in ("kv1", "kv2") or real in ("kv1", "kv2")) and real != engine:
            errors[f"{where} is declared as {engine}, and lies in an engine of type {real}."] = None
            continue
        path = _api_path(vault, item.located.path) if engine == "kv2" else item.located.path
        reply = session.post("sys/capabilities-self", {"paths": [path]})
        if reply.status != 200:
            reply = _capabilities_by_admin(vault, session, path)
        if reply.status != 200:
            unknown = _NO_RIGHT.format("ask sys/capabilities")
        elif not {"read", "update", "root"} & set(reply.body.get("capabilities") or reply.body[path]):
            errors[f"{where}: the role's policy allows no read of {path}."] = None
        elif engine == "dynamic" and _engine_role(vault, item.located.path).status == 404:
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
            return Outcome("unknown", _NO_RIGHT.format(f"read {compiled.path}"))
        errors += _too_short(compiled.path, reply, ("token_max_ttl", "token_explicit_max_ttl"), seconds)
    for path in dict.fromkeys(item.located.path for item in declared if item.located.engine == "dynamic"):
        timeouts = [item.timeout_seconds or 0 for item in declared if item.located.path == path]
        errors += _too_short(path, _engine_role(vault, path), ("max_ttl",), max(timeouts))
    return Outcome.of(errors)


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


def _ca_file(text: str) -> str:
    """Return the path of a file with that PEM text, which goes with this process."""
    import atexit
    import tempfile
    from pathlib import Path

    with tempfile.NamedTemporaryFile("w", suffix=".pem", prefix="k8s-vault-doctor-", delete=False) as file:
        file.write(text)
    atexit.register(Path(file.name).unlink, missing_ok=True)
    return file.name
