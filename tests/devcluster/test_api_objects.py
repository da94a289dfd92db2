"""The verbs on objects, as Kubernetes answers them."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.devcluster.conftest import Api, pod

MERGE, STRATEGIC, JSON = (f"application/{kind}-patch+json" for kind in ("merge", "strategic-merge", "json"))


def config_map(name: str, labels: dict[str, str] | None = None, **rest: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": labels or {}}, "data": {"key": "value"}, **rest}


def test_what_is_created_can_be_read_listed_and_deleted(api: Api, space: str) -> None:
    created = api("POST", f"{space}/configmaps", config_map("one"))

    assert api("GET", f"{space}/configmaps/one") == created
    listed = api("GET", f"{space}/configmaps")
    assert [item["metadata"]["name"] for item in listed["items"]] == ["kube-root-ca.crt", "one"]
    assert (listed["kind"], "kind" in listed["items"][0]) == ("ConfigMapList", False)
    gone = api("DELETE", f"{space}/configmaps/one")
    assert (gone["status"], gone["details"]["uid"]) == ("Success", created["metadata"]["uid"])
    assert api("GET", f"{space}/configmaps/one")["message"] == 'configmaps "one" not found'


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("app=web", "ab"),
        ("app==web,tier=front", "a"),
        ("app!=web", "cd"),
        ("app in (web, db)", "abc"),
        ("app notin (web,db)", "d"),
        ("tier", "a"),
        ("!tier", "bcd"),
        ("app,!tier", "bc"),
        ("", "abcd"),
    ],
)
def test_label_selectors_select(api: Api, space: str, selector: str, expected: str) -> None:
    labels: dict[str, dict[str, str]] = {
        "a": {"app": "web", "tier": "front"},
        "b": {"app": "web"},
        "c": {"app": "db"},
        "d": {},
    }
    for name, given in labels.items():
        api("POST", f"{space}/secrets", {"metadata": {"name": name, "labels": given}})

    result = api("GET", f"{space}/secrets", labelSelector=selector)

    assert "".join(item["metadata"]["name"] for item in result["items"]) == expected


def test_field_selectors_select_or_are_refused(api: Api, space: str) -> None:
    for name in "ab":
        api("POST", f"{space}/pods", pod(name))

    errors = api("GET", f"{space}/pods", fieldSelector="metadata.name!=a,status.phase=Pending")
    refused = api.response("GET", f"{space}/pods", fieldSelector="spec.containers=x")

    assert [item["metadata"]["name"] for item in errors["items"]] == ["b"]
    assert refused.status_code == 400
    assert "field label not supported: spec.containers" in refused.json()["message"]


@pytest.mark.parametrize("selector", ["a in b", "=x", "a=b c", "a=$", "x/y/z=1", "size>2"])
def test_a_label_selector_that_is_none_is_a_bad_request(api: Api, space: str, selector: str) -> None:
    assert api.response("GET", f"{space}/pods", labelSelector=selector).status_code == 400


def test_generate_name_makes_names_that_differ(api: Api, space: str) -> None:
    body = {"metadata": {"generateName": "job-"}}

    names = [api("POST", f"{space}/configmaps", body)["metadata"]["name"] for _ in range(3)]

    assert len(set(names)) == 3
    assert all(name.startswith("job-") and len(name) == 9 for name in names)


def test_a_name_that_is_taken_is_already_exists(api: Api, space: str) -> None:
    api("POST", f"{space}/configmaps", config_map("one"))

    again = api.response("POST", f"{space}/configmaps", config_map("one"))

    assert again.status_code == 409
    assert (again.json()["reason"], again.json()["message"]) == (
        "AlreadyExists",
        'configmaps "one" already exists',
    )


def test_a_dry_run_checks_everything_and_stores_nothing(api: Api, space: str) -> None:
    tried = api.response("POST", f"{space}/configmaps", config_map("one"), dryRun="All")
    bad = api.response("POST", f"{space}/configmaps", config_map("One"), dryRun="All")

    assert (tried.status_code, bad.status_code) == (201, 422)
    assert tried.json()["metadata"]["uid"]
    assert api.response("GET", f"{space}/configmaps/one").status_code == 404


def test_an_update_of_an_old_state_is_a_conflict(api: Api, space: str) -> None:
    old = api("POST", f"{space}/configmaps", config_map("one"))
    new = api("PUT", f"{space}/configmaps/one", {**old, "data": {"key": "new"}})

    again = api.response("PUT", f"{space}/configmaps/one", {**old, "data": {"key": "newer"}})

    assert new["data"] == {"key": "new"}
    assert (again.status_code, again.json()["reason"]) == (409, "Conflict")
    assert "please apply your changes to the latest version and try again" in again.json()["message"]


def test_name_and_namespace_have_to_fit_the_path(api: Api, space: str) -> None:
    api("POST", f"{space}/configmaps", config_map("one"))
    elsewhere = {"metadata": {"name": "x", "namespace": "default"}}

    assert api.response("PUT", f"{space}/configmaps/one", config_map("two")).status_code == 400
    assert api.response("POST", f"{space}/configmaps", elsewhere).status_code == 400


@pytest.mark.parametrize(
    ("kind", "patch"),
    [
        (MERGE, {"data": {"key": None, "new": "1"}}),
        (STRATEGIC, {"data": {"key": None, "new": "1"}}),
        (JSON, [{"op": "remove", "path": "/data/key"}, {"op": "add", "path": "/data/new", "value": "1"}]),
    ],
)
def test_three_kinds_of_patches_change_an_object(api: Api, space: str, kind: str, patch: Any) -> None:
    api("POST", f"{space}/configmaps", config_map("one"))

    patched = api("PATCH", f"{space}/configmaps/one", patch, kind=kind)

    assert patched["data"] == {"new": "1"}


def test_a_strategic_patch_merges_gates_by_name(api: Api, space: str) -> None:
    api("POST", f"{space}/pods", pod(schedulingGates=[{"name": "test/hold"}, {"name": "test/more"}]))
    patch = {"spec": {"schedulingGates": [{"name": "test/more", "$patch": "delete"}]}}

    patched = api("PATCH", f"{space}/pods/a", patch, kind=STRATEGIC)

    assert patched["spec"]["schedulingGates"] == [{"name": "test/hold"}]


def test_a_failed_test_of_a_json_patch_changes_nothing(api: Api, space: str) -> None:
    api("POST", f"{space}/configmaps", config_map("one"))
    patch = [{"op": "test", "path": "/data/key", "value": "x"}, {"op": "remove", "path": "/data/key"}]

    answer = api.response("PATCH", f"{space}/configmaps/one", patch, kind=JSON)

    assert answer.status_code == 422
    assert api("GET", f"{space}/configmaps/one")["data"] == {"key": "value"}


def test_deletion_holds_to_its_preconditions(api: Api, space: str) -> None:
    api("POST", f"{space}/configmaps", config_map("one"))

    answer = api.response("DELETE", f"{space}/configmaps/one", {"preconditions": {"uid": "other"}})

    assert answer.status_code == 409
    assert "Precondition failed: UID in precondition: other" in answer.json()["message"]


def test_a_collection_is_deleted_by_its_labels(api: Api, space: str) -> None:
    for name, labels in (("a", {"x": "1"}), ("b", {"x": "1"}), ("c", {})):
        api("POST", f"{space}/secrets", {"metadata": {"name": name, "labels": labels}})

    api("DELETE", f"{space}/secrets", labelSelector="x=1")

    assert [item["metadata"]["name"] for item in api("GET", f"{space}/secrets")["items"]] == ["c"]


def test_an_immutable_secret_keeps_its_data(api: Api, space: str) -> None:
    secret = {"metadata": {"name": "s"}, "stringData": {"a": "b"}, "immutable": True}
    created = api("POST", f"{space}/secrets", secret)

    answer = api.response("PATCH", f"{space}/secrets/s", {"data": {"a": "Yw=="}}, kind=MERGE)

    assert (created["type"], created["data"]) == ("Opaque", {"a": "Yg=="})
    assert answer.status_code == 422
    assert answer.json()["details"]["causes"][0] == {
        "reason": "FieldValueForbidden",
        "field": "data",
        "message": "Forbidden: field is immutable when `immutable` is set",
    }


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ({"a": "hunter2!"}, "illegal base64 data"),
        ({"a b": ""}, "a valid config key must consist of"),
        ({"a": base64.b64encode(b"x" * 1_048_577).decode()}, "Too long: may not be more than 1048576 bytes"),
    ],
)
def test_a_secrets_data_is_checked_and_never_repeated(
    api: Api, space: str, data: dict[str, str], why: str
) -> None:
    answer = api.response("POST", f"{space}/secrets", {"metadata": {"name": "s"}, "data": data})

    assert answer.status_code == 422
    assert why in answer.json()["message"]
    assert "hunter2" not in answer.text


def test_a_secret_of_a_type_that_has_rules_of_its_own_is_refused(api: Api, space: str) -> None:
    answer = api("POST", f"{space}/secrets", {"metadata": {"name": "s"}, "type": "kubernetes.io/tls"})

    assert ["type"] == [cause["field"] for cause in answer["details"]["causes"]]


@pytest.mark.parametrize(
    ("meta", "field"),
    [
        ({"name": "Upper"}, "metadata.name"),
        ({"name": "a" * 254}, "metadata.name"),
        ({}, "metadata.name"),
        ({"name": "a", "labels": {"k": "not ok"}}, "metadata.labels"),
        ({"name": "a", "labels": {"-k": "v"}}, "metadata.labels"),
        ({"name": "a", "annotations": {"a b": "v"}}, "metadata.annotations"),
        ({"name": "a", "finalizers": ["x/y"]}, "metadata.finalizers"),
        ({"name": "a", "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": ""}]},
         "metadata.ownerReferences[0].uid"),
    ],
)  # fmt: skip
def test_metadata_that_is_not_valid_names_the_field(
    api: Api, space: str, meta: dict[str, Any], field: str
) -> None:
    answer = api.response("POST", f"{space}/configmaps", {"metadata": meta})

    assert answer.status_code == 422
    assert [cause["field"] for cause in answer.json()["details"]["causes"]] == [field]


def test_nothing_is_created_in_a_namespace_that_is_not_there(api: Api) -> None:
    answer = api.response("POST", "/api/v1/namespaces/nowhere/configmaps", config_map("one"))

    assert (answer.status_code, answer.json()["message"]) == (404, 'namespaces "nowhere" not found')
