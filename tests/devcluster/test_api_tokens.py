"""Service-account tokens: asked for, published, reviewed, and ended with what they are bound to."""

from __future__ import annotations

import datetime
from typing import Any

import jwt
import pytest

from tests.devcluster.conftest import Api, pod

REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"


def request(api: Api, space: str, **spec: Any) -> Any:
    return api("POST", f"{space}/serviceaccounts/default/token", {"spec": spec})


def review(api: Api, token: str, *audiences: str) -> Any:
    return api("POST", REVIEWS, {"spec": {"token": token, "audiences": list(audiences)}})["status"]


def bound_to(pod: dict[str, Any]) -> dict[str, Any]:
    meta = pod["metadata"]
    return {"kind": "Pod", "apiVersion": "v1", "name": meta["name"], "uid": meta["uid"]}


def test_a_token_carries_the_claims_that_kubernetes_sets(api: Api, namespace: str, space: str) -> None:
    held = api("POST", f"{space}/pods", pod())
    account = api("GET", f"{space}/serviceaccounts/default")

    answer = request(api, space, audiences=["vault"], expirationSeconds=600, boundObjectRef=bound_to(held))

    keys = jwt.PyJWKSet.from_dict(api("GET", "/openid/v1/jwks"))
    token = answer["status"]["token"]
    key = keys[jwt.get_unverified_header(token)["kid"]]
    claims = jwt.decode(token, key, audience="vault", algorithms=["RS256"])
    assert claims["sub"] == f"system:serviceaccount:{namespace}:default"
    assert claims["exp"] - claims["iat"] == 600
    assert claims["kubernetes.io"] == {
        "namespace": namespace,
        "pod": {"name": "a", "uid": held["metadata"]["uid"]},
        "serviceaccount": {"name": "default", "uid": account["metadata"]["uid"]},
    }
    expires = datetime.datetime.fromisoformat(answer["status"]["expirationTimestamp"].replace("Z", "+00:00"))
    assert expires.timestamp() == claims["exp"]


def test_the_oidc_document_leads_to_the_keys(api: Api) -> None:
    document = api("GET", "/.well-known/openid-configuration")

    assert document["issuer"] == str(api.client.base_url).rstrip("/")
    assert document["jwks_uri"] == f"{document['issuer']}/openid/v1/jwks"


def test_a_review_names_the_user_and_the_audience_they_share(api: Api, namespace: str, space: str) -> None:
    token = request(api, space, audiences=["vault", "other"])["status"]["token"]

    status = review(api, token, "vault", "third")

    assert status["authenticated"] is True
    assert status["audiences"] == ["vault"]
    assert status["user"]["username"] == f"system:serviceaccount:{namespace}:default"
    assert f"system:serviceaccounts:{namespace}" in status["user"]["groups"]


def test_a_token_for_another_audience_is_not_authenticated(api: Api, space: str) -> None:
    token = request(api, space, audiences=["vault"])["status"]["token"]

    status = review(api, token)

    assert "authenticated" not in status
    assert 'token audiences ["vault"] is invalid for the target audiences' in status["error"]


def test_a_token_ends_with_the_pod_it_is_bound_to(api: Api, space: str) -> None:
    held = api("POST", f"{space}/pods", pod())
    token = request(api, space, audiences=["vault"], boundObjectRef=bound_to(held))["status"]["token"]
    before = review(api, token, "vault")

    api("DELETE", f"{space}/pods/a")
    api("POST", f"{space}/pods", pod())

    assert before["user"]["extra"]["authentication.kubernetes.io/pod-name"] == ["a"]
    assert review(api, token, "vault")["error"] == (
        "[invalid bearer token, service account token has been invalidated]"
    )


def test_a_token_ends_with_its_service_account(api: Api, space: str) -> None:
    token = request(api, space)["status"]["token"]

    api("DELETE", f"{space}/serviceaccounts/default")

    assert "authenticated" not in review(api, token)
    assert api.as_user(token).response("GET", f"{space}/pods").status_code == 401


@pytest.mark.parametrize(
    ("spec", "code", "reason"),
    [
        ({"expirationSeconds": 599}, 422, "may not specify a duration less than 10 minutes"),
        ({"expirationSeconds": 2**32 + 1}, 422, "may not specify a duration larger than 2^32 seconds"),
        ({"boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "no"}}, 404, 'pods "no" not found'),
        ({"boundObjectRef": {"kind": "ConfigMap", "apiVersion": "v1", "name": "x"}}, 400, "cannot bind token to"),
        ({"boundObjectRef": {"kind": "Secret", "apiVersion": "v1", "name": "x"}}, 400, "of type v1, Kind=Secret"),
        (
            {"boundObjectRef": {"kind": "Pod", "name": "a", "uid": "other"}},
            409,
            "does not match the UID in record",
        ),
    ],
)
def test_a_token_request_that_cannot_be_met_says_why(
    api: Api, space: str, spec: dict[str, Any], code: int, reason: str
) -> None:
    api("POST", f"{space}/pods", pod())

    answer = api.response("POST", f"{space}/serviceaccounts/default/token", {"spec": spec})

    assert answer.status_code == code
    assert reason in answer.json()["message"]


def test_a_token_is_not_bound_to_a_pod_of_another_account(api: Api, space: str) -> None:
    api("POST", f"{space}/serviceaccounts", {"metadata": {"name": "other"}})
    held = api("POST", f"{space}/pods", pod(serviceAccountName="other"))

    answer = request(api, space, boundObjectRef=bound_to(held))

    assert answer["message"] == (
        'cannot bind token for serviceaccount "default" to pod running with different serviceaccount name.'
    )
