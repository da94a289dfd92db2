"""Who may ask for what, and what everyone else is told."""

from __future__ import annotations

import json
import ssl
import stat

import httpx
import pytest
from k8s_vault_devcluster.server import DevCluster

from tests.devcluster.conftest import Api

RBAC = "/apis/rbac.authorization.k8s.io/v1"


def token_of(api: Api, space: str, account: str = "default", **spec: object) -> str:
    answer = api("POST", f"{space}/serviceaccounts/{account}/token", {"spec": spec})
    return str(answer["status"]["token"])


def test_the_kubeconfig_is_its_owners_alone(devcluster: DevCluster) -> None:
    assert stat.S_IMODE(devcluster.kubeconfig.stat().st_mode) == 0o600


@pytest.mark.parametrize("token", [None, "wrong", "eyJhbGciOiJub25lIn0.e30."])
def test_a_request_without_a_valid_token_is_refused(api: Api, token: str | None) -> None:
    answer = api.as_user(token).response("GET", "/api/v1/pods")

    assert (answer.status_code, answer.json()["reason"]) == (401, "Unauthorized")


def test_strangers_learn_health_and_version_and_nothing_else(api: Api) -> None:
    stranger = api.as_user(None)

    assert stranger.response("GET", "/healthz").text == "ok"
    assert stranger("GET", "/version")["minor"] == "36"
    for path in ("/api", "/apis", "/openid/v1/jwks", "/nothing", "/api/v1/nothing"):
        assert stranger.response("GET", path).status_code == 401, path


def test_only_the_clusters_own_ca_vouches_for_the_api(devcluster: DevCluster) -> None:
    with pytest.raises(httpx.ConnectError, match="certificate verify failed"):
        httpx.get(f"{devcluster.address}/healthz", verify=ssl.create_default_context())


def test_a_service_account_may_do_nothing_until_a_role_says_so(api: Api, namespace: str, space: str) -> None:
    user = api.as_user(token_of(api, space))

    denied = user.response("GET", f"{space}/pods")

    name = f"system:serviceaccount:{namespace}:default"
    assert denied.status_code == 403
    assert denied.json()["message"] == (
        f'pods is forbidden: User "{name}" cannot list resource "pods" in API group "" '
        f'in the namespace "{namespace}"'
    )


def test_a_role_gives_what_it_lists_in_its_namespace_only(api: Api, namespace: str, space: str) -> None:
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}]
    rules.append({"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"], "resourceNames": ["mine"]})
    subject = {"kind": "ServiceAccount", "name": "default", "namespace": namespace}
    roles = f"{RBAC}/namespaces/{namespace}"
    api("POST", f"{roles}/roles", {"metadata": {"name": "reader"}, "rules": rules})
    binding = {"roleRef": {"kind": "Role", "name": "reader", "apiGroup": "rbac.authorization.k8s.io"}}
    api("POST", f"{roles}/rolebindings", {"metadata": {"name": "reader"}, **binding, "subjects": [subject]})
    user = api.as_user(token_of(api, space))

    codes = {
        path: user.response("GET", path).status_code
        for path in (
            f"{space}/pods",
            f"{space}/pods/a/log",
            f"{space}/secrets/mine",
            f"{space}/secrets/other",
            "/api/v1/pods",
            "/api/v1/namespaces/default/pods",
        )
    }

    assert list(codes.values()) == [200, 403, 404, 403, 403, 403]
    assert user.response("DELETE", f"{space}/pods/a").status_code == 403


def test_nobody_but_an_administrator_writes_roles(api: Api, namespace: str, space: str) -> None:
    subject = {"kind": "ServiceAccount", "name": "default", "namespace": namespace}
    roles = f"{RBAC}/namespaces/{namespace}"
    rule = {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles", "rolebindings"], "verbs": ["*"]}
    api("POST", f"{roles}/roles", {"metadata": {"name": "self"}, "rules": [rule]})
    bind = {"roleRef": {"kind": "Role", "name": "self", "apiGroup": "rbac.authorization.k8s.io"}}
    api("POST", f"{roles}/rolebindings", {"metadata": {"name": "self"}, **bind, "subjects": [subject]})
    user = api.as_user(token_of(api, space))

    role = user.response("POST", f"{roles}/roles", {"metadata": {"name": "more"}, "rules": [rule]})
    binding = user.response("POST", f"{roles}/rolebindings", {"metadata": {"name": "more"}, **bind})

    assert (role.status_code, binding.status_code) == (403, 403)
    assert 'roles.rbac.authorization.k8s.io "more" is forbidden: devcluster lets' in role.json()["message"]


def test_a_token_for_another_audience_is_no_api_credential(api: Api, space: str) -> None:
    user = api.as_user(token_of(api, space, audiences=["vault"]))

    assert user.response("GET", f"{space}/pods").status_code == 401


def test_self_subject_access_review_answers_as_rbac_would(api: Api, namespace: str, space: str) -> None:
    user = api.as_user(token_of(api, space))
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    spec = {"resourceAttributes": {"verb": "list", "resource": "pods", "namespace": namespace}}

    assert user("POST", path, {"spec": spec})["status"] == {"allowed": False}
    assert api("POST", path, {"spec": spec})["status"] == {"allowed": True}


def test_who_may_impersonate_asks_as_somebody_else_and_learns_all_that_they_may(
    api: Api, namespace: str, space: str
) -> None:
    name = f"system:serviceaccount:{namespace}:default"
    roles = f"{RBAC}/namespaces/{namespace}"
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}]
    binding = {"roleRef": {"kind": "Role", "name": "reader", "apiGroup": "rbac.authorization.k8s.io"}}
    subject = {"kind": "ServiceAccount", "name": "default", "namespace": namespace}
    api("POST", f"{roles}/roles", {"metadata": {"name": "reader"}, "rules": rules})
    api("POST", f"{roles}/rolebindings", {"metadata": {"name": "reader"}, **binding, "subjects": [subject]})
    stranger = api.as_user(token_of(api, space))
    path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
    content = json.dumps({"spec": {"namespace": namespace}})
    headers = {"Content-Type": "application/json", "Impersonate-User": name}

    learned = api.client.post(path, content=content, headers=headers).json()["status"]
    denied = stranger.client.post(path, content=content, headers={**headers, "Impersonate-User": "somebody"})
    unsupported = api.client.post(path, content=content, headers={**headers, "Impersonate-Uid": "1"})

    assert [rule for rule in learned["resourceRules"] if rule["apiGroups"] == [""]] == rules
    assert learned["incomplete"] is False
    assert denied.status_code == 403
    assert f'User "{name}" cannot impersonate resource "users"' in denied.json()["message"]
    assert unsupported.status_code == 400


@pytest.mark.parametrize(
    ("method", "path", "code", "reason"),
    [
        ("GET", "/api/v1/deployments", 404, "NotFound"),
        ("GET", "/apis/apps/v1/deployments", 404, "NotFound"),
        ("GET", "/api/v1/namespaces/default/pods/a/attach", 404, "NotFound"),
        ("PATCH", "/api/v1/namespaces/default/pods/a/status", 404, "NotFound"),
        ("POST", "/api/v1/nodes", 405, "MethodNotAllowed"),
        ("PUT", "/api/v1/namespaces/default/pods", 405, "MethodNotAllowed"),
        ("GET", "/api/v1/namespaces/default/pods/a/exec", 400, "BadRequest"),
    ],
)
def test_what_is_not_served_is_refused_with_a_status(
    api: Api, method: str, path: str, code: int, reason: str
) -> None:
    answer = api.response(method, path, {} if method != "GET" else None)

    assert (answer.status_code, answer.json()["kind"], answer.json()["reason"]) == (code, "Status", reason)


def test_a_body_that_is_no_json_is_a_bad_request(api: Api, space: str) -> None:
    answer = api.client.post(f"{space}/pods", content="{", headers={"Content-Type": "application/json"})
    other = api.client.post(
        f"{space}/pods", content="x", headers={"Content-Type": "application/vnd.kubernetes.protobuf"}
    )

    assert (answer.status_code, other.status_code) == (400, 415)
    assert json.loads(other.text)["reason"] == "UnsupportedMediaType"
    assert "kubectl create --raw" in json.loads(other.text)["message"]
