"""What clients read first: versions, groups, and the resources of each group.

Needed by kubectl, which starts with it, and doctor, which asks for the version.
"""

from __future__ import annotations

import platform
from functools import cache
from typing import Any

from k8s_vault_devcluster.api.resources import GROUPS, RESOURCES, Resource
from k8s_vault_devcluster.node import ARCHITECTURE, KUBERNETES_VERSION
from k8s_vault_devcluster.store import Object

# Of what is sent to a subresource.
_GROUPS_OF_KINDS = {"Eviction": "policy", "TokenRequest": "authentication.k8s.io"}


@cache
def documents() -> dict[str, Object]:
    """Return what is at each path, for all alike."""
    whole = {"/version": version(), "/apis": groups(), "/openapi/v3": openapi_index()}
    for name in ("", *GROUPS):
        path = f"/apis/{name}/v1" if name else "/api/v1"
        whole |= {path: resource_list(name), f"/openapi/v3{path}": openapi(name)}
    return whole | {f"/apis/{name}": group(name) for name in GROUPS}


def version() -> Object:
    major, minor, _ = KUBERNETES_VERSION.removeprefix("v").split(".")
    return {
        "major": major,
        "minor": minor,
        "gitVersion": f"{KUBERNETES_VERSION}+devcluster",
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": f"CPython {platform.python_version()}",
        "platform": f"linux/{ARCHITECTURE}",
    }


def versions(address: str) -> Object:
    """The answer of /api."""
    by_client = [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}]
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": by_client}


def group(name: str) -> Object:
    """The answer of /apis/<group>."""
    preferred = {"groupVersion": f"{name}/v1", "version": "v1"}
    versions = {"versions": [preferred], "preferredVersion": preferred}
    return {"kind": "APIGroup", "apiVersion": "v1", "name": name, **versions}


def groups() -> Object:
    """The answer of /apis."""
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [group(name) for name in GROUPS]}


def resource_list(name: str) -> Object:
    """The answer of /api/v1 (`name` "") and /apis/<group>/v1."""
    served = [resource for resource in RESOURCES if resource.group == name]
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": f"{name}/v1" if name else "v1",
        "resources": [entry for resource in served for entry in _entries(resource)],
    }


def openapi_index() -> Object:
    """The answer of /openapi/v3: where each group's document is."""
    paths = ["api/v1", *(f"apis/{name}/v1" for name in GROUPS)]
    return {"paths": {path: {"serverRelativeURL": f"/openapi/v3/{path}"} for path in paths}}


def openapi(name: str) -> Object:
    """Just enough OpenAPI for kubectl to learn that the server itself checks unknown fields.

    Without it `kubectl apply` and `create` refuse to start. Schemas stay out: kubectl then uses its own.
    """
    base = f"/apis/{name}/v1" if name else "/api/v1"
    return {
        "openapi": "3.0.0",
        "info": {"title": "devcluster", "version": KUBERNETES_VERSION},
        "paths": {
            f"{base}/{resource.plural}/{{name}}": {"patch": _operation(resource)}
            for resource in RESOURCES
            if resource.group == name
        },
    }


def _operation(resource: Resource) -> dict[str, Any]:
    kind = {"group": resource.group, "version": "v1", "kind": resource.kind}
    parameters = [
        {"name": name, "in": "query", "schema": {"type": "string"}} for name in ("dryRun", "fieldValidation")
    ]
    return {"parameters": parameters, "responses": {}, "x-kubernetes-group-version-kind": kind}


def _entries(resource: Resource) -> list[Object]:
    names = [(resource.plural, resource.kind, resource.verbs)]
    names += [(f"{resource.plural}/{name}", kind, verbs) for name, kind, verbs in resource.subresources]
    entries: list[Object] = [
        {"name": name, "singularName": "", "namespaced": resource.namespaced, "kind": kind, "verbs": list(verbs)}
        for name, kind, verbs in names
    ]
    entries[0] |= {"singularName": resource.kind.lower(), "shortNames": list(resource.short_names)}
    for entry in entries:
        if group := _GROUPS_OF_KINDS.get(entry["kind"]):
            entry |= {"group": group, "version": "v1"}
    return entries
