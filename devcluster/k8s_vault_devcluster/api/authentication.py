"""Who asks: the administrator of the kubeconfig, a service account, or nobody.

Needed by workers, triggerers and pods, which come with tokens of service accounts.
"""

from __future__ import annotations

import hmac

from k8s_vault_devcluster import rbac
from k8s_vault_devcluster.api.context import Context, RequestInfo
from k8s_vault_devcluster.api.status import ApiError, forbidden, unauthorized
from k8s_vault_devcluster.store import Object

_ADMIN: Object = {"username": "kubernetes-admin", "groups": [rbac.MASTERS, "system:authenticated"]}


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


def authorize(context: Context, user: Object, requested: RequestInfo, verb: str | None = None) -> None:
    """Raise ApiError 403 where RBAC does not allow it, 401 where nobody asks. `verb` overrides the request's."""
    attributes = requested.attributes()
    if verb:
        attributes = rbac.Attributes(verb, *list(vars(attributes).values())[1:])
    if rbac.allowed(context.store, user, attributes):
        return
    if user is rbac.ANONYMOUS:
        raise unauthorized()
    sentence = attributes.described(user["username"])
    if requested.resource is None:
        raise ApiError(403, "Forbidden", f"forbidden: {sentence}", details={})
    raise forbidden(requested.resource.plural, requested.resource.group, requested.name, sentence)
