"""External Secrets: ExternalSecret and ClusterExternalSecret, with the stores and generators that they name.

external-secrets.io/v1, v1beta1 and v1alpha1: https://external-secrets.io/latest/api/externalsecret/. How key and
the store's path become a path of Vault: `buildPath` in its provider for Vault.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from airflow_k8s_vault.migrate.origins import go_template
from airflow_k8s_vault.migrate.origins.api_path import value_at
from airflow_k8s_vault.migrate.origins.manifest import (
    mapping,
    mappings,
    name_of,
    namespaces_of,
    text,
    texts,
)
from airflow_k8s_vault.migrate.origins.origin import Origin, Source, VaultValue, in_vault_namespace

GROUP = "external-secrets.io"
KINDS = ("ExternalSecret", "ClusterExternalSecret")
STORES = ("SecretStore", "ClusterSecretStore")
GENERATORS = "generators.external-secrets.io"
# A label that every namespace has: https://kubernetes.io/docs/reference/labels-annotations-taints/
_NAMESPACE_LABEL = "kubernetes.io/metadata.name"
_NO_SECRET = {"None": "creates no Secret"}


class _Store(NamedTuple):
    """A store of Vault's. mount: None where each key begins with its own."""

    name: str
    mount: str | None
    version: int
    comments: tuple[str, ...]


def origins(item: Mapping[str, Any], objects: Sequence[Mapping[str, Any]]) -> Iterator[Origin]:
    """Yield what fills the Secret of an ExternalSecret. objects: all that were given, with its stores."""
    if text(item, "kind") == "ClusterExternalSecret":
        spec = mapping(item, "spec", "externalSecretSpec")
        own = text(item, "spec", "externalSecretName") or text(item, "metadata", "name")
        namespaces = _selected(item)
    else:
        spec, own, namespaces = mapping(item, "spec"), text(item, "metadata", "name"), namespaces_of(item)
    target = mapping(spec, "target")
    secret = text(target, "name") or own
    if not secret or text(target, "creationPolicy") in _NO_SECRET or _makes_another_kind(target):
        return
    reader = _Reader(name_of(item), namespaces, spec, objects)
    keys, rest = reader.keys(), reader.rest()
    template = mapping(target, "template")
    if template.get("data") or template.get("templateFrom"):
        keys, rest = reader.templated(template, keys, rest)
    yield Origin(name_of(item), secret, namespaces, keys, rest)


def _selected(item: Mapping[str, Any]) -> frozenset[str] | None:
    """Return the namespaces of a ClusterExternalSecret; None where labels of namespaces choose them."""
    spec = mapping(item, "spec")
    names = set(texts(spec, "namespaces"))
    for selector in [*mappings(spec, "namespaceSelectors"), mapping(spec, "namespaceSelector")]:
        label = text(selector, "matchLabels", _NAMESPACE_LABEL)
        if label:
            names.add(label)
        elif selector:
            return None
    return frozenset(names) or None


def _makes_another_kind(target: Mapping[str, Any]) -> bool:
    return text(target, "manifest", "kind") not in ("", "Secret")


class _Reader:
    """Reads one spec. name: of its object, for people."""

    def __init__(
        self,
        name: str,
        namespaces: frozenset[str] | None,
        spec: Mapping[str, Any],
        objects: Sequence[Mapping[str, Any]],
    ) -> None:
        self.name = name
        self.namespaces = namespaces
        self.spec = spec
        self.objects = objects

    def keys(self) -> dict[str, Source]:
        """Return the sources of `data`."""
        result: dict[str, Source] = {}
        for entry in mappings(self.spec, "data"):
            store = self.store(mapping(entry, "sourceRef", "storeRef"))
            source = store if isinstance(store, str) else _remote(mapping(entry, "remoteRef"), store)
            if text(entry, "sourceRef", "generatorRef", "kind"):
                source = f"{self.name} takes it from a generator"
            result[text(entry, "secretKey")] = source
        return result

    def rest(self) -> Source | None:
        """Return the source of `dataFrom`, whose keys keep their names."""
        sources = [self._from(entry) for entry in mappings(self.spec, "dataFrom")]
        if len(sources) < 2:
            return sources[0] if sources else None
        if reasons := [source for source in sources if isinstance(source, str)]:
            return reasons[0]
        paths = [source.path for source in sources if isinstance(source, VaultValue)]
        return f"{self.name} takes it from one of {', '.join(paths)}"

    def _from(self, entry: Mapping[str, Any]) -> Source:
        if "find" in entry:
            return f"{self.name} finds it by a pattern"
        if entry.get("rewrite"):
            return f"{self.name} gives its keys other names"
        source_of = mapping(entry, "sourceRef")
        if generator := mapping(source_of, "generatorRef"):
            return self._generated(generator)
        store = self.store(mapping(source_of, "storeRef"))
        if isinstance(store, str):
            return store
        # v1alpha1 has what is extracted without a key of its own.
        reference = mapping(entry, "extract") or entry
        if property_of := text(reference, "property"):
            return f"{self.name} takes it out of the value of '{property_of}' in {text(reference, 'key')}"
        return _remote(reference, store)

    def _generated(self, reference: Mapping[str, Any]) -> Source:
        kind, name = text(reference, "kind"), text(reference, "name")
        what = f"{self.name} takes it from generator {kind} {name}"
        if kind != "VaultDynamicSecret":
            return what
        given = self._object(GENERATORS, kind, name)
        if given is None:
            return f"{what}, which is not among the files"
        spec = mapping(given, "spec")
        if text(spec, "resultType") not in ("", "Data"):
            return f"{what}, which gives it more than Vault's data"
        parameters = mapping(spec, "parameters")
        if not all(isinstance(value, str | int | float) for value in parameters.values()):
            return f"{what}, whose parameters are no plain texts"
        value = value_at(text(spec, "path"))
        given_texts = tuple((key, str(item)) for key, item in parameters.items())
        unclear = (
            ()
            if given_texts or text(spec, "method") in ("", "GET")
            else (f"TODO: the generator writes to {value.path} without parameters: which ones it takes.",)
        )
        return value._replace(engine="dynamic", parameters=given_texts, comments=unclear)

    def templated(
        self, template: Mapping[str, Any], keys: Mapping[str, Source], rest: Source | None
    ) -> tuple[dict[str, Source], Source | None]:
        """Return the sources once the template of the Secret is filled in."""
        values = Origin(self.name, "", None, keys, rest)
        merges = text(template, "mergePolicy") == "Merge"
        result: dict[str, Source] = dict(keys) if merges else {}
        for key, content in mapping(template, "data").items():
            result[str(key)] = self._rendered(str(key), str(content), values)
        if template.get("templateFrom"):
            return result, f"{self.name} makes it by templateFrom"
        return result, rest if merges else None

    def _rendered(self, key: str, content: str, values: Origin) -> Source:
        alias = go_template.alias(content)
        if alias is None:
            named = go_template.keys(content)
            if not named:
                return f"'{key}' is plain text in the template of {self.name}: no secret of Vault's"
            return f"a template of {self.name} makes it of {', '.join(map(_shown(values), named))}"
        source = values.source(alias.key)
        if alias.decode and isinstance(source, VaultValue):
            if source.decode:
                return f"a template of {self.name} decodes it twice"
            return source._replace(decode=alias.decode)
        return source

    def store(self, override: Mapping[str, Any]) -> _Store | str:
        """Return the store of an entry, or why it is not known. override: its own, in place of the object's."""
        reference = override or mapping(self.spec, "secretStoreRef")
        kind, name = text(reference, "kind") or "SecretStore", text(reference, "name")
        given = self._object(GROUP, kind, name)
        if given is None:
            return f"{self.name} reads it by {kind} '{name}', which is not among the files"
        provider = mapping(given, "spec", "provider")
        vault = mapping(provider, "vault")
        if not vault:
            return f"{self.name} reads it from {next(iter(provider), 'a provider')}, not from Vault"
        version = 1 if text(vault, "version") == "v1" else 2
        mount = text(vault, "path").strip("/")
        mount = mount.removesuffix("/data") if version == 2 else mount
        comments = in_vault_namespace(text(vault, "namespace"))
        return _Store(name, mount or None, version, comments)

    def _object(self, group: str, kind: str, name: str) -> Mapping[str, Any] | None:
        """Return the object of that name, of the same namespace where both say theirs."""
        for item in self.objects:
            is_it = text(item, "apiVersion").startswith(f"{group}/") and text(item, "kind") == kind
            if is_it and text(item, "metadata", "name") == name:
                own = namespaces_of(item)
                if kind.startswith("Cluster") or own is None or self.namespaces is None or own & self.namespaces:
                    return item
        return None


def _shown(values: Origin) -> Any:
    def shown(key: str) -> str:
        source = values.source(key)
        return f"'{source.key}' of {source.path}" if isinstance(source, VaultValue) else f"'{key}'"

    return shown


def _remote(reference: Mapping[str, Any], store: _Store) -> Source:
    key, name = text(reference, "key").strip("/"), text(reference, "property")
    if text(reference, "metadataPolicy") == "Fetch":
        return f"it is of the metadata of {key}, no secret of Vault's"
    decoding = text(reference, "decodingStrategy") or "None"
    comments = list(store.comments)
    if decoding not in ("None", "Base64"):
        comments.append(f'TODO: decodingStrategy {decoding} decoded it: decode="base64", or nothing.')
    if "." in name:
        comments.append(f"TODO: '{name}' may be a value inside of another: then its first part is the key.")
    version = text(reference, "version")
    return VaultValue(
        _named(key, store),
        name or None,
        engine=f"kv{store.version}",
        version=int(version) if version.isdecimal() and store.version == 2 else None,
        decode="base64" if decoding == "Base64" else None,
        comments=tuple(comments),
    )


def _named(key: str, store: _Store) -> str:
    """Return the path as `vault kv get` takes it."""
    if store.mount is None:
        return key.replace("/data/", "/", 1) if store.version == 2 else key
    below = key.removeprefix(f"{store.mount}/")
    if below != key and store.version == 2:
        below = below.removeprefix("data/")
    return f"{store.mount}/{below}"
