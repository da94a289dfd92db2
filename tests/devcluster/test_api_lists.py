"""Lists in chunks: consistent, whatever changes meanwhile, for as long as the server remembers."""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from k8s_vault_devcluster.api import lists
from k8s_vault_devcluster.api.context import parse
from k8s_vault_devcluster.api.status import ApiError
from k8s_vault_devcluster.store import Store

from tests.devcluster.conftest import Api

SECRETS = "/api/v1/namespaces/a/secrets"
NAMES = st.sampled_from(["a", "b", "c", "d", "e"])


def change(store: Store, name: str) -> None:
    """Create a secret, or change it, or where it has been changed delete it."""
    matches = [obj for obj in store.list("secrets", "a") if obj["metadata"]["name"] == name]
    if not matches:
        store.create("secrets", {"metadata": {"name": name, "namespace": "a"}})
    elif "type" in matches[0]:
        store.remove("secrets", "a", name)
    else:
        store.update("secrets", "a", name, lambda obj: obj.update(type="changed"))


def chunk(store: Store, **query: str) -> lists.Chunk:
    return lists.chunk(store, parse("GET", SECRETS, query), query)


def names(found: Any) -> list[str]:
    return [obj["metadata"]["name"] for obj in found]


def test_a_list_comes_in_chunks_in_the_order_of_names(api: Api, space: str) -> None:
    for name in "dbca":
        api("POST", f"{space}/secrets", {"metadata": {"name": name}})

    first = api("GET", f"{space}/secrets", limit="3")
    rest = api("GET", f"{space}/secrets", limit="3", **{"continue": first["metadata"]["continue"]})

    assert (names(first["items"]), names(rest["items"])) == (["a", "b", "c"], ["d"])
    assert first["metadata"]["remainingItemCount"] == 1
    assert "continue" not in rest["metadata"]
    assert first["metadata"]["resourceVersion"] == rest["metadata"]["resourceVersion"]


@given(st.lists(NAMES, max_size=12), st.lists(NAMES, max_size=12), st.integers(1, 4))
def test_all_chunks_are_of_the_state_of_the_first(before: list[str], later: list[str], limit: int) -> None:
    store = Store()
    for name in before:
        change(store, name)
    whole = chunk(store).objects

    result = chunk(store, limit=str(limit))
    collected = list(result.objects)
    for name in [*later, "f"]:
        change(store, name)
    while token := result.meta.get("continue"):
        result = chunk(store, limit=str(limit), **{"continue": token})
        collected += result.objects

    assert whole == collected


def test_a_chunk_of_a_state_that_is_forgotten_is_gone_and_says_how_to_go_on() -> None:
    store = Store()
    store._history = deque(maxlen=2)
    for name in "abc":
        change(store, name)
    token = chunk(store, limit="1").meta["continue"]
    for name in "def":
        change(store, name)

    with pytest.raises(ApiError) as refused:
        chunk(store, **{"continue": token})
    rest = chunk(store, **{"continue": refused.value.status["metadata"]["continue"]})

    assert (410, "Expired") == (refused.value.code, refused.value.status["reason"])
    assert names(rest.objects) == ["b", "c", "d", "e", "f"]
    assert rest.meta["resourceVersion"] == "6"


def test_a_list_of_exactly_a_version_is_of_that_version() -> None:
    store = Store()
    for name in "ab":
        change(store, name)

    exactly = {"resourceVersion": "1", "resourceVersionMatch": "Exact"}

    assert names(chunk(store, **exactly).objects) == ["a"]
    assert names(chunk(store, resourceVersion="1").objects) == ["a", "b"]
    assert names(chunk(store, resourceVersion="1", limit="5").objects) == ["a"]
    assert names(chunk(store, resourceVersion="0", limit="1").objects) == ["a", "b"]


@pytest.mark.parametrize("token", ["x", "bm9uZQ", "e30", "W10", "é", "A" * 5000])
def test_a_continue_key_that_no_list_gave_is_a_bad_request(token: str) -> None:
    with pytest.raises(ApiError, match="continue key is not valid"):
        chunk(Store(), **{"continue": token})
