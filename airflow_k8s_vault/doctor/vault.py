"""What has to be true of Vault before a pod of a team gets its secrets, in the order of a login and a read."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from airflow_k8s_vault.compile import Declared, Source
from airflow_k8s_vault.compile.vault import roles
from airflow_k8s_vault.doctor import advisories, reads
from airflow_k8s_vault.doctor.check import Check, Outcome
from airflow_k8s_vault.doctor.cluster import of_clock
from airflow_k8s_vault.doctor.kube import Answer, Kube
from airflow_k8s_vault.doctor.session import NO_RIGHT, Vault
from airflow_k8s_vault.errors import VaultRefused
from airflow_k8s_vault.secret_value import SecretValue
from airflow_k8s_vault.vault import Reply, VaultReader

_TOKEN_SECONDS = 600
_LOOKED_AT = (
    *("bound_service_account_names", "bound_service_account_namespaces", "audience"),
    *("bound_audiences", "bound_subject", "user_claim", "token_policies"),
)


def checks(
    vault: Vault, kube: Kube, sources: list[Source], declared: tuple[Declared, ...], *, leases: bool
) -> Iterator[Check]:
    """Yield the checks of Vault, then those of each team.

    declared: what the teams' DAGs ask for. leases: whether one lease of each dynamic path is taken.
    """
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
            yield Check(
                "VAULT-PATHS", partial(reads.paths, vault, source, own), name, name, (*also, "VAULT-LOGIN")
            )
            yield Check("VAULT-TTL", partial(reads.lifetimes, vault, source, own), name, name, also)
        if leases:
            takes = partial(reads.leases, vault, source, own)
            yield Check("VAULT-LEASE", takes, name, name, (*also, "VAULT-LOGIN", "VAULT-PATHS"))


def reached(vault: Vault) -> Outcome:
    """Ask for the health, without a token."""
    try:
        vault.health  # noqa: B018  what it raises is the outcome
    except VaultRefused as error:
        # What it advises is for the secrets backend.
        return Outcome.of(str(error).splitlines()[:1])
    return Outcome("success", f"{vault.login.address} is version {vault.health.get('version')}")


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
    return Outcome("unknown", NO_RIGHT.format("read sys/auth"))


def reviewer(vault: Vault) -> Outcome:
    """Look whether the mount has a token of its own to review tokens with."""
    reply = vault.admin.get(f"auth/{vault.login.auth_mount}/config")
    if reply.status != 200:
        return Outcome("unknown", NO_RIGHT.format(f"read auth/{vault.login.auth_mount}/config"))
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
            return Outcome("unknown", NO_RIGHT.format(f"read {compiled.path}"))
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
