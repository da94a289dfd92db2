"""What mishaps.py does to a cluster: the node goes without a word, and clocks differ."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.devcluster.conftest import Api, pod
from tests.devcluster.test_api_tokens import request, review

# An argument that no other process of this machine has.
SLEEP = "sleep 54321.4711"
NODE = "/api/v1/nodes/devcluster"


@pytest.fixture(autouse=True)
def whole_again(api: Api) -> Iterator[None]:
    yield
    api.response("POST", "/devcluster/node-back")
    api.response("POST", "/devcluster/clock", {"aheadSeconds": 0})


def processes() -> list[str]:
    matches = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:
            continue
        matches += [line] if line == SLEEP else []
    return matches


def until(met: Any) -> None:
    deadline = time.monotonic() + 15
    while not met():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def lose_the_node(api: Api, space: str) -> None:
    container = {"name": "base", "image": "python:3.12-slim", "command": SLEEP.split()}
    api("POST", f"{space}/pods", pod(containers=[container], schedulingGates=[]))
    until(processes)
    assert api.response("POST", "/devcluster/node-lost").status_code == 200


def test_a_lost_node_says_nothing_of_its_pods_which_wait_to_be_deleted_by_force(api: Api, space: str) -> None:
    lose_the_node(api, space)

    result, node = api("GET", f"{space}/pods/a"), api("GET", NODE)
    assert processes() == []
    assert "deletionTimestamp" in result["metadata"]
    assert result["status"]["phase"] == "Running"
    assert "running" in result["status"]["containerStatuses"][0]["state"]
    assert node["status"]["conditions"][0]["status"] == "Unknown"
    assert api.response("GET", f"{space}/pods/a/log").status_code == 500
    api("DELETE", f"{space}/pods/a", {"gracePeriodSeconds": 0})
    assert api.response("GET", f"{space}/pods/a").status_code == 404


def test_a_node_that_comes_back_finishes_the_deletions(api: Api, space: str) -> None:
    lose_the_node(api, space)

    api.response("POST", "/devcluster/node-back")

    assert api.response("GET", f"{space}/pods/a").status_code == 404
    api("POST", f"{space}/pods", pod(schedulingGates=[], restartPolicy="Never"))
    until(lambda: api("GET", f"{space}/pods/a")["status"]["phase"] == "Succeeded")


@pytest.mark.parametrize(("ahead", "why"), [(1000, "is not valid yet"), (-1000, "has expired")])
def test_a_token_of_a_clock_that_is_wrong_is_good_by_that_clock_alone(
    api: Api, space: str, ahead: int, why: str
) -> None:
    api.response("POST", "/devcluster/clock", {"aheadSeconds": ahead})
    token = request(api, space, audiences=["vault"], expirationSeconds=600)["status"]["token"]

    by_its_own = review(api, token, "vault")
    api.response("POST", "/devcluster/clock", {"aheadSeconds": 0})
    by_ours = review(api, token, "vault")

    assert by_its_own["authenticated"]
    assert why in by_ours["error"]


def test_only_the_administrator_makes_mishaps(api: Api, space: str) -> None:
    token = request(api, space)["status"]["token"]

    assert 403 == api.as_user(token).response("POST", "/devcluster/node-lost").status_code
