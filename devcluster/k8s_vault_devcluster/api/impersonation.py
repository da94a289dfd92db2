"""Who a request is made as: `kubectl --as`, by the headers Impersonate-User and Impersonate-Group.

https://kubernetes.io/docs/reference/access-authn-authz/authentication/#user-impersonation

Needed by doctor, which asks as Airflow's worker, and by `kubectl --as`.
"""

from __future__ import annotations

from starlette.datastructures import Headers

from k8s_vault_devcluster import rbac
from k8s_vault_devcluster.api.context import Context
from k8s_vault_devcluster.api.status import ApiError, bad_request, forbidden
from k8s_vault_devcluster.store import Object

_PREFIX, _ACCOUNT = "impersonate-", "system:serviceaccount:"
_USER, _GROUP = f"{_PREFIX}user", f"{_PREFIX}group"


def impersonated(context: Context, user: Object, headers: Headers) -> Object:
    """Return the user that the headers name, or `user` where they name none.

    Raises ApiError 403 where `user` may not impersonate, 500 (as Kubernetes does) for groups without a user.
    """
    if others := sorted({name for name in headers if name.startswith(_PREFIX)} - {_USER, _GROUP}):
        raise bad_request(f"devcluster does not support the header {others[0]}")
    name, groups = headers.get(_USER, ""), headers.getlist(_GROUP)
    if not name:
        if groups:
            raise ApiError(500, "InternalError", f"requested {groups} without impersonating a user")
        return user
    _authorize(context, user, name)
    for group in groups:
        _allow(context, user, rbac.Attributes("impersonate", "", "groups", "", group))
    return {"username": name, "groups": [*(groups or _groups_of(name)), "system:authenticated"]}


def _authorize(context: Context, user: Object, name: str) -> None:
    if name.startswith(_ACCOUNT) and name.count(":") == 3:
        namespace, account = name.split(":")[2:]
        _allow(context, user, rbac.Attributes("impersonate", "", "serviceaccounts", namespace, account))
        return
    _allow(context, user, rbac.Attributes("impersonate", "", "users", "", name))


def _allow(context: Context, user: Object, requested: rbac.Attributes) -> None:
    if not rbac.allowed(context.store, user, requested):
        raise forbidden(requested.resource, "", requested.name, requested.described(user["username"]))


def _groups_of(name: str) -> list[str]:
    if not name.startswith(_ACCOUNT):
        return []
    return ["system:serviceaccounts", f"system:serviceaccounts:{name.split(':')[2]}"]
