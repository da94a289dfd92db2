"""Secrets Store CSI driver: a SecretProviderClass of Vault's provider, its files and the Secrets it syncs.

secrets-store.csi.x-k8s.io/v1, v1alpha1: https://secrets-store-csi-driver.sigs.k8s.io/concepts and
https://developer.hashicorp.com/vault/docs/deploy/kubernetes/csi/configurations
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from airflow_k8s_vault.errors import MigrationError
from airflow_k8s_vault.migrate.documents import read
from airflow_k8s_vault.migrate.origins.api_path import value_at
from airflow_k8s_vault.migrate.origins.manifest import mapping, mappings, name_of, namespaces_of, text
from airflow_k8s_vault.migrate.origins.origin import Origin, Source, VaultValue, in_vault_namespace

GROUP = "secrets-store.csi.x-k8s.io"
KIND = "SecretProviderClass"
_WRITES = ("PUT", "POST")


@dataclass(frozen=True)
class ProviderClass:
    """What a SecretProviderClass says. name: its own. files: path below the mount to source.

    modes: of those files that say one. role: with which the pod logs in. reason: why files are not known, or "".
    """

    name: str
    namespaces: frozenset[str] | None
    files: Mapping[str, Source] = field(default_factory=dict)
    modes: Mapping[str, int] = field(default_factory=dict)
    role: str = ""
    reason: str = ""


def provider_class(item: Mapping[str, Any]) -> ProviderClass:
    """Return what a SecretProviderClass says."""
    known = ProviderClass(text(item, "metadata", "name"), namespaces_of(item))
    provider, parameters = text(item, "spec", "provider"), mapping(item, "spec", "parameters")
    if provider != "vault":
        return replace(known, reason=f"{name_of(item)} is of provider {provider or 'none'}, not vault")
    objects = {name: each for each in _objects(text(parameters, "objects")) if (name := text(each, "objectName"))}
    if not objects:
        return replace(known, reason=f"the objects of {name_of(item)} are no list that can be read")
    comments = in_vault_namespace(text(parameters, "vaultNamespace"))
    modes = {name: mode for name, each in objects.items() if isinstance(mode := each.get("filePermission"), int)}
    files = {name: _source(each, comments) for name, each in objects.items()}
    return replace(known, files=files, modes=modes, role=text(parameters, "roleName"))


def _objects(content: str) -> Iterator[Mapping[str, Any]]:
    """Yield the objects of the YAML in which the class has them."""
    try:
        documents = read(content, "objects")
    except MigrationError:
        return
    for document in documents:
        yield from mappings({"objects": document}, "objects")


def origins(item: Mapping[str, Any]) -> Iterator[Origin]:
    """Yield what fills each Secret that the class syncs."""
    known = provider_class(item)
    for synced in mappings(item, "spec", "secretObjects"):
        keys: dict[str, Source] = {}
        for entry in mappings(synced, "data"):
            missing = known.reason or f"{name_of(item)} has no object '{text(entry, 'objectName')}'"
            keys[text(entry, "key")] = known.files.get(text(entry, "objectName"), missing)
        if secret := text(synced, "secretName"):
            yield Origin(name_of(item), secret, known.namespaces, keys)


def _source(item: Mapping[str, Any], comments: tuple[str, ...]) -> Source:
    value = value_at(text(item, "secretPath"), text(item, "secretKey") or None)
    arguments, encoding = mapping(item, "secretArgs"), text(item, "encoding").lower()
    notes = [*comments, *value.comments]
    if arguments or text(item, "method").upper() in _WRITES:
        value = value._replace(engine="dynamic", parameters=tuple((k, str(v)) for k, v in arguments.items()))
        notes = [*comments]
        if not arguments:
            notes.append("TODO: it is written to, without parameters: which ones Vault takes there.")
    if value.key is None:
        notes.append("TODO: the driver wrote all that Vault answers; this is the secret alone, as JSON.")
    if encoding == "hex":
        notes.append("TODO: the driver decoded it from hex: the program has to do that now.")
    return VaultValue(*value)._replace(decode="base64" if encoding == "base64" else None, comments=tuple(notes))
