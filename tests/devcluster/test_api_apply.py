"""Server-side apply: what a manager no longer says goes, and what others said stays."""

from __future__ import annotations

from typing import Any

import pytest

from tests.devcluster.conftest import Api, pod

APPLY, MERGE = "application/apply-patch+yaml", "application/merge-patch+json"


def config_map(**data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data}


def apply(api: Api, path: str, body: Any, manager: str = "me", **query: str) -> Any:
    return api.response("PATCH", path, body, kind=APPLY, fieldManager=manager, **query)


def test_what_is_applied_is_made_and_then_changed_and_what_is_left_out_goes(api: Api, space: str) -> None:
    path = f"{space}/configmaps/a"

    statuses = [apply(api, path, config_map(**data)).status_code for data in ({"x": "1", "y": "1"}, {"x": "2"})]

    assert statuses == [201, 200]
    assert api("GET", path)["data"] == {"x": "2"}


def test_the_same_again_changes_nothing(api: Api, space: str) -> None:
    path = f"{space}/rolebindings".replace("/api/v1", "/apis/rbac.authorization.k8s.io/v1") + "/a"
    subject = {"kind": "ServiceAccount", "name": "default", "namespace": "default"}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
    head = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "a"}}
    body = {**head, "subjects": [subject, {"kind": "User", "name": "joe"}], "roleRef": reference}

    versions = [apply(api, path, body).json()["metadata"]["resourceVersion"] for _ in range(2)]

    assert versions[0] == versions[1]


def test_what_others_set_stays_and_can_be_taken_by_force_alone(api: Api, space: str) -> None:
    path = f"{space}/configmaps/a"
    apply(api, path, config_map(x="1"))
    api("PATCH", path, {"data": {"y": "theirs"}}, kind=MERGE)

    kept = apply(api, path, config_map(x="2")).json()["data"]
    refused = apply(api, path, config_map(x="2", y="mine"))
    forced = apply(api, path, config_map(x="2", y="mine"), force="true").json()["data"]

    assert kept == {"x": "2", "y": "theirs"}
    assert (refused.status_code, refused.json()["details"]["causes"][0]["field"]) == (409, ".data.y")
    assert forced == {"x": "2", "y": "mine"}


def test_another_manager_takes_away_only_what_it_applied_itself(api: Api, space: str) -> None:
    path = f"{space}/configmaps/a"
    apply(api, path, config_map(x="1"))
    apply(api, path, config_map(y="2"), manager="other")

    apply(api, path, config_map(), manager="other")

    assert api("GET", path)["data"] == {"x": "1"}


def test_items_of_lists_are_told_apart_by_their_key(api: Api, space: str) -> None:
    secrets = {"secrets": [{"name": "a"}, {"name": "b"}]}
    body = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "a"}}
    path = f"{space}/serviceaccounts/a"
    apply(api, path, {**body, **secrets})
    apply(api, path, {**body, "secrets": [{"name": "c"}]}, manager="other")

    apply(api, path, {**body, "secrets": [{"name": "b"}]})

    assert [item["name"] for item in api("GET", path)["secrets"]] == ["b", "c"]


def test_a_pod_that_is_applied_is_held_to_what_a_created_one_is(api: Api, space: str) -> None:
    body = {"apiVersion": "v1", "kind": "Pod", **pod(hostNetwork=True)}

    refused = apply(api, f"{space}/pods/a", body)

    assert 422 == refused.status_code
    assert ["spec.hostNetwork"] == [cause["field"] for cause in refused.json()["details"]["causes"]]


@pytest.mark.parametrize(
    ("body", "manager", "status"),
    [
        (config_map(), "", 422),
        ({**config_map(), "apiVersion": ""}, "me", 400),
        ({**config_map(), "metadata": {"name": "b"}}, "me", 400),
        ({**config_map(), "metadata": {"name": "a", "managedFields": [{"manager": "me"}]}}, "me", 400),
        ({**config_map(), "datas": {}}, "me", 400),
        ([], "me", 400),
    ],
)
def test_what_cannot_be_applied_is_refused(api: Api, space: str, body: Any, manager: str, status: int) -> None:
    assert apply(api, f"{space}/configmaps/a", body, manager=manager).status_code == status


def test_a_dry_run_is_forgotten(api: Api, space: str) -> None:
    path = f"{space}/configmaps/a"
    apply(api, path, config_map(x="1"))

    tried = apply(api, path, config_map(y="1"), dryRun="All").json()["data"]

    assert tried == {"y": "1"}
    assert api("GET", path)["data"] == {"x": "1"}


@pytest.mark.parametrize(
    "text", ["apiVersion: v1\nkind: ConfigMap", "a: [", "[" * 10_000], ids=["an object", "a list", "a deep list"]
)
def test_of_yaml_json_alone_is_read(api: Api, space: str, text: str) -> None:
    headers = {"Content-Type": APPLY}

    answer = api.client.patch(
        f"{space}/configmaps/a", content=text, headers=headers, params={"fieldManager": "me"}
    )

    assert 400 == answer.status_code, answer.text
    assert "[" == text[0] or "as YAML devcluster reads JSON alone" in answer.json()["message"]
