"""Who may do what: RBAC roles and bindings, evaluated as Kubernetes does.

https://kubernetes.io/docs/reference/access-authn-authz/rbac/

Needed by the security tests: what Airflow's accounts may not do.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from k8s_vault_devcluster.store import NotFound, Object, Store

GROUP = "rbac.authorization.k8s.io"
MASTERS = "system:masters"
ANONYMOUS: Object = {"username": "system:anonymous", "groups": ["system:unauthenticated"]}

_DISCOVERY = ["/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*", "/version", "/version/"]
_PUBLIC = ["/healthz", "/livez", "/readyz", "/version", "/version/"]
_OIDC = ["/.well-known/openid-configuration", "/openid/v1/jwks"]


@dataclass(frozen=True)
class Attributes:
    """What is asked for. `resource` holds the subresource ("pods/log"); `path` is for what is no resource."""

    verb: str
    group: str = ""
    resource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""

    def described(self, username: str) -> str:
        """Return the sentence of Kubernetes' own 403."""
        if self.path:
            return f'User "{username}" cannot {self.verb} path "{self.path}"'
        where = f'in the namespace "{self.namespace}"' if self.namespace else "at the cluster scope"
        return (
            f'User "{username}" cannot {self.verb} resource "{self.resource}" in API group "{self.group}" {where}'
        )


def allowed(store: Store, user: Object, requested: Attributes) -> bool:
    """Whether a role bound to this user or one of its groups allows it. system:masters may do everything."""
    if MASTERS in user.get("groups", []):
        return True
    return any(_matches(rule, requested) for rule in rules(store, user, requested.namespace))


def rules(store: Store, user: Object, namespace: str) -> Iterator[Object]:
    """Yield the rules that hold for the user in a namespace; for "" those that hold everywhere."""
    for binding in store.list("clusterrolebindings"):
        if _binds(binding, user):
            yield from role_rules(store, binding["roleRef"], "")
    for binding in store.list("rolebindings", namespace) if namespace else ():
        if _binds(binding, user):
            yield from role_rules(store, binding["roleRef"], namespace)


def role_rules(store: Store, reference: Object, namespace: str) -> list[Object]:
    """Return the rules of a roleRef; none where there is no such role."""
    try:
        if reference["kind"] == "ClusterRole":
            role = store.get("clusterroles", "", reference["name"])
        else:
            role = store.get("roles", namespace, reference["name"])
    except NotFound:
        return []  # as in Kubernetes, a binding to a role that is not there gives nothing
    return list(role.get("rules") or [])


def _binds(binding: Object, user: Object) -> bool:
    space = binding["metadata"].get("namespace", "")
    for subject in binding.get("subjects", []):
        name = subject["name"]
        if subject["kind"] == "ServiceAccount":
            name = f"system:serviceaccount:{subject.get('namespace', space)}:{name}"
        holders = user.get("groups", []) if subject["kind"] == "Group" else [user.get("username")]
        if name in holders:
            return True
    return False


def _matches(rule: Object, requested: Attributes) -> bool:
    if not _listed(rule.get("verbs", []), requested.verb):
        return False
    if requested.path:
        return any(_path_matches(pattern, requested.path) for pattern in rule.get("nonResourceURLs", []))
    names = rule.get("resourceNames", [])
    return (
        _listed(rule.get("apiGroups", []), requested.group)
        and _resource_listed(rule.get("resources", []), requested.resource)
        and (not names or requested.name in names)
    )


def _listed(values: list[str], expected: str) -> bool:
    return "*" in values or expected in values


def _resource_listed(values: list[str], expected: str) -> bool:
    subresource = expected.partition("/")[2]
    return _listed(values, expected) or bool(subresource and f"*/{subresource}" in values)


def _path_matches(pattern: str, path: str) -> bool:
    return path.startswith(pattern[:-1]) if pattern.endswith("*") else path == pattern


def built_in() -> list[tuple[str, Object]]:
    """Return (resource, object) of the cluster roles and bindings that every cluster starts with."""
    everything = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
    reviews = [
        _create("authentication.k8s.io", "tokenreviews"),
        _create("authorization.k8s.io", "subjectaccessreviews"),
    ]
    own_reviews = [
        _create("authentication.k8s.io", "selfsubjectreviews"),
        _create("authorization.k8s.io", "selfsubjectaccessreviews"),
        _create("authorization.k8s.io", "selfsubjectrulesreviews"),
    ]
    roles = {
        "cluster-admin": ([everything, {"nonResourceURLs": ["*"], "verbs": ["*"]}], [MASTERS]),
        "system:auth-delegator": (reviews, []),
        "system:basic-user": (own_reviews, ["system:authenticated"]),
        "system:discovery": ([_get(_DISCOVERY + _PUBLIC)], ["system:authenticated"]),
        "system:public-info-viewer": ([_get(_PUBLIC)], ["system:authenticated", "system:unauthenticated"]),
        "system:service-account-issuer-discovery": ([_get(_OIDC)], ["system:serviceaccounts"]),
    }
    objects: list[tuple[str, Object]] = []
    for name, (rules, groups) in roles.items():
        objects.append(("clusterroles", {**_head("ClusterRole", name), "rules": rules}))
        if groups:
            objects.append(("clusterrolebindings", _binding(name, groups)))
    return objects


def _create(group: str, resource: str) -> Object:
    return {"apiGroups": [group], "resources": [resource], "verbs": ["create"]}


def _get(paths: list[str]) -> Object:
    return {"nonResourceURLs": paths, "verbs": ["get"]}


def _head(kind: str, name: str) -> Object:
    return {
        "apiVersion": f"{GROUP}/v1",
        "kind": kind,
        "metadata": {"name": name, "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"}},
    }


def _binding(name: str, groups: list[str]) -> Object:
    subjects = [{"kind": "Group", "apiGroup": GROUP, "name": group} for group in groups]
    role = {"apiGroup": GROUP, "kind": "ClusterRole", "name": name}
    return {**_head("ClusterRoleBinding", name), "roleRef": role, "subjects": subjects}
