"""Who a request comes from, and whom it is made as: `kubectl --as`, by the header Impersonate-User.

https://kubernetes.io/docs/reference/access-authn-authz/authentication/#user-impersonation

Needed by workers, triggerers and pods, which come with tokens, and by doctor, which asks as Airflow's worker.
"""

from __future__ import annotations

import hmac

from starlette.datastructures import Headers

from k8s_vault_devcluster import rbac
from k8s_vault_devcluster.api.context import Context, RequestInfo
from k8s_vault_devcluster.api.status import ApiError, bad_request, forbidden, unauthorized
from k8s_vault_devcluster.store import Object

_ADMIN: Object = {"username": "kubernetes-admin", "groups": [rbac.MASTERS, "system:authenticated"]}
_PREFIX, _ACCOUNT = "impersonate-", "system:serviceaccount:"
_USER = f"{_PREFIX}user"


def authenticate(context: Context, authorization: str) -> Object:
    """Return the user of an Authorization header; raise ApiError 401 for a token that is not valid."""
    if not authorization:
        return rbac.ANONYMOUS
    scheme, _, token = authorization.partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise unauthorized()
    if hmac.compare_digest(token.encode(), context.admin_token.encode()):
        return _ADMIN
    status = context.tokens.review(token, [])
    if not status.get("authenticated"):
        raise unauthorized()
    return dict(status["user"])


def impersonated(context: Context, user: Object, headers: Headers) -> Object:
    """Return the user that the headers name, or `user` where they name none; raise ApiError 400 or 403."""
    if others := sorted({name for name in headers if name.startswith(_PREFIX)} - {_USER}):
        raise bad_request(f"devcluster does not support the header {others[0]}")
    name = headers.get(_USER, "")
    if not name:
        return user
    is_account = name.startswith(_ACCOUNT) and name.count(":") == 3
    space, account = name.split(":")[2:] if is_account else ("", name)
    kind = "serviceaccounts" if is_account else "users"
    requested = rbac.Attributes("impersonate", "", kind, space, account)
    if not rbac.allowed(context.store, user, requested):
        raise forbidden(kind, "", account, requested.described(user["username"]))
    groups = ["system:serviceaccounts", f"system:serviceaccounts:{space}"] if is_account else []
    return {"username": name, "groups": [*groups, "system:authenticated"]}


def authorize(context: Context, user: Object, requested: RequestInfo, verb: str | None = None) -> None:
    """Raise ApiError 403 where RBAC does not allow it, 401 where nobody asks. `verb` overrides the request's."""
    attributes = requested.attributes(verb)
    if rbac.allowed(context.store, user, attributes):
        return
    if user is rbac.ANONYMOUS:
        raise unauthorized()
    sentence = attributes.described(user["username"])
    if requested.resource is None:
        raise ApiError(403, "Forbidden", f"forbidden: {sentence}", details={})
    raise forbidden(requested.resource.plural, requested.resource.group, requested.name, sentence)
