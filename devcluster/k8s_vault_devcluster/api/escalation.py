"""Nobody gives away rights that they do not hold themselves.

https://kubernetes.io/docs/reference/access-authn-authz/rbac/#privilege-escalation-prevention-and-bootstrapping

Kept so that who may write roles gets no more here than from Kubernetes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

from k8s_vault_devcluster import rbac
from k8s_vault_devcluster.api.context import RequestInfo
from k8s_vault_devcluster.api.status import forbidden
from k8s_vault_devcluster.store import Object, Store

_BY_VERB = {"roles": "escalate", "clusterroles": "escalate", "rolebindings": "bind", "clusterrolebindings": "bind"}


def check(store: Store, requested: RequestInfo, obj: Object) -> None:
    """Raise ApiError 403 where a role, or a binding's role, allows more than the user may do."""
    plural, group = requested.target.plural, requested.target.group
    if plural not in _BY_VERB:
        return
    name, namespace = obj["metadata"]["name"], obj["metadata"].get("namespace", "")
    rules, granted = obj.get("rules", []), replace(requested.attributes(), verb=_BY_VERB[plural], name=name)
    if "roleRef" in obj:
        reference = obj["roleRef"]
        rules = rbac.role_rules(store, reference, namespace)
        # `bind` is asked for on the role that is bound.
        granted = replace(granted, resource=f"{reference['kind'].lower()}s", name=reference["name"])
    if rbac.allowed(store, requested.user, granted):
        return
    if any(
        not rbac.allowed(store, requested.user, each) for rule in rules for each in _granted_by(rule, namespace)
    ):
        who = f'user "{requested.user["username"]}" (groups={requested.user.get("groups", [])})'
        why = f"{who} is attempting to grant RBAC permissions not currently held"
        raise forbidden(plural, group, name, why)


def _granted_by(rule: Object, namespace: str) -> Iterator[rbac.Attributes]:
    for verb, path in product(rule.get("verbs", []), rule.get("nonResourceURLs", [])):
        yield rbac.Attributes(verb, path=path)
    named = rule.get("resourceNames") or [""]
    for verb, group, resource, name in product(
        rule.get("verbs", []), rule.get("apiGroups", []), rule.get("resources", []), named
    ):
        yield rbac.Attributes(verb, group, resource, namespace, name)
