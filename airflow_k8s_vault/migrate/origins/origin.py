"""What fills a Kubernetes Secret: for each of its keys the value of Vault, or why that is not known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

# What the Vault Secrets Operator adds to each Secret; nobody who takes all keys asks for this one.
RAW = "_raw"


class VaultValue(NamedTuple):
    """One value of Vault. path: as `vault kv get` takes it; key: None is the whole secret, as JSON.

    parameters: what Vault is told when it makes a credential. decode: "base64" where the Secret has the bytes.
    comments: what is to be looked at, for the lines above the VaultSecret.
    """

    path: str
    key: str | None = None
    engine: str = "kv2"
    version: int | None = None
    parameters: tuple[tuple[str, str], ...] = ()
    decode: str | None = None
    comments: tuple[str, ...] = ()


# A value, or why it is not known: the end of a sentence, never with a secret's value.
Source = VaultValue | str


@dataclass(frozen=True)
class Origin:
    """What fills one Secret. name: of the object that does ("ExternalSecret warehouse"); secret: what it fills.

    keys: those of the Secret whose source differs from rest, that of all others: they are called as in Vault.
    rest None: there are no others. namespaces: where the Secret is; None: not known, or in several.
    """

    name: str
    secret: str
    namespaces: frozenset[str] | None = None
    keys: Mapping[str, Source] = field(default_factory=dict)
    rest: Source | None = None

    def source(self, key: str) -> Source:
        """Return where the value of a key of the Secret comes from."""
        if key in self.keys:
            return self.keys[key]
        if isinstance(self.rest, VaultValue):
            return self.rest._replace(key=key)
        return self.rest or f"{self.name} gives it no key '{key}'"


def merged(origins: Iterable[Origin]) -> Origin:
    """Return several objects that fill one Secret as one. What two of them give, each in its way, is not known."""
    first, *others = origins
    for other in others:
        name = f"{first.name} and {other.name}"
        keys = {**first.keys}
        for key, source in other.keys.items():
            keys[key] = source if keys.get(key, source) == source else f"{name} both give it"
        rest = first.rest if other.rest is None else other.rest
        if first.rest is not None and other.rest is not None and first.rest != other.rest:
            rest = f"{name} both fill it"
        first = Origin(name, first.secret, first.namespaces, keys, rest)
    return first


def in_vault_namespace(namespace: str) -> tuple[str, ...]:
    """Return the comment of a secret that is in a namespace of Vault's; none for "", where nothing says so."""
    return (f"In Vault's namespace '{namespace}': [k8s_vault] vault_namespace.",) if namespace else ()
