"""Lists: whole, in order, and of the newest state."""

from __future__ import annotations

import pytest

from tests.devcluster.conftest import Api


def test_a_list_is_whole_whatever_its_limit_and_in_the_order_of_names(api: Api, space: str) -> None:
    for name in "dbca":
        api("POST", f"{space}/secrets", {"metadata": {"name": name}})

    listed = api("GET", f"{space}/secrets", limit="3")

    assert list("abcd") == [obj["metadata"]["name"] for obj in listed["items"]]
    assert {"resourceVersion"} == set(listed["metadata"])


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"resourceVersion": "1", "resourceVersionMatch": "NotOlderThan"}, 200),
        ({"resourceVersion": "0", "limit": "5"}, 200),
        ({"resourceVersion": "1"}, 200),
        ({"resourceVersion": "1", "limit": "5"}, 422),
        ({"resourceVersion": "1", "resourceVersionMatch": "Exact"}, 422),
        ({"resourceVersionMatch": "Oldest"}, 422),
        ({"continue": "x"}, 400),
        ({"limit": "-1"}, 400),
    ],
    ids=str,
)
def test_a_list_of_another_state_or_of_a_part_is_refused(
    api: Api, space: str, query: dict[str, str], status: int
) -> None:
    answer = api.response("GET", f"{space}/secrets", **query)

    assert status == answer.status_code
    assert 422 != status or "resourceVersionMatch" == answer.json()["details"]["causes"][0]["field"]
