"""What every request handler needs, and what a request asks for.

Needed by every request: the path and the verb are what rights are about.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from k8s_vault_devcluster.api.resources import BY_NAME, Resource
from k8s_vault_devcluster.api.status import ApiError, method_not_allowed, no_such_path
from k8s_vault_devcluster.kubelet import Kubelet
from k8s_vault_devcluster.rbac import Attributes
from k8s_vault_devcluster.store import Object, Store
from k8s_vault_devcluster.tokens import Tokens

_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete", "GET": "get", "HEAD": "get"}


@dataclass(frozen=True)
class Context:
    """The parts of the cluster. `address` is the API's URL, `ca` the PEM text of its CA."""

    store: Store
    tokens: Tokens
    kubelet: Kubelet
    address: str
    ca: str
    admin_token: str
    # What was applied last (see apply.py), by the object's uid and the manager.
    applied: dict[tuple[str, str], Object] = field(default_factory=dict)


@dataclass(frozen=True)
class RequestInfo:
    """What a request asks for: Kubernetes' RequestInfo, and who asks.

    `resource` is None for paths that name none.
    """

    verb: str
    path: str
    resource: Resource | None = None
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    user: Object = field(default_factory=dict)

    @property
    def target(self) -> Resource:
        """The resource of a request that has one."""
        if self.resource is None:
            raise no_such_path()
        return self.resource

    @property
    def kind(self) -> str:
        """The plural, and the subresource where there is one: "pods/exec"."""
        return f"{self.target.plural}/{self.subresource}" if self.subresource else self.target.plural

    def attributes(self, verb: str | None = None) -> Attributes:
        """What RBAC is asked about; `verb` overrides the request's."""
        if self.resource is None:
            return Attributes(verb or self.verb, path=self.path)
        return Attributes(verb or self.verb, self.resource.group, self.kind, self.namespace, self.name)


def parse(method: str, path: str, query: Mapping[str, str]) -> RequestInfo:
    """Return what a request asks for; raise ApiError 404 for resources that are not served, 405 for verbs."""
    if method not in _VERBS:
        raise method_not_allowed()
    parts = path.strip("/").split("/")
    if parts[:2] == ["api", "v1"] and len(parts) > 2:
        requested = _resource_path("", parts[2:], _VERBS[method], path)
    elif parts[0] == "apis" and len(parts) > 3 and parts[2] == "v1":
        requested = _resource_path(parts[1], parts[3:], _VERBS[method], path)
    else:
        return RequestInfo(method.lower() if method != "HEAD" else "get", path)
    return _with_collection_verb(requested, query)


def _resource_path(group: str, parts: list[str], verb: str, path: str) -> RequestInfo:
    namespace = ""
    if parts[0] == "namespaces" and len(parts) > 2 and parts[2] not in ("status", "finalize"):
        namespace, parts = parts[1], parts[2:]
    resource = BY_NAME.get((group, parts[0]))
    name, subresource = [*parts[1:3], "", ""][:2]
    known = {each for each, _, _ in resource.subresources} if resource else set()
    misplaced = resource is not None and bool(namespace) > resource.namespaced
    if resource is None or misplaced or len(parts) > 3 or (subresource and subresource not in known):
        raise no_such_path()
    if resource.namespaced and name and not namespace:
        raise no_such_path()
    return RequestInfo(
        verb, path, resource, namespace or (name if parts[0] == "namespaces" else ""), name, subresource
    )


def _with_collection_verb(requested: RequestInfo, query: Mapping[str, str]) -> RequestInfo:
    """Of "get" and "delete" make "list", "watch" and "deletecollection" where that is what they are."""
    verb, selector = requested.verb, query.get("fieldSelector", "")
    if verb == "delete" and not requested.name:
        verb = "deletecollection"
    elif verb == "get" and flag(query, "watch"):
        verb = "watch"
    elif verb == "get" and not requested.name:
        verb = "list"
    requested = replace(requested, verb=verb)
    _check_served(requested)
    if verb in ("list", "watch") and selector.startswith("metadata.name=") and "," not in selector:
        # So that a role with resourceNames may watch its one object, as in Kubernetes.
        requested = replace(requested, name=requested.name or selector.partition("=")[2])
    return requested


def _check_served(requested: RequestInfo) -> None:
    served = requested.target.verbs
    if requested.subresource:
        served = next(verbs for name, _, verbs in requested.target.subresources if name == requested.subresource)
    elif bool(requested.name) == (requested.verb == "create") and requested.verb in ("create", "update", "patch"):
        raise method_not_allowed()
    if requested.verb not in served and not (requested.subresource and requested.verb == "watch"):
        raise method_not_allowed()


def flag(query: Mapping[str, str], name: str) -> bool:
    return query.get(name, "").lower() in ("1", "true")


def number(query: Mapping[str, str], name: str) -> int | None:
    """Return an integer parameter; None where it is not there; raise ApiError 400."""
    text = query.get(name, "")
    if not text:
        return None
    if not re.fullmatch("-?[0-9]{1,18}", text):
        raise ApiError(400, "BadRequest", f'strconv.ParseInt: parsing "{text}": invalid syntax ({name})')
    return int(text)
