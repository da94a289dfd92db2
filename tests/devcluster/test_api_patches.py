"""Patches, as pure functions."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from k8s_vault_devcluster.api.patches import json_patch, merge_patch, strategic_merge
from k8s_vault_devcluster.api.schema import schema_of
from k8s_vault_devcluster.api.status import ApiError

POD = schema_of("v1", "Pod")
PLAIN = st.recursive(
    st.integers() | st.text(max_size=3) | st.booleans(),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


def spec(**fields: Any) -> dict[str, Any]:
    return {"spec": fields}


@pytest.mark.parametrize(
    ("before", "patch", "after"),
    [
        (spec(containers=[{"name": "a", "image": "1"}]), spec(containers=[{"name": "b", "image": "2"}]),
         spec(containers=[{"name": "a", "image": "1"}, {"name": "b", "image": "2"}])),
        (spec(containers=[{"name": "a"}, {"name": "b"}]), spec(containers=[{"name": "a", "$patch": "delete"}]),
         spec(containers=[{"name": "b"}])),
        (spec(containers=[{"name": "a", "env": [{"name": "X", "value": "1"}]}]),
         spec(containers=[{"name": "a", "env": [{"name": "X", "value": "2"}]}]),
         spec(containers=[{"name": "a", "env": [{"name": "X", "value": "2"}]}])),
        (spec(containers=[{"name": "a", "args": ["1"]}]), spec(containers=[{"name": "a", "args": ["2"]}]),
         spec(containers=[{"name": "a", "args": ["2"]}])),
        (spec(containers=[{"name": "a"}, {"name": "b"}]),
         {"spec": {"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]}},
         spec(containers=[{"name": "b"}, {"name": "a"}])),
        (spec(nodeSelector={"a": "1", "b": "2"}), spec(nodeSelector={"b": None}), spec(nodeSelector={"a": "1"})),
    ],
)  # fmt: skip
def test_a_strategic_merge_follows_the_schemas_merge_keys(
    before: dict[str, Any], patch: dict[str, Any], after: dict[str, Any]
) -> None:
    assert strategic_merge(before, patch, POD) == after


@pytest.mark.parametrize(
    "patch",
    [{"$replace": 1}, {"$patch": "replace"}, spec(containers=[{"$patch": "replace"}, {"name": "c"}])],
    ids=str,
)
def test_a_directive_that_is_none_or_not_supported_is_refused(patch: dict[str, Any]) -> None:
    with pytest.raises(ApiError, match="directive"):
        strategic_merge(spec(containers=[{"name": "a"}]), patch, POD)


@given(PLAIN, PLAIN)
def test_a_merge_patch_without_nulls_can_be_applied_twice(before: Any, patch: Any) -> None:
    once = merge_patch(before, patch)

    assert merge_patch(once, patch) == once


@pytest.mark.parametrize(
    ("operation", "after"),
    [
        ({"op": "add", "path": "/list/-", "value": 3}, {"list": [1, 2, 3], "a/b": 1}),
        ({"op": "add", "path": "/list/0", "value": 0}, {"list": [0, 1, 2], "a/b": 1}),
        ({"op": "replace", "path": "/a~1b", "value": 2}, {"list": [1, 2], "a/b": 2}),
        ({"op": "move", "from": "/a~1b", "path": "/c"}, {"list": [1, 2], "c": 1}),
        ({"op": "copy", "from": "/list", "path": "/c"}, {"list": [1, 2], "a/b": 1, "c": [1, 2]}),
        ({"op": "remove", "path": "/list/0"}, {"list": [2], "a/b": 1}),
    ],
)
def test_json_patch_does_what_the_rfc_says(operation: dict[str, Any], after: dict[str, Any]) -> None:
    assert json_patch({"list": [1, 2], "a/b": 1}, [operation]) == after


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "remove", "path": "/no"},
        {"op": "replace", "path": "/no", "value": 1},
        {"op": "add", "path": "/list/7", "value": 1},
        {"op": "add", "path": "list", "value": 1},
        {"op": "grow", "path": "/list"},
        {"path": "/list"},
    ],
)
def test_json_patch_refuses_what_it_cannot_do(operation: dict[str, Any]) -> None:
    with pytest.raises(ApiError) as caught:
        json_patch({"list": [1]}, [operation])

    assert caught.value.code == 422
