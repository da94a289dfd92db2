"""Objects that are questions: TokenReview, the access reviews, and TokenRequest. Nothing is stored.

Needed by Vault's logins (TokenReview), delivery `secret` (TokenRequest) and doctor (the access reviews).
"""

from __future__ import annotations

from k8s_vault_devcluster import rbac
from k8s_vault_devcluster.api.context import Context, RequestInfo
from k8s_vault_devcluster.api.status import bad_request, conflict, invalid, invalid_value, not_found
from k8s_vault_devcluster.api.volume_rules import token_seconds
from k8s_vault_devcluster.store import NotFound, Object, now

_BINDABLE = {"Pod": "pods"}


def answer(context: Context, user: Object, question: Object) -> Object:
    """Return the review with its status filled in."""
    kind, spec = question["kind"], question.get("spec", {})
    if kind == "TokenReview":
        if not spec.get("token"):
            raise bad_request("token is required for TokenReview in authentication")
        status = context.tokens.review(spec["token"], spec.get("audiences", []))
    elif kind == "SelfSubjectReview":
        # As Kubernetes has it: of all reviews this one alone says when it was made.
        made = {"creationTimestamp": context.tokens.time()}
        return {**question, "metadata": made, "status": {"userInfo": user}}
    elif kind == "SelfSubjectRulesReview":
        status = _rules(context, user, spec.get("namespace", ""))
    else:
        subject = user if kind == "SelfSubjectAccessReview" else _subject(spec)
        status = {"allowed": rbac.allowed(context.store, subject, _attributes(kind, spec))}
    return {"metadata": {}, **question, "status": status}


def _rules(context: Context, user: Object, namespace: str) -> Object:
    if not namespace:
        raise bad_request("no namespace on request")
    rules = list(rbac.rules(context.store, user, namespace))
    paths = [rule for rule in rules if rule.get("nonResourceURLs")]
    return {
        "incomplete": False,
        "nonResourceRules": [_only(rule, "verbs", "nonResourceURLs") for rule in paths],
        "resourceRules": [
            _only(rule, "verbs", "apiGroups", "resources", "resourceNames") for rule in rules if rule not in paths
        ],
    }


def _only(rule: Object, *names: str) -> Object:
    return {name: rule[name] for name in names if rule.get(name)}


def _subject(spec: Object) -> Object:
    if not spec.get("user") and not spec.get("groups"):
        why = "at least one of user or group must be specified"
        raise invalid("SubjectAccessReview", "authorization.k8s.io", "", [invalid_value("spec.user", "", why)])
    return {"username": spec.get("user", ""), "groups": spec.get("groups", [])}


def _attributes(kind: str, spec: Object) -> rbac.Attributes:
    resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if (resource is None) == (path is None):
        why = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        raise invalid(kind, "authorization.k8s.io", "", [invalid_value("spec.resourceAttributes", None, why)])
    if resource is None:
        return rbac.Attributes((path or {}).get("verb", ""), path=(path or {}).get("path", ""))
    verb, group, *names, space, name = (
        resource.get(key, "") for key in ("verb", "group", "resource", "subresource", "namespace", "name")
    )
    return rbac.Attributes(verb, group, "/".join(filter(None, names)), space, name)


def request_token(context: Context, requested: RequestInfo, request: Object) -> Object:
    """Answer a TokenRequest for a service account.

    Raises ApiError: 404 for the account or the bound object, 409 where that has another uid, 400 where the
    pod runs as another account, 422 for the expiry.
    """
    spec = request.get("spec", {})
    seconds = spec.get("expirationSeconds", 3600)
    if causes := list(token_seconds(seconds, "spec.expirationSeconds")):
        raise invalid("TokenRequest", "authentication.k8s.io", "", causes)
    bound = spec.get("boundObjectRef")
    if bound:
        bound = {**bound, "uid": _bound_uid(context, requested, bound)}
    audiences = spec.get("audiences") or [context.tokens.issuer]
    try:
        token, expires = context.tokens.mint(requested.namespace, requested.name, audiences, seconds, bound)
    except NotFound:
        raise not_found("serviceaccounts", "", requested.name) from None
    return {
        "kind": "TokenRequest",
        "apiVersion": "authentication.k8s.io/v1",
        "metadata": {"name": requested.name, "namespace": requested.namespace, "creationTimestamp": now()},
        "spec": {**spec, "audiences": audiences, "expirationSeconds": seconds, "boundObjectRef": bound},
        "status": {"token": token, "expirationTimestamp": expires},
    }


def _bound_uid(context: Context, requested: RequestInfo, bound: Object) -> str:
    kind, name = bound.get("kind", ""), bound.get("name", "")
    if kind not in _BINDABLE or bound.get("apiVersion", "v1") != "v1":
        raise bad_request(f"cannot bind token to object of type {bound.get('apiVersion', '')}, Kind={kind}")
    try:
        result = context.store.get(_BINDABLE[kind], requested.namespace, name)
    except NotFound:
        raise not_found(_BINDABLE[kind], "", name) from None
    if kind == "Pod" and result["spec"]["serviceAccountName"] != requested.name:
        why = "to pod running with different serviceaccount name."
        raise bad_request(f'cannot bind token for serviceaccount "{requested.name}" {why}')
    uid = str(result["metadata"]["uid"])
    if bound.get("uid") not in (None, "", uid):
        why = (
            f"the UID in the bound object reference ({bound['uid']}) does not match the UID in record. "
            "The object might have been deleted and then recreated"
        )
        raise conflict(kind, "", name, why)
    return uid
