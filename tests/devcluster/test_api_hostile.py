"""Whatever is sent, the answer is Kubernetes' refusal, and never that of a server that broke."""

from __future__ import annotations

import json
from typing import Any

import pytest
from k8s_vault_devcluster.api import body
from k8s_vault_devcluster.api.patches import json_patch
from k8s_vault_devcluster.api.status import ApiError

from tests.devcluster.conftest import Api, pod

LEVELS = (1_000, 100_000)
PATCHES = ("application/json-patch+json", "application/merge-patch+json", "application/strategic-merge-patch+json")
NOTHINGS = (
    "null",
    "1",
    '"x"',
    "[]",
    "{}",
    '{"metadata": null}',
    '{"metadata": []}',
    '{"metadata": 1}',
    '{"kind": {}}',
)
OPERATIONS = (
    "[1]",
    "[{}]",
    '[{"op": "add", "path": "", "value": 1}]',
    '[{"op": "replace", "path": "", "value": null}]',
    '[{"op": "replace", "path": "/metadata", "value": 1}]',
    '[{"op": "remove", "path": "/metadata"}]',
    '[{"op": "copy", "from": 1, "path": "/a"}]',
    '[{"op": "move", "from": "/metadata", "path": "/metadata/a"}]',
    '[{"op": "add", "path": "/metadata/name/x", "value": 1}]',
)
QUERIES: tuple[dict[str, str], ...] = (
    {"resourceVersion": "²"},
    {"resourceVersion": "x"},
    {"limit": "²"},
    {"limit": "--1"},
    {"timeoutSeconds": "9" * 30, "watch": "1"},
    {"timeoutSeconds": "²", "watch": "1"},
    {"labelSelector": "(" * 5000},
    {"fieldSelector": "="},
)


def sent(
    api: Api, method: str, path: str, content: bytes | str, kind: str = "application/json"
) -> tuple[int, str]:
    answer = api.client.request(method, path, content=content, headers={"Content-Type": kind})
    return answer.status_code, str(answer.json().get("message", ""))


def nested(levels: int, shape: str) -> str:
    start, end = shape.split("1")
    return start * levels + "1" + end * levels


@pytest.mark.parametrize("levels", LEVELS)
@pytest.mark.parametrize("shape", ["[1]", '{"a": 1}'])
def test_json_that_is_nested_too_deep_is_a_bad_request(api: Api, space: str, levels: int, shape: str) -> None:
    deep, account = nested(levels, shape), f"{space}/serviceaccounts/default"
    requests = [
        ("POST", f"{space}/pods", deep, "application/json"),
        ("POST", f"{space}/configmaps", f'{{"metadata": {{"name": "a"}}, "data": {deep}}}', "application/json"),
        ("POST", f"{account}/token", f'{{"spec": {deep}}}', "application/json"),
        ("PUT", account, deep, "application/json"),
        ("DELETE", account, deep, "application/json"),
        *(("PATCH", account, deep, kind) for kind in PATCHES),
    ]

    answers = [sent(api, *request) for request in requests]

    assert {status for status, _ in answers} == {400}, answers
    assert all("exceeded max depth" in message for _, message in answers), answers


def test_what_is_as_deep_as_a_pod_gets_is_read() -> None:
    assert body.parse(nested(100, '{"a": 1}').encode(), "application/json")


@pytest.mark.parametrize("content", NOTHINGS)
def test_what_is_no_object_is_refused_by_every_verb(api: Api, space: str, content: str) -> None:
    account = f"{space}/serviceaccounts/default"
    answers = [sent(api, "POST", f"{space}/{plural}", content) for plural in ("pods", "configmaps", "secrets")]
    answers += [sent(api, "PUT", account, content)] if "{}" != content else []
    answers += [sent(api, "PATCH", account, content, kind) for kind in PATCHES]

    assert all(status < 500 for status, _ in answers), answers
    assert all(status >= 400 for status, _ in answers[:3]), answers


@pytest.mark.parametrize("operations", OPERATIONS)
def test_a_json_patch_that_leaves_no_object_is_refused(api: Api, space: str, operations: str) -> None:
    status, message = sent(api, "PATCH", f"{space}/serviceaccounts/default", operations, PATCHES[0])

    assert status in (400, 422) or operations == OPERATIONS[5], message


def test_a_json_patch_of_too_many_operations_is_refused() -> None:
    with pytest.raises(ApiError, match="maximum operations in a JSON patch is 10000, got 10001"):
        json_patch({}, [{"op": "test", "path": "", "value": {}}] * 10_001)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e400", "9" * 20, "9" * 4000, "3.5"])
def test_a_number_that_go_has_no_place_for_is_a_bad_request(api: Api, space: str, number: str) -> None:
    content = json.dumps(pod(activeDeadlineSeconds="HERE")).replace('"HERE"', number)

    status, message = sent(api, "POST", f"{space}/pods", content)

    assert status == 400, message


@pytest.mark.parametrize(
    ("content", "kept"), [(b'"\xff"', "\ufffd"), (b'"\\ud800"', "\ufffd"), (b'"\\ud83d\\ude00"', "\U0001f600")]
)
def test_text_is_read_as_go_reads_it(api: Api, space: str, content: bytes, kept: str) -> None:
    sent(api, "POST", f"{space}/configmaps", b'{"metadata": {"name": "a"}, "data": {"key": %s}}' % content)

    assert api("GET", f"{space}/configmaps/a")["data"]["key"] == kept


@pytest.mark.parametrize("query", QUERIES, ids=str)
def test_a_query_that_cannot_be_read_is_a_bad_request(api: Api, space: str, query: Any) -> None:
    assert api.client.request("GET", f"{space}/pods", params=query).status_code == 400


def test_a_body_over_three_megabytes_is_too_large(api: Api, space: str) -> None:
    content = json.dumps({"metadata": {"name": "a", "annotations": {"a": "x" * 3 * 1024 * 1024}}})

    assert sent(api, "POST", f"{space}/configmaps", content) == (413, "Request entity too large: limit is 3145728")
