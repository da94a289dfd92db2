"""The resources that this API serves: one line of data each, read by routes, discovery and RBAC.

Needed by every request: what has no line here is not found.
"""

from __future__ import annotations

from dataclasses import dataclass

READ = ("get", "list", "watch")
ALL = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")

RBAC, ADMISSION = "rbac.authorization.k8s.io", "admissionregistration.k8s.io"
_OPEN = "devcluster does not enforce this: its pods use the network of this machine"


@dataclass(frozen=True)
class Resource:
    """A kind of object: `plural` is its name in paths; `subresources` map a name to (kind, verbs)."""

    plural: str
    kind: str
    group: str = ""
    namespaced: bool = True
    verbs: tuple[str, ...] = ALL
    short_names: tuple[str, ...] = ()
    subresources: tuple[tuple[str, str, tuple[str, ...]], ...] = ()
    # What whoever writes one is warned of: it is kept and shown, and nothing comes of it.
    warning: str = ""

    @property
    def api_version(self) -> str:
        return f"{self.group}/v1" if self.group else "v1"


_POD_SUBRESOURCES = (
    ("eviction", "Eviction", ("create",)),
    ("exec", "PodExecOptions", ("create", "get")),
    ("log", "Pod", ("get",)),
)
_ACCOUNT_SUBRESOURCES = (("token", "TokenRequest", ("create",)),)


def _review(kind: str, group: str) -> Resource:
    return Resource(f"{kind.lower()}s", kind, f"{group}.k8s.io", namespaced=False, verbs=("create",))


RESOURCES = (
    Resource("configmaps", "ConfigMap", short_names=("cm",)),
    Resource("events", "Event", short_names=("ev",)),
    Resource("limitranges", "LimitRange", short_names=("limits",)),
    Resource("namespaces", "Namespace", namespaced=False, short_names=("ns",)),
    Resource("nodes", "Node", namespaced=False, verbs=READ, short_names=("no",)),
    Resource("persistentvolumeclaims", "PersistentVolumeClaim", short_names=("pvc",)),
    Resource("pods", "Pod", short_names=("po",), subresources=_POD_SUBRESOURCES),
    Resource("resourcequotas", "ResourceQuota", short_names=("quota",)),
    Resource("secrets", "Secret"),
    Resource("serviceaccounts", "ServiceAccount", short_names=("sa",), subresources=_ACCOUNT_SUBRESOURCES),
    Resource("clusterrolebindings", "ClusterRoleBinding", RBAC, namespaced=False),
    Resource("clusterroles", "ClusterRole", RBAC, namespaced=False),
    Resource("rolebindings", "RoleBinding", RBAC),
    Resource("roles", "Role", RBAC),
    Resource("validatingadmissionpolicies", "ValidatingAdmissionPolicy", ADMISSION, namespaced=False),
    Resource("validatingadmissionpolicybindings", "ValidatingAdmissionPolicyBinding", ADMISSION, namespaced=False),
    Resource("networkpolicies", "NetworkPolicy", "networking.k8s.io", short_names=("netpol",), warning=_OPEN),
    _review("TokenReview", "authentication"),
    _review("SelfSubjectReview", "authentication"),
    _review("SelfSubjectAccessReview", "authorization"),
    _review("SelfSubjectRulesReview", "authorization"),
    _review("SubjectAccessReview", "authorization"),
)

BY_NAME = {(resource.group, resource.plural): resource for resource in RESOURCES}
GROUPS = tuple(sorted({resource.group for resource in RESOURCES if resource.group}))
