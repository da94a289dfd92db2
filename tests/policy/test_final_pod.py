"""The check of the final pod: what is right passes, and no way around it does."""

from __future__ import annotations

import contextlib
import copy
import string
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_k8s_vault.errors import PolicyError
from airflow_k8s_vault.policy import Expected, check, image_mistakes
from airflow_k8s_vault.teams import OPENABLE, Platform, Team
from tests import growth
from tests.policy import bypasses

_KEYS = {"volumeMounts": "mountPath"}


def edited(pod: dict[str, Any], field: str, value: Any) -> dict[str, Any]:
    """Return a copy of the pod with the field set (see bypasses)."""
    pod = copy.deepcopy(pod)
    steps = field.replace("[", "\0[").replace("].", "]\0").split("\0")
    steps = [part for step in steps for part in ([step] if step.startswith("[") else step.split(".")) if part]
    at: Any = pod
    *before, last = steps
    for index, step in enumerate(before):
        at = _entry(at, before[index - 1], step) if step.startswith("[") else _below(at, step)
    if last.endswith("+"):
        at.setdefault(last[:-1], []).append(value)
    elif last.startswith("[") and isinstance(at, list):
        index = at.index(_entry(at, before[-1], last))
        at[index : index + 1] = [] if value is bypasses.Gone else [value]
    else:
        key = last.strip("[]") if last.startswith("[") else last
        at.pop(key, None)
        if value is not bypasses.Gone:
            at[key] = value
    return pod


def _entry(items: Any, name: str, step: str) -> Any:
    return next(item for item in items if item[_KEYS.get(name, "name")] == step[1:-1])


def _below(at: Any, step: str) -> Any:
    return at.setdefault(step, {})


def test_what_the_platform_meant_and_a_dag_may_set_passes(
    final: dict[str, Any], team: Team, expected: Expected
) -> None:
    check(final, team, expected)


def test_the_corpus_has_at_least_two_hundred_ways() -> None:
    assert len(bypasses.ALL) >= 200
    assert len(bypasses.ALL) == len({(field, repr(value)) for field, value in bypasses.ALL})


@pytest.mark.parametrize(
    ("field", "value"), bypasses.ALL, ids=[f"{i}-{field}" for i, (field, _) in enumerate(bypasses.ALL)]
)
def test_every_way_around_is_refused(
    field: str, value: Any, final: dict[str, Any], team: Team, expected: Expected
) -> None:
    pod = edited(final, field, value)

    with pytest.raises(PolicyError):
        check(pod, team, expected)


@pytest.mark.parametrize("opened", [(), OPENABLE])
@pytest.mark.parametrize(("field", "value"), bypasses.LITERALS)
def test_a_refusal_never_repeats_what_looks_like_a_credential(
    field: str, value: Any, opened: tuple[str, ...], final: dict[str, Any], team: Team, expected: Expected
) -> None:
    with pytest.raises(PolicyError) as refused:
        check(edited(final, field, value), replace(team, overridable=opened), expected)

    words = value if isinstance(value, list) else [value.get("value", "")] if isinstance(value, dict) else [value]
    assert not any(word in str(refused.value) for word in words if len(word) > 12 or "hunter2" in word)
    assert bypasses.GITHUB not in str(refused.value)


def test_a_refusal_names_field_value_limit_and_who_set_it(
    final: dict[str, Any], team: Team, expected: Expected
) -> None:
    pod = edited(final, "spec.containers[base].image", "postgres:17")

    with pytest.raises(PolicyError) as by_task:
        check(pod, team, expected, requested=["image"])
    with pytest.raises(PolicyError) as by_hook:
        check(pod, team, expected)

    assert str(by_task.value) == (
        "The pod is not one that team 'payments' may run:\n"
        "  - spec.containers[base].image is 'postgres:17', set by the task's image; "
        "allowed are postgres:18, python:3.12-slim (pod_templates/payments/team.yaml, line 4)."
    )
    assert "set by pod_mutation_hook, a callback, or code that changed the task" in str(by_hook.value)


# A value that no field of the pod has, of each type that JSON has.
_VALUES = st.one_of(
    st.text(string.ascii_lowercase, min_size=1, max_size=8).map(lambda text: f"x-{text}"),
    st.integers(min_value=10**6, max_value=10**9),
    st.dictionaries(st.sampled_from(["name", "type", "path", "secretName"]), st.just("x-other"), min_size=1),
    st.lists(st.just("x-other"), min_size=1, max_size=2),
    st.just(bypasses.Gone),
)
# What a DAG of this team may set, or KubernetesPodOperator always does.
_FREE = (
    "metadata.name",
    "spec.containers[base].command",
    "spec.containers[base].args",
    "spec.containers[base].resources",
    "spec.affinity",
    "spec.nodeSelector",
    "spec.initContainers[wait]",
    "spec.containers[base].env[BATCH]",
    "spec.containers[base].env[HOME]",
    "spec.containers[base].volumeMounts[/scratch]",
    "spec.volumes[scratch]",
    "metadata.annotations",
    "metadata.labels",
    "spec.restartPolicy",
    "spec.hostNetwork",
    "spec.hostname",
)


def _fields(value: Any, field: str = "") -> list[str]:
    """Return every field in a manifest, at all depths, as `edited` takes them."""
    result = [field] if field else []
    if isinstance(value, dict):
        for key, item in value.items():
            step = f"[{key}]" if field.endswith(("labels", "annotations", "nodeSelector")) else f".{key}"
            result += _fields(item, f"{field}{step}".lstrip("."))
    elif isinstance(value, list):
        for item in value:
            if isinstance(item, dict) and ("name" in item or "mountPath" in item):
                key = "mountPath" if field.endswith("volumeMounts") else "name"
                result += _fields(item, f"{field}[{item[key]}]")
    return result


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_other_field_set_to_any_other_value_is_refused(
    data: st.DataObject, final: dict[str, Any], team: Team, expected: Expected
) -> None:
    locked = [
        field for field in _fields(final) if not field.startswith(_FREE) and field not in ("spec", "metadata")
    ]
    field = data.draw(st.sampled_from(locked))
    value = data.draw(_VALUES)

    with pytest.raises(PolicyError):
        check(edited(final, field, value), team, expected)


def test_a_team_that_opens_nothing_gets_nothing(final: dict[str, Any], team: Team, expected: Expected) -> None:
    closed = replace(team, overridable=())

    with pytest.raises(PolicyError) as refused:
        check(final, closed, expected, requested=["cmds"])

    message = str(refused.value)
    assert "spec.containers[base].command is set (not shown), set by the task's cmds" in message
    for field in (
        "env[BATCH]",
        "volumes[scratch]",
        "volumeMounts[/scratch]",
        "initContainers[wait]",
        "annotations[owner]",
        "labels[tier]",
    ):
        assert field in message


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MAX_TOKENS", "4096"),
        ("USE_TOKEN", "true"),
        ("PGPASSFILE", "/vault/secrets/pgpass"),
        ("DB_PASSWORD_FILE", "/vault/secrets/db"),
        ("PASSWORD", ""),
        ("DSN", "postgres://etl:$(PGPASSWORD)@db/warehouse"),
        ("NOTE", "ask the token service for a password when needed"),
        ("SECRET_NAME", "warehouse"),
        ("VAULT_AUTH", "kubernetes"),
        ("SHA", "0123456789abcdef0123456789abcdef01234567"),
        ("JSON", '{"user": "etl", "table": "loads"}'),
        ("COMPASS", "north"),
        ("SQL", "select token from sessions where password is null"),
    ],
)
def test_a_setting_that_only_sounds_like_a_credential_passes(
    name: str, value: str, final: dict[str, Any], team: Team, expected: Expected
) -> None:
    check(edited(final, "spec.containers[base].env+", {"name": name, "value": value}), team, expected)


@pytest.mark.parametrize("part", ["a", "password ", "--", "eyJ", "://:"])
def test_a_value_twice_as_long_takes_about_twice_the_time(
    final: dict[str, Any], team: Team, expected: Expected, part: str
) -> None:
    def work(size: int) -> None:
        value = part * (size // len(part))
        with contextlib.suppress(PolicyError):
            check(edited(final, "spec.containers[base].env+", {"name": "A", "value": value}), team, expected)

    assert growth.doubling(work, 50_000) < growth.LINEAR


@pytest.mark.parametrize(
    ("platform", "reason"),
    [
        (Platform(registries=("registry.example.com/payments",)), "allowed are images from registry.example.com"),
        (Platform(digests_only=True), "images are named by digest"),
    ],
)
def test_the_platforms_limits_on_images_hold_for_a_teams_own_images(
    platform: Platform, reason: str, final: dict[str, Any], team: Team, expected: Expected
) -> None:
    with pytest.raises(PolicyError, match=reason):
        check(final, replace(team, platform=platform), expected)


@pytest.mark.parametrize(
    "image",
    [
        "evil.example.com/etl",
        "EVIL/etl",
        "localhost/etl",
        "evil:5000/etl",
        "docker.io.evil.com/etl",
        "127.0.0.1/etl",
    ],
)
def test_an_image_of_another_host_is_not_docker_hubs(image: str, team: Team) -> None:
    platform = Platform(registries=("docker.io",))

    for name in (image, f"{image}@sha256:{64 * 'a'}"):
        own = replace(team, images={"etl": name}, platform=platform)
        assert ["allowed are images from docker.io"] == [
            message.partition(" (")[0] for message in image_mistakes(name, own)
        ]


@pytest.mark.parametrize(
    ("platform", "reason"),
    [
        (Platform(registries=("docker.io/library",)), "docker.io/library"),
        (Platform(digests_only=True), "images are named by digest"),
    ],
)
def test_the_platforms_limits_on_images_hold_for_the_packages_own_images(
    platform: Platform, reason: str, final: dict[str, Any], team: Team, expected: Expected
) -> None:
    with pytest.raises(PolicyError) as refused:
        check(final, replace(team, platform=platform), expected)

    agent = [line for line in str(refused.value).splitlines() if "initContainers[vault-agent].image" in line]
    assert agent
    assert reason in agent[0]
    assert "set by [k8s_vault] vault_agent_image" in agent[0]
    sidecar = "spec.containers[airflow-xcom-sidecar].image is 'alpine:3.24.2'"
    assert (sidecar in str(refused.value)) is platform.digests_only


@pytest.mark.parametrize(("reference", "is_the_teams"), [("postgres:18", True), ("evil.example.com/x", False)])
def test_a_volume_that_is_an_image_is_one_of_the_teams(
    reference: str, is_the_teams: bool, final: dict[str, Any], team: Team, expected: Expected
) -> None:
    volume = {"name": "data", "image": {"reference": reference}}
    pod, rendered, attached = (
        edited(manifest, "spec.volumes+", volume) for manifest in (final, expected.rendered, expected.attached)
    )
    in_template = replace(expected, rendered=rendered, attached=attached)

    with (
        contextlib.nullcontext() if is_the_teams else pytest.raises(PolicyError, match=r"image.reference is 'evil")
    ):
        check(pod, replace(team, pod_security="baseline"), in_template)


@pytest.mark.parametrize("what", ["env", "volumeMounts", "annotations"])
def test_the_check_takes_time_in_proportion_to_what_a_task_adds(
    what: str, final: dict[str, Any], team: Team, expected: Expected
) -> None:
    def work(count: int) -> None:
        pod = copy.deepcopy(final)
        base = pod["spec"]["containers"][0]
        if what == "env":
            base["env"] += [{"name": f"V{number}", "value": "x"} for number in range(count)]
        elif what == "volumeMounts":
            base["volumeMounts"] += [{"name": "scratch", "mountPath": f"/m/{number}"} for number in range(count)]
        else:
            pod["metadata"]["annotations"] |= {f"a{number}": "x" for number in range(count)}
        check(pod, team, expected)

    assert growth.doubling(work, 1000) < growth.LINEAR
