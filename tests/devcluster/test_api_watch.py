"""Watches: what they replay, what they filter, and how they end."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from k8s_vault_devcluster.server import DevCluster
from kubernetes import client, config, watch

from tests.devcluster.conftest import Api


def events_of(api: Api, path: str, seconds: int = 1, **query: Any) -> list[dict[str, Any]]:
    """Read a watch until its time is over."""
    options = {"watch": "true", "timeoutSeconds": str(seconds), **query}
    with api.client.stream("GET", path, params=options) as answer:
        return [json.loads(line) for line in answer.iter_lines()]


def shown(events: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(event["type"], event["object"]["metadata"].get("name", "")) for event in events]


def create(api: Api, space: str, name: str, **labels: str) -> Any:
    return api("POST", f"{space}/secrets", {"metadata": {"name": name, "labels": labels}})


def test_a_watch_without_a_version_starts_with_what_is_there(api: Api, space: str) -> None:
    create(api, space, "a")

    assert shown(events_of(api, f"{space}/secrets")) == [("ADDED", "a")]


def test_a_watch_from_a_version_shows_what_came_after_it(api: Api, space: str) -> None:
    first = create(api, space, "a")
    create(api, space, "b")
    api("PATCH", f"{space}/secrets/b", {"metadata": {"labels": {"x": "1"}}}, kind="application/merge-patch+json")
    api("DELETE", f"{space}/secrets/a")

    result = events_of(api, f"{space}/secrets", resourceVersion=first["metadata"]["resourceVersion"])

    assert shown(result) == [("ADDED", "b"), ("MODIFIED", "b"), ("DELETED", "a")]
    versions = [int(event["object"]["metadata"]["resourceVersion"]) for event in result]
    assert versions == sorted(versions)


def test_an_object_appears_and_disappears_with_its_label(api: Api, space: str) -> None:
    version = create(api, space, "a")["metadata"]["resourceVersion"]
    for value in ("1", "2", None):
        labels = {"metadata": {"labels": {"x": value}}}
        api("PATCH", f"{space}/secrets/a", labels, kind="application/merge-patch+json")

    result = events_of(api, f"{space}/secrets", resourceVersion=version, labelSelector="x")

    assert shown(result) == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]
    # As it was when it last matched, at the version at which it no longer did.
    assert result[2]["object"]["metadata"]["labels"] == {"x": "2"}
    assert int(result[2]["object"]["metadata"]["resourceVersion"]) > int(
        result[1]["object"]["metadata"]["resourceVersion"]
    )


def test_changes_arrive_while_the_watch_is_open(
    devcluster: DevCluster, api: Api, namespace: str, space: str
) -> None:
    core = client.CoreV1Api(config.new_client_from_config(str(devcluster.kubeconfig)))
    threading.Timer(0.2, create, (api, space, "late")).start()
    stream = watch.Watch()

    event = next(stream.stream(core.list_namespaced_secret, namespace, timeout_seconds=60))

    assert (event["type"], event["object"].metadata.name) == ("ADDED", "late")


@pytest.mark.parametrize(("version", "code"), [("9999999", 504), ("soon", 400)])
def test_a_version_that_never_was_is_refused(api: Api, space: str, version: str, code: int) -> None:
    answer = api.response("GET", f"{space}/secrets", watch="true", resourceVersion=version)

    assert answer.status_code == code


def test_initial_events_end_with_a_bookmark(api: Api, space: str) -> None:
    create(api, space, "a")
    expected = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}

    result = events_of(api, f"{space}/secrets", **expected)

    assert [event["type"] for event in result[:2]] == ["ADDED", "BOOKMARK"]
    assert result[1]["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


def test_a_client_that_goes_away_leaves_no_watch(api: Api, space: str) -> None:
    for _ in range(3):
        with api.client.stream("GET", f"{space}/secrets", params={"watch": "true"}) as answer:
            assert answer.status_code == 200

    assert create(api, space, "a")["metadata"]["name"] == "a"
