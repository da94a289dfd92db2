"""What goes by itself, and when."""

from __future__ import annotations

from typing import Any

from tests.devcluster.conftest import Api, pod
from tests.devcluster.test_api_pods import eventually


def owned(name: str, *owners: dict[str, Any]) -> dict[str, Any]:
    references = [
        {"apiVersion": "v1", "kind": "Pod", "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"]}
        for owner in owners
    ]
    return {"metadata": {"name": name, "ownerReferences": references}}


def gone(api: Api, path: str, seconds: float = 1) -> bool:
    return bool(eventually(lambda: api.response("GET", path).status_code, lambda code: code == 404, seconds))


def test_a_secret_goes_with_the_pod_that_owns_it(api: Api, space: str) -> None:
    owner = api("POST", f"{space}/pods", pod())
    api("POST", f"{space}/secrets", owned("s", owner))

    api("DELETE", f"{space}/pods/a")

    assert gone(api, f"{space}/secrets/s")


def test_a_dependent_stays_while_one_of_its_owners_does(api: Api, space: str) -> None:
    owners = [api("POST", f"{space}/pods", pod(name)) for name in "ab"]
    api("POST", f"{space}/secrets", owned("s", *owners))

    api("DELETE", f"{space}/pods/a")

    read = lambda: api("GET", f"{space}/secrets/s")["metadata"]["ownerReferences"]  # noqa: E731
    left = eventually(read, lambda result: len(result) == 1)
    assert left[0]["name"] == "b"
    api("DELETE", f"{space}/pods/b")
    assert gone(api, f"{space}/secrets/s")


def test_an_owner_that_was_recreated_is_another_owner(api: Api, space: str) -> None:
    old = api("POST", f"{space}/pods", pod())
    api("DELETE", f"{space}/pods/a")
    api("POST", f"{space}/pods", pod())

    api("POST", f"{space}/secrets", owned("s", old))

    assert gone(api, f"{space}/secrets/s")


def test_to_let_dependents_outlive_their_owner_is_refused(api: Api, space: str) -> None:
    owner = api("POST", f"{space}/pods", pod())
    api("POST", f"{space}/secrets", owned("s", owner))

    refused = api.response("DELETE", f"{space}/pods/a", {"propagationPolicy": "Orphan"})

    assert refused.status_code == 422
    assert "devcluster supports Background alone" in refused.json()["message"]


def test_a_namespace_takes_all_it_holds_with_it(api: Api) -> None:
    space = "/api/v1/namespaces/short-lived"
    api("POST", "/api/v1/namespaces", {"metadata": {"name": "short-lived"}})
    api("POST", f"{space}/pods", pod())
    api("POST", f"{space}/secrets", {"metadata": {"name": "s"}})

    deleted = api("DELETE", space)

    assert deleted["status"]["phase"] == "Terminating"
    assert gone(api, space)
    everywhere = api("GET", "/api/v1/secrets")["items"] + api("GET", "/api/v1/pods")["items"]
    assert not [item for item in everywhere if item["metadata"]["namespace"] == "short-lived"]


def test_a_new_namespace_has_an_account_and_the_apis_ca(api: Api, space: str) -> None:
    assert api("GET", f"{space}/serviceaccounts/default")["metadata"]["name"] == "default"
    assert api("GET", f"{space}/configmaps/kube-root-ca.crt")["data"]["ca.crt"] == api.ca


def test_the_default_namespace_stays(api: Api) -> None:
    assert api.response("DELETE", "/api/v1/namespaces/default").status_code == 403
