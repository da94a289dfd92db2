"""A path of Vault's API, as a task names it."""

from __future__ import annotations

import re

from airflow_k8s_vault.migrate.origins.origin import VaultValue

# Outside of a KV mount's first segment these say which engine makes a credential for each read.
_DYNAMIC = re.compile(r"[^/]+/(creds|static-creds|issue|issuer|sign|sts|token|roleset|static-account|key)/")


def named_path(path: str) -> tuple[str, str]:
    """Return a path of Vault's API as `vault kv get` takes it, and the engine that it shows.

    >>> named_path("secret/data/payments/partner"), named_path("/database/creds/ro")
    (('secret/payments/partner', 'kv2'), ('database/creds/ro', 'dynamic'))
    """
    plain = path.strip("/").removeprefix("v1/").partition("?")[0]
    mount, folder, *rest = [*plain.split("/"), "", ""]
    if folder == "data" and rest[0]:
        return f"{mount}/{plain.removeprefix(f'{mount}/data/')}", "kv2"
    return plain, "dynamic" if _DYNAMIC.match(f"{plain}/") else "kv1"


def value_at(path: str, key: str | None = None) -> VaultValue:
    """Return the value at a path of Vault's API; its engine is a TODO where the path shows none."""
    named, engine = named_path(path)
    mount = named.partition("/")[0]
    unclear = (f"TODO: engine: the path shows no KV 2 ('{mount}/data/…').",) if engine == "kv1" else ()
    return VaultValue(named, key, engine=engine, comments=unclear)
