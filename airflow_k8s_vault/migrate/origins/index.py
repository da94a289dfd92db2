"""All that was given beside the pods and says where in Vault the Secrets of their namespaces come from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Self, TypeVar

from airflow_k8s_vault.migrate.origins import bank_vaults, external_secrets, provider_class, secrets_operator
from airflow_k8s_vault.migrate.origins.manifest import text
from airflow_k8s_vault.migrate.origins.origin import Origin, merged
from airflow_k8s_vault.migrate.origins.provider_class import ProviderClass

_Placed = TypeVar("_Placed", Origin, ProviderClass)
_KINDS = {
    external_secrets.GROUP: (*external_secrets.KINDS, *external_secrets.STORES),
    external_secrets.GENERATORS: ("VaultDynamicSecret",),
    secrets_operator.GROUP: (*secrets_operator.KINDS, secrets_operator.TRANSFORMATION),
    provider_class.GROUP: (provider_class.KIND,),
    "": (bank_vaults.KIND,),
}


def tells_paths(item: Mapping[str, Any]) -> bool:
    """Return whether an object says where in Vault something is, or may."""
    return text(item, "kind") in _KINDS.get(_group(item), ())


def _group(item: Mapping[str, Any]) -> str:
    return text(item, "apiVersion").rpartition("/")[0]


class Origins:
    """What fills Secrets, and what CSI volumes hold, by name and namespace; of no objects it knows none."""

    def __init__(self, secrets: Iterable[Origin] = (), classes: Iterable[ProviderClass] = ()) -> None:
        self.secrets = tuple(secrets)
        self.classes = tuple(classes)

    @classmethod
    def of(cls, objects: Sequence[Mapping[str, Any]]) -> Self:
        """Return what these objects say, of which each may name others."""
        classes = [item for item in objects if _group(item) == provider_class.GROUP]
        secrets = [origin for item in objects for origin in _origins(item, objects)]
        return cls(secrets, map(provider_class.provider_class, classes))

    def secret(self, name: str, namespace: str) -> Origin | str:
        """Return what fills the Secret of a namespace ("": not known), or why that is not known.

        Why is "" where nothing was given that says it.
        """
        named = [origin for origin in self.secrets if origin.secret == name]
        actual = _of_namespace(named, namespace)
        if isinstance(actual, str):
            return actual
        # A Secret as the cluster has it is what one of the others made.
        made = [origin for origin in actual if not origin.name.startswith(f"{bank_vaults.KIND} ")]
        has_reference = [o for o in actual if any(not isinstance(source, str) for source in o.keys.values())]
        return merged(made or has_reference or actual) if actual else ""

    def provider_class(self, name: str, namespace: str) -> ProviderClass | str:
        """Return the SecretProviderClass of a namespace, or why it is not known; "" where none was given."""
        actual = _of_namespace([each for each in self.classes if each.name == name], namespace)
        return actual if isinstance(actual, str) else next(iter(actual), "")


def _origins(item: Mapping[str, Any], objects: Sequence[Mapping[str, Any]]) -> Iterator[Origin]:
    group, kind = _group(item), text(item, "kind")
    if group == external_secrets.GROUP and kind in external_secrets.KINDS:
        yield from external_secrets.origins(item, objects)
    elif group == secrets_operator.GROUP and kind in secrets_operator.KINDS:
        yield from secrets_operator.origins(item, objects)
    elif group == provider_class.GROUP:
        yield from provider_class.origins(item)
    elif group == "" and kind == bank_vaults.KIND:
        yield from bank_vaults.origins(item)


def _of_namespace(items: Sequence[_Placed], namespace: str) -> list[_Placed] | str:
    """Return those of the namespace, or else those that name none; a sentence's end where it is not clear."""
    if namespace:
        own = [item for item in items if item.namespaces and namespace in item.namespaces]
        own = own or [item for item in items if item.namespaces is None]
        if items and not own:
            names = ", ".join(item.name for item in items)
            return f"{names} {'are' if items[1:] else 'is'} of another namespace than '{namespace}'"
        return own
    namespaces = {item.namespaces for item in items}
    if len(namespaces) > 1:
        all_names = sorted({name for each in namespaces for name in each or ("no namespace",)})
        return f"there is one in each of {', '.join(all_names)}, and the pod names no namespace"
    return list(items)
