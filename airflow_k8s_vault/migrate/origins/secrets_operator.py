"""Vault Secrets Operator: VaultStaticSecret, VaultDynamicSecret, VaultPKISecret, with SecretTransformation.

secrets.hashicorp.com/v1beta1: https://developer.hashicorp.com/vault/docs/deploy/kubernetes/vso/api-reference
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from airflow_k8s_vault.migrate.origins import go_template
from airflow_k8s_vault.migrate.origins.manifest import mapping, mappings, name_of, namespaces_of, text, texts
from airflow_k8s_vault.migrate.origins.origin import RAW, Origin, Source, VaultValue, in_vault_namespace

GROUP = "secrets.hashicorp.com"
KINDS = ("VaultStaticSecret", "VaultDynamicSecret", "VaultPKISecret")
TRANSFORMATION = "SecretTransformation"
_ROOT = ".Secrets"
# Fields of VaultPKISecret to parameters of Vault: `GetIssuerAPIData` in its source.
_CERTIFICATE = {
    "commonName": "common_name",
    "altNames": "alt_names",
    "ipSans": "ip_sans",
    "uriSans": "uri_sans",
    "otherSans": "other_sans",
    "userIDs": "user_ids",
    "ttl": "ttl",
    "notAfter": "not_after",
    "format": "format",
    "privateKeyFormat": "private_key_format",
}


class _Template(NamedTuple):
    key: str
    content: str


def origins(item: Mapping[str, Any], objects: Sequence[Mapping[str, Any]]) -> Iterator[Origin]:
    """Yield what fills the Secret of one of the operator's objects. objects: all that were given."""
    spec = mapping(item, "spec")
    destination = mapping(spec, "destination")
    transformation = mapping(destination, "transformation")
    name, whole = name_of(item), _whole(text(item, "kind"), spec)
    keys: dict[str, Source] = {RAW: f"'{RAW}' of {name} is all that Vault answered, as JSON"}
    if text(destination, "type") == "kubernetes.io/tls" and text(item, "kind") == "VaultPKISecret":
        keys |= _tls(whole)
    for template in _own(transformation):
        keys[template.key] = _rendered(name, template, whole)
    rest: Source | None = None if ".*" in texts(transformation, "excludes") else whole
    for reference in mappings(transformation, "transformationRefs"):
        shared = _shared(reference, item, objects)
        if shared is None:
            rest = f"{name} is made by {TRANSFORMATION} '{text(reference, 'name')}', which is not among the files"
        for template in _named(reference, shared or {}):
            keys.setdefault(template.key, _rendered(name, template, whole))
    if secret := text(destination, "name"):
        yield Origin(name, secret, namespaces_of(item), keys, rest)


def _whole(kind: str, spec: Mapping[str, Any]) -> VaultValue:
    """Return the secret of an object, without the key."""
    mount, path = text(spec, "mount").strip("/"), text(spec, "path").strip("/")
    comments = in_vault_namespace(text(spec, "namespace"))
    if kind == "VaultStaticSecret":
        version = spec.get("version")
        is_first = text(spec, "type") == "kv-v1"
        requested = version if isinstance(version, int) and version > 0 and not is_first else None
        return VaultValue(
            f"{mount}/{path}", engine="kv1" if is_first else "kv2", version=requested, comments=comments
        )
    if kind == "VaultDynamicSecret":
        parameters = tuple((key, str(value)) for key, value in mapping(spec, "params").items())
        if not parameters and text(spec, "requestHTTPMethod") in ("PUT", "POST"):
            comments = (*comments, "TODO: it is written to, without parameters: which ones Vault takes there.")
        return VaultValue(f"{mount}/{path}", engine="dynamic", parameters=parameters, comments=comments)
    issuer = f"issuer/{text(spec, 'issuerRef')}/" if text(spec, "issuerRef") else ""
    path = f"{mount}/{issuer}issue/{text(spec, 'role')}"
    return VaultValue(path, engine="dynamic", parameters=tuple(_certificate(spec)), comments=comments)


def _certificate(spec: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for field, parameter in _CERTIFICATE.items():
        if value := text(spec, field) or ",".join(texts(spec, field)):
            yield parameter, value
    if spec.get("excludeCNFromSans") is True:
        yield "exclude_cn_from_sans", "true"


def _tls(whole: VaultValue) -> dict[str, Source]:
    note = (
        "TODO: tls.crt was the certificate with its chain; this is the certificate alone, ca_chain has the rest."
    )
    certificate = whole._replace(key="certificate", comments=(*whole.comments, note))
    return {"tls.crt": certificate, "tls.key": whole._replace(key="private_key")}


def _own(holder: Mapping[str, Any]) -> Iterator[_Template]:
    for key, template in mapping(holder, "templates").items():
        yield _Template(str(key), text(template, "text"))


def _shared(
    reference: Mapping[str, Any], item: Mapping[str, Any], objects: Sequence[Mapping[str, Any]]
) -> Mapping[str, Any] | None:
    namespace = text(reference, "namespace") or text(item, "metadata", "namespace")
    for other in objects:
        is_one = text(other, "kind") == TRANSFORMATION and text(other, "apiVersion").startswith(f"{GROUP}/")
        if is_one and text(other, "metadata", "name") == text(reference, "name"):
            own = text(other, "metadata", "namespace")
            if not own or not namespace or own == namespace:
                return mapping(other, "spec")
    return None


def _named(reference: Mapping[str, Any], shared: Mapping[str, Any]) -> Iterator[_Template]:
    templates = {template.key: template for template in _own(shared)}
    chosen = list(mappings(reference, "templateRefs"))
    if not chosen:
        yield from templates.values()
    for each in chosen:
        if template := templates.get(text(each, "name")):
            yield template._replace(key=text(each, "keyOverride") or template.key)


def _rendered(name: str, template: _Template, whole: VaultValue) -> Source:
    alias = go_template.alias(template.content, _ROOT)
    if alias is not None:
        return whole._replace(key=alias.key, decode=alias.decode)
    named = go_template.keys(template.content, _ROOT)
    if not named:
        return f"'{template.key}' is plain text in a template of {name}: no secret of Vault's"
    keys = ", ".join(f"'{key}'" for key in named)
    return f"a template of {name} makes it of {keys} of {whole.path}"
