"""The verbs on stored objects: get, list, create, update, patch, delete. Plain data in, plain data out.

Needed by every request: it is where rules, admission and the store come together.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping

from k8s_vault_devcluster import deletion, namespaces, rbac
from k8s_vault_devcluster.api import (
    admission,
    body,
    options,
    patches,
    pod_resources,
    policies,
    schema,
)
from k8s_vault_devcluster.api import apply as server_side
from k8s_vault_devcluster.api.authentication import authorize
from k8s_vault_devcluster.api.context import Context, RequestInfo
from k8s_vault_devcluster.api.defaults import default_pod
from k8s_vault_devcluster.api.resources import Resource
from k8s_vault_devcluster.api.status import (
    ApiError,
    already_exists,
    bad_request,
    conflict,
    forbidden,
    invalid,
    not_found,
    success,
)
from k8s_vault_devcluster.api.strategies import strategy_of
from k8s_vault_devcluster.store import AlreadyExists, NotFound, Object, Objects, Store, copied, now

_MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"
_FIXED_META = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation")
_PROTECTED_NAMESPACES = ("default", "kube-system", "kube-public")
# Kubernetes answers the deletion of these with the object, and of all others with a Status.
_RETURNED_WHEN_DELETED = ("pods", "serviceaccounts")


def space_of(requested: RequestInfo) -> str:
    return requested.namespace if requested.target.namespaced else ""


def read(store: Store, requested: RequestInfo) -> Object:
    """Return one object; raise ApiError 404."""
    resource = requested.target
    try:
        obj = store.get(resource.plural, space_of(requested), requested.name)
        return pod_resources.with_status(store, obj) if resource.plural == "resourcequotas" else obj
    except NotFound:
        raise not_found(resource.plural, resource.group, requested.name) from None


def create(context: Context, requested: RequestInfo, obj: Object, query: Mapping[str, str]) -> Object:
    """Default, admit, check and store a new object."""
    resource, dry = requested.target, options.dry_run(query, "CreateOptions")
    if obj.get("metadata", {}).get("resourceVersion"):
        raise bad_request("resourceVersion should not be set on objects to be created")
    body.place(obj, requested)
    meta = obj["metadata"]
    if not meta.get("name") and meta.get("generateName"):
        meta["name"] = admission.generated(meta["generateName"])
    try:
        return _created(context, requested, schema.without_nulls(obj), dry)
    except AlreadyExists:
        raise already_exists(resource.plural, resource.group, meta["name"]) from None


def _created(context: Context, requested: RequestInfo, obj: Object, dry: bool) -> Object:
    store, resource = context.store, requested.target
    if resource.namespaced:
        admission.check_namespace(store, resource.plural, resource.group, obj)
    if "name" in obj["metadata"]:
        strategy_of(resource.plural).prepare(obj)
    if resource.plural == "pods":
        admission.mutate_pod(store, obj)
    causes = body.causes_of(obj, resource)
    if causes:
        raise invalid(resource.kind, resource.group, obj["metadata"].get("name", ""), causes)
    _admit(store, requested, obj)
    if dry:
        return _as_if_stored(store, resource, obj)
    created = store.create(resource.plural, obj)
    if resource.plural == "namespaces":
        namespaces.furnish(store, created["metadata"]["name"], context.ca)
    return created


def _admit(store: Store, requested: RequestInfo, obj: Object, old: Object | None = None) -> None:
    if requested.target.plural == "pods" and old is None:
        admission.check_pod(store, obj)
    if requested.target.plural == "namespaces":
        admission.check_level(obj)
    if requested.target.group == rbac.GROUP and rbac.MASTERS not in requested.user.get("groups", []):
        # Kubernetes lets who holds all rights of a role give it away. Nobody here needs that.
        why = f"devcluster lets {rbac.MASTERS} alone write roles and bindings"
        raise forbidden(requested.target.plural, rbac.GROUP, obj["metadata"]["name"], why)
    policies.admit(store, requested, "UPDATE" if old else "CREATE", obj, old)


def _as_if_stored(store: Store, resource: Resource, obj: Object) -> Object:
    meta = obj["metadata"]
    try:
        store.get(resource.plural, meta.get("namespace", ""), meta["name"])
    except NotFound:
        return {**obj, "metadata": {**meta, "uid": str(uuid.uuid4()), "creationTimestamp": now()}}
    raise AlreadyExists(meta["name"])


def update(context: Context, requested: RequestInfo, obj: Object, query: Mapping[str, str]) -> Object:
    """Check and store a new state of an object."""
    resource, dry = requested.target, options.dry_run(query, "UpdateOptions")
    old = read(context.store, requested)
    new = _merged_with_old(requested, obj, old)
    strategy = strategy_of(resource.plural)
    if resource.plural == "pods":
        default_pod(new)
        is_new = new["spec"] != old["spec"]
        new["metadata"]["generation"] = old["metadata"].get("generation", 1) + is_new
    else:
        kept: Object = {key: new[key] for key in ("spec", "status") if key in new}
        strategy.prepare(new)
        new |= kept
    causes = strategy.check_update(new, old) or body.causes_of(new, resource)
    if causes:
        raise invalid(resource.kind, resource.group, requested.name, causes)
    _admit(context.store, requested, new, old)
    return _replaced(context.store, resource, new, dry)


def _merged_with_old(requested: RequestInfo, obj: Object, old: Object) -> Object:
    """The state sent, with everything from the old state that this request may not change."""
    meta = obj.setdefault("metadata", {})
    name = meta.setdefault("name", requested.name)
    if name != requested.name:
        raise bad_request(f"the name of the object ({name}) does not match the name on the URL ({requested.name})")
    if requested.target.namespaced and meta.setdefault("namespace", requested.namespace) != requested.namespace:
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
    sent_uid = meta.get("uid")
    if sent_uid and sent_uid != old["metadata"]["uid"]:
        why = f"Precondition failed: UID in precondition: {sent_uid}, UID in object meta: {old['metadata']['uid']}"
        raise conflict(requested.target.plural, requested.target.group, requested.name, why)
    for field in (*_FIXED_META, "managedFields"):
        meta.pop(field, None)
    meta |= {field: old["metadata"][field] for field in _FIXED_META if field in old["metadata"]}
    fixed = ("spec", "status") if requested.target.plural == "namespaces" else ("status",)
    return {**obj, **{field: old[field] for field in fixed if field in old}}


def _replaced(store: Store, resource: Resource, obj: Object, dry: bool) -> Object:
    meta = obj["metadata"]
    current = store.get(resource.plural, meta.get("namespace", ""), meta["name"])
    sent = meta.get("resourceVersion")
    if sent and sent != current["metadata"]["resourceVersion"]:
        raise conflict(resource.plural, resource.group, meta["name"], _MODIFIED)
    if dry:
        return {**obj, "metadata": {**meta, "resourceVersion": current["metadata"]["resourceVersion"]}}
    return store.replace(resource.plural, obj)


def patch(
    context: Context, requested: RequestInfo, content_type: str, change: object, query: Mapping[str, str]
) -> Object:
    """Apply a patch to the newest state, and update with it."""
    resource = requested.target
    old = read(context.store, requested)
    patched = patches.apply(content_type, old, change)
    if not isinstance(patched, dict):
        raise bad_request(f"the patch makes no {resource.kind} of it")
    patched = body.checked(schema.without_nulls(patched), resource.api_version, resource.kind)
    if patched.get("metadata", {}).get("resourceVersion") == "":
        del patched["metadata"]["resourceVersion"]
    return update(context, requested, patched, query)


def apply(context: Context, requested: RequestInfo, sent: object, query: Mapping[str, str]) -> tuple[int, Object]:
    """Apply what one manager wants of an object, which is made where there is none; return (status, object)."""
    manager, new = server_side.manager_of(query), server_side.requested_of(sent)
    version, kind = requested.target.api_version, requested.target.kind
    new = body.checked(schema.without_nulls(new), version, kind)
    if new.setdefault("metadata", {}).setdefault("name", requested.name) != requested.name:
        raise bad_request("the name of the object does not match the name on the URL")
    try:
        live = read(context.store, requested)
    except ApiError:
        authorize(context, requested.user, requested, verb="create")
        status, obj = 201, create(context, requested, copied(new), query)
    else:
        last = context.applied.get((live["metadata"]["uid"], manager), {})
        patched = server_side.merged(live, last, copied(new), query)
        status, obj = 200, update(context, requested, body.checked(patched, version, kind), query)
    if not options.dry_run(query, "PatchOptions"):
        context.applied[obj["metadata"]["uid"], manager] = new
    return status, obj


def delete(context: Context, requested: RequestInfo, how: options.DeleteOptions) -> Object:
    """Delete one object; return what answers it."""
    resource, store = requested.target, context.store
    obj = read(store, requested)
    meta = obj["metadata"]
    for name, words in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
        expected = how.preconditions.get(name, meta[name])
        if expected != meta[name]:
            why = f"Precondition failed: {words} in precondition: {expected}, {words} in object meta: {meta[name]}"
            raise conflict(resource.plural, resource.group, meta["name"], why)
    if resource.plural == "namespaces" and requested.name in _PROTECTED_NAMESPACES:
        raise forbidden("namespaces", "", requested.name, "this namespace may not be deleted")
    if how.dry_run:
        return obj
    deleted = deletion.delete(store, resource.plural, obj, how.grace_seconds)
    if deleted.gone and resource.plural not in _RETURNED_WHEN_DELETED:
        return success(requested.name, resource.group, resource.plural, meta["uid"])
    return deleted.obj


def delete_collection(
    context: Context, requested: RequestInfo, how: options.DeleteOptions, query: Mapping[str, str]
) -> Objects:
    """Delete all that the query selects; return their last states."""
    result = options.listed(context.store, requested, query)
    for obj in [] if how.dry_run else result:
        deletion.delete(context.store, requested.target.plural, obj, how.grace_seconds)
    return result
