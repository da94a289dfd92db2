"""What holds whatever is open, and whoever changed it: no credential but the template's and the task's secrets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from airflow_k8s_vault import neighbours
from airflow_k8s_vault.policy.expected import PLAIN_VOLUMES, Expected
from airflow_k8s_vault.policy.manifest import FieldPath, containers, shown_path, volume_kinds

# What a variable may be taken from without being a credential.
ENV_SOURCES = frozenset({"fieldRef", "resourceFieldRef", "configMapKeyRef"})
_PLAIN_SOURCES = frozenset({"configMap", "downwardAPI"})
# What only moves data: a share of the network, a volume made for this pod.
_HARMLESS_VOLUMES = PLAIN_VOLUMES | {"ephemeral", "nfs"}
# A controller hands out credentials, or an identity, to a pod with such a label or annotation. A domain stands for
# all below it; some have none.
_ISSUERS = (
    *("vault.hashicorp.com", "hashicorp.com", "vault.security.banzaicloud.io", "banzaicloud.io", "bank-vaults.io"),
    *("iam.amazonaws.com", "eks.amazonaws.com", "azure.workload.identity", "aadpodidentity.k8s.io"),
    *("iam.gke.io", "external-secrets.io", "secrets-store.csi.k8s.io", "secrets.doppler.com", "conjur.org"),
    *("spiffe.io", "cert-manager.io", "injector.tumblr.com", "infisical.com", "operator.1password.io"),
    *("akeyless", "airflow-k8s-vault", "1password.com", "secrets.k8s.aws", "akeyless.io", "cyberark.com"),
    *("doppler.com", "spv.no"),
)
ISSUER_KEYS = frozenset(("aadpodidbinding", "airflow-k8s-vault-delivery"))


def violations(pod: dict[str, Any], expected: Expected) -> Iterator[str]:
    """Yield a sentence for each credential of the pod that neither its template nor its secrets gave it."""
    for path, container in containers(pod):
        intended = expected.containers.get(path, {})
        yield from _variables(path, container, intended)
        yield from _sources(path, container, intended)
    for volume in (pod.get("spec") or {}).get("volumes") or ():
        if message := _volume(volume, expected):
            yield message
    yield from _account_token(pod, expected)
    yield from _issuers(pod, expected)
    if expected.attached != expected.rendered:
        for sentence in neighbours.openings(pod, neighbours.secret_variables(pod)):
            yield f"{sentence}; a pod with secrets of Vault has none of that."


def _variables(path: FieldPath, container: Mapping[str, Any], expected: Mapping[str, Any]) -> Iterator[str]:
    known = {variable.get("name"): variable.get("valueFrom") for variable in expected.get("env") or ()}
    for variable in container.get("env") or ():
        source, name = variable.get("valueFrom") or {}, variable.get("name")
        kinds = {kind for kind, value in source.items() if value is not None} - ENV_SOURCES
        if kinds and known.get(name) != source:
            kind = ", ".join(sorted(kinds))
            yield f"{shown_path((*path, 'env', str(name)))} takes a {kind}, which {_NEITHER}."


def _sources(path: FieldPath, container: Mapping[str, Any], expected: Mapping[str, Any]) -> Iterator[str]:
    known = list(expected.get("envFrom") or ())
    for source in container.get("envFrom") or ():
        if source not in known and not set(source) <= {"configMapRef", "prefix"}:
            kind = ", ".join(sorted(set(source) - {"configMapRef", "prefix"}))
            yield f"{shown_path((*path, 'envFrom'))} takes a {kind}, which {_NEITHER}."


def _volume(volume: Mapping[str, Any], expected: Expected) -> str | None:
    name = str(volume.get("name"))
    kinds = volume_kinds(volume)
    if volume == expected.volumes.get(name) or kinds <= _HARMLESS_VOLUMES:
        return None
    if kinds == {"projected"}:
        sources = (volume["projected"] or {}).get("sources") or ()
        kinds = {kind for source in sources for kind in source} - _PLAIN_SOURCES
        if not kinds:
            return None
    message = ", ".join(sorted(kinds - _HARMLESS_VOLUMES))
    return f"spec.volumes[{name}] is of kind {message}, which {_NEITHER}."


def _account_token(pod: Mapping[str, Any], expected: Expected) -> Iterator[str]:
    key = "automountServiceAccountToken"
    result = (pod.get("spec") or {}).get(key)
    # Not set it is what the service account says, which nobody sees here.
    if result is not False and result != expected.manifest["spec"].get(key):
        yield f"spec.{key} is {'not set' if result is None else 'true'}: a token of Kubernetes, which {_NEITHER}."


def _issuers(pod: Mapping[str, Any], expected: Expected) -> Iterator[str]:
    for section in ("labels", "annotations"):
        intended = (expected.manifest.get("metadata") or {}).get(section) or {}
        for key, value in ((pod.get("metadata") or {}).get(section) or {}).items():
            if intended.get(key) != value and is_issuer(key):
                yield f"metadata.{section}[{key}] asks a controller for credentials, which {_NEITHER}."


def is_issuer(key: str) -> bool:
    """Return whether a controller that hands out credentials, or an identity, acts on this label or annotation.

    >>> is_issuer("vault.hashicorp.com/agent-inject"), is_issuer("aadpodidbinding"), is_issuer("owner")
    (True, True, False)
    """
    domain, separator, _ = key.lower().rpartition("/")
    if not separator:
        return key.lower() in ISSUER_KEYS
    return any(domain == issuer or domain.endswith(f".{issuer}") for issuer in _ISSUERS)


_NEITHER = "neither the template nor a VaultSecret gives this pod"
