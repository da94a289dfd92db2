"""Pods are merged by name, as Kubernetes merges them."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from airflow_k8s_vault.templates.merge import merge_pods, without_repeats

POD: dict[str, Any] = {
    "metadata": {"labels": {"team": "payments"}},
    "spec": {
        "containers": [
            {"name": "proxy", "image": "proxy:1"},
            {"name": "base", "image": "etl:1", "command": ["run"], "env": [{"name": "A", "value": "1"}]},
        ],
        "volumes": [{"name": "work", "emptyDir": {}}],
    },
}


def test_a_container_is_found_by_its_name_and_not_by_its_place() -> None:
    merged = merge_pods(POD, {"spec": {"containers": [{"name": "base", "image": "etl:2"}]}})

    assert ["proxy:1", "etl:2"] == [container["image"] for container in merged["spec"]["containers"]]
    assert ["run"] == merged["spec"]["containers"][1]["command"]


def test_a_variable_that_both_set_is_there_once_with_the_later_value() -> None:
    env = [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}, {"name": "B", "value": "2"}]
    merged = merge_pods(POD, {"spec": {"containers": [{"name": "base", "env": env}]}})

    assert env == merged["spec"]["containers"][1]["env"]


def test_a_volume_of_another_kind_replaces_the_first_instead_of_joining_it() -> None:
    merged = merge_pods(POD, {"spec": {"volumes": [{"name": "work", "configMap": {"name": "etl"}}]}})

    assert [{"name": "work", "configMap": {"name": "etl"}}] == merged["spec"]["volumes"]


def test_neither_pod_changes_and_null_leaves_the_value_as_it_is() -> None:
    before = repr(POD)

    merged = merge_pods(POD, {"metadata": None, "spec": {"restartPolicy": "Never"}})

    assert before == repr(POD)
    assert {"team": "payments"} == merged["metadata"]["labels"]
    assert "Never" == merged["spec"]["restartPolicy"]


def test_what_an_operator_appended_twice_is_there_once() -> None:
    doubled = {"spec": {"containers": [{"name": "base", "env": [{"name": "A", "value": v} for v in "12"]}]}}

    assert [{"name": "A", "value": "2"}] == without_repeats(doubled)["spec"]["containers"][0]["env"]


NAMES = st.lists(st.sampled_from("abcd"), max_size=4, unique=True)


@given(NAMES, NAMES)
def test_every_name_of_either_side_is_there_exactly_once_first_ones_first(
    one: list[str], other: list[str]
) -> None:
    merged = merge_pods(
        {"env": [{"name": name, "value": "1"} for name in one]},
        {"env": [{"name": name, "value": "2"} for name in other]},
    )

    assert [*one, *(name for name in other if name not in one)] == [item["name"] for item in merged["env"]]
    assert all(item["value"] == ("2" if item["name"] in other else "1") for item in merged["env"])
