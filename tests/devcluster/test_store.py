"""The cluster's objects and their history."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from k8s_vault_devcluster.api.context import parse
from k8s_vault_devcluster.api.watches import Watch
from k8s_vault_devcluster.store import HISTORY, AlreadyExists, Conflict, NotFound, Object, Store


def secret(name: str = "a") -> Object:
    return {"metadata": {"name": name, "namespace": "default"}}


def label(value: int) -> Any:
    return lambda obj: obj["metadata"].update(labels={"x": str(value)})


def test_objects_come_out_as_copies() -> None:
    store = Store()
    created = store.create("secrets", secret())

    created["metadata"]["labels"] = {"x": "1"}

    assert "labels" not in store.get("secrets", "default", "a")["metadata"]


def test_what_does_not_fit_is_refused() -> None:
    store = Store()
    old = store.create("secrets", secret())
    store.update("secrets", "default", "a", label(1))

    with pytest.raises(AlreadyExists):
        store.create("secrets", secret())
    with pytest.raises(Conflict, match="the object has been modified"):
        store.replace("secrets", old)
    with pytest.raises(NotFound, match='secrets "b" not found'):
        store.get("secrets", "default", "b")


def test_an_update_that_changes_nothing_is_no_change() -> None:
    store = Store()
    created = store.create("secrets", secret())

    store.update("secrets", "default", "a", lambda obj: None)

    assert str(store.version) == created["metadata"]["resourceVersion"]


def test_a_watch_sees_each_change_once_and_in_order() -> None:
    async def watched() -> list[tuple[str, int]]:
        store, seen = Store(), []
        store.create("secrets", secret())
        changes = store.watch("secrets", 0)
        for number in range(5):
            if number == 2:
                seen += [await anext(changes) for _ in range(3)]
            store.update("secrets", "default", "a", label(number))
            store.create("pods", secret(str(number)))
        store.remove("secrets", "default", "a")
        seen += [await anext(changes) for _ in range(4)]
        return [(change.kind, change.version) for change in seen]

    kinds = asyncio.run(watched())

    assert [kind for kind, _ in kinds] == ["ADDED", *["MODIFIED"] * 5, "DELETED"]
    assert [version for _, version in kinds] == sorted({version for _, version in kinds})


def test_a_watch_from_before_the_history_ends_with_410() -> None:
    async def lines() -> list[bytes]:
        store = Store()
        store.create("secrets", secret())
        for number in range(HISTORY + 1):
            store.update("secrets", "default", "a", label(number))
        query = {"watch": "true", "resourceVersion": "1"}
        requested = parse("GET", "/api/v1/secrets", query)
        return [line async for line in Watch(store, requested, query, lambda obj: obj).lines()]

    [event] = [json.loads(line) for line in asyncio.run(lines())]

    assert event["type"] == "ERROR"
    assert (event["object"]["code"], event["object"]["reason"]) == (410, "Expired")
    assert event["object"]["message"] == "too old resource version: 1 (3)"
