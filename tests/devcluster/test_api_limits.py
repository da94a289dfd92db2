"""Quotas and limits of a namespace, as Kubernetes holds pods to them."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.devcluster.conftest import Api, pod
from tests.test_quantity import AMOUNTS, NONE


def sized(name: str = "a", **resources: dict[str, str]) -> dict[str, Any]:
    base = {"name": "base", "image": "python:3.12-slim", "command": ["true"], "resources": resources}
    return pod(name, containers=[base])


def quota(api: Api, space: str, **hard: str) -> Any:
    spec = {"hard": {name.replace("_", "."): amount for name, amount in hard.items()}}
    return api.response("POST", f"{space}/resourcequotas", {"metadata": {"name": "q"}, "spec": spec})


def limit(api: Api, space: str, **item: Any) -> Any:
    spec = {"limits": [item]}
    return api.response("POST", f"{space}/limitranges", {"metadata": {"name": "l"}, "spec": spec})


def create(api: Api, space: str, body: Any) -> str:
    """Return "" where the pod is created, else what is said."""
    answer = api.response("POST", f"{space}/pods", body)
    return "" if answer.status_code == 201 else str(answer.json()["message"])


def test_a_quota_counts_pods_until_they_are_gone(api: Api, space: str) -> None:
    quota(api, space, pods="1")

    assert create(api, space, sized("a")) == ""
    assert create(api, space, sized("b")) == (
        'pods "b" is forbidden: exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1'
    )
    assert api("GET", f"{space}/resourcequotas/q")["status"]["used"] == {"pods": "1"}
    api("DELETE", f"{space}/pods/a")
    assert create(api, space, sized("b")) == ""


def test_a_quota_of_memory_wants_to_know_what_each_container_takes(api: Api, space: str) -> None:
    quota(api, space, limits_memory="1Gi")

    assert "failed quota: q: must specify limits.memory" in create(api, space, sized("a"))
    assert create(api, space, sized("b", limits={"memory": "768Mi"})) == ""
    assert "exceeded quota: q, requested: limits.memory=" in create(
        api, space, sized("c", limits={"memory": "512Mi"})
    )


def test_a_limit_range_fills_in_what_a_container_leaves_out(api: Api, space: str) -> None:
    quota(api, space, limits_memory="1Gi")
    limit(api, space, type="Container", default={"memory": "64Mi"}, defaultRequest={"memory": "16Mi"})

    assert create(api, space, sized("a")) == ""
    made = api("GET", f"{space}/pods/a")
    assert made["spec"]["containers"][0]["resources"] == {
        "limits": {"memory": "64Mi"},
        "requests": {"memory": "16Mi"},
    }
    assert made["status"]["qosClass"] == "Burstable"


@pytest.mark.parametrize(
    ("item", "resources", "message"),
    [
        ({"type": "Pod", "max": {"memory": "1Gi"}}, {}, "usage per Pod is 1Gi.  No limit is specified"),
        ({"type": "Pod", "max": {"memory": "1Gi"}}, {"limits": {"memory": "2Gi"}}, "maximum memory usage per Pod"),
    ],
)  # fmt: skip
def test_a_pod_out_of_the_limits_is_refused(
    api: Api, space: str, item: dict[str, Any], resources: dict[str, Any], message: str
) -> None:
    limit(api, space, **item)

    assert message in create(api, space, sized(**resources))


def test_what_nobody_would_hold_is_refused(api: Api, space: str) -> None:
    assert quota(api, space, services="1").status_code == 422
    for kind, part in (
        ("PersistentVolumeClaim", "max"),
        ("Container", "max"),
        ("Container", "min"),
        ("Pod", "min"),
    ):
        refused = limit(api, space, type=kind, **{part: {"cpu": "1"}})
        assert [f"spec.limits[0].{part}"] == [cause["field"] for cause in refused.json()["details"]["causes"]]


def test_who_writes_what_is_kept_without_effect_is_warned(api: Api, space: str) -> None:
    path = f"{space}/networkpolicies".replace("/api/v1", "/apis/networking.k8s.io/v1")

    answer = api.response("POST", path, {"metadata": {"name": "a"}, "spec": {"podSelector": {}}})

    assert answer.status_code == 201
    assert "devcluster does not enforce this" in answer.headers["Warning"]


def test_a_quantity_is_what_kubernetes_takes_as_one(api: Api, space: str) -> None:
    def answer(memory: str) -> str:
        return create(api, space, sized(f"a-{uuid.uuid4().hex[:6]}", limits={"memory": memory}))

    assert [] == [text for text in AMOUNTS if answer(text)]
    assert [] == [text for text in NONE if "quantities must match" not in answer(text)]
