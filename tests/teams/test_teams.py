"""Teams: what team.yaml and platform.yaml may hold, and what a team's ceiling covers."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from airflow_k8s_vault import teams
from airflow_k8s_vault.errors import TeamError
from airflow_k8s_vault.teams import key, team_file
from airflow_k8s_vault.teams.ceiling import covers
from tests import growth
from tests.templates.conftest import TEAM


def load(tmp_path: Path, text: str, platform: str | None = None) -> teams.Team:
    folder = tmp_path / "pod_templates"
    (folder / "payments").mkdir(parents=True, exist_ok=True)
    (folder / "payments" / "team.yaml").write_text(text)
    if platform is not None:
        (folder / "platform.yaml").write_text(platform)
    return teams.load("payments", folder)


def test_every_mistake_in_a_teams_file_is_told_at_once_with_its_line(tmp_path: Path) -> None:
    text = (
        TEAM.replace("vault_role", "vault_rol").replace("[cmds]", "[cmd, image]").replace("team-pay", "Team_pay")
    )

    with pytest.raises(TeamError) as refused:
        load(tmp_path, text)

    assert str(refused.value) == (
        "pod_templates/payments/team.yaml has 4 mistakes:\n"
        "  - line 1: namespace is 'Team_payments'; it must be the name of a Kubernetes namespace "
        "(lower case, digits, -).\n"
        "  - line 1: vault_role is missing. Role of Vault's auth method that the pods log in to.\n"
        "  - line 3: vault_rol is no key of this file. Did you mean 'vault_role'?\n"
        "  - line 6: overridable[0] is 'cmd'; it must be a KubernetesPodOperator argument that can be opened. "
        "Did you mean 'cmds'?"
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "must hold keys and values"),
        ("- a", "must hold keys and values"),
        (TEAM + "namespace: other\n", "key 'namespace' is there twice (first in line 1)"),
        (TEAM.replace('{etl: "postgres:18"}', "[postgres]"), "it must be a mapping"),
        (TEAM.replace('"postgres:18"', '"Postgres:18"'), "images.etl is 'Postgres:18'"),
        (TEAM.replace('"postgres:18"', '"рostgres:18"'), "images.etl is 'рostgres:18'"),
        (TEAM.replace("secret/payments/*", "'*'"), "secrets[0] is '*'"),
        (TEAM.replace("secret/payments/*", "'*/payments'"), "secrets[0] is '*/payments'"),
        (TEAM.replace("secret/payments/*", "secret/../x"), "secrets[0] is 'secret/../x'"),
        (TEAM.replace("secret/payments/*", "secret//x"), "secrets[0] is 'secret//x'"),
        (TEAM.replace("secret/payments/*", "secret/pay?"), "secrets[0] is 'secret/pay?'"),
        (TEAM.replace("[secret/payments/*]", "secret/payments/*"), "it must be a list"),
        (
            TEAM + "agent: {run_as_user: 0}\n",
            "agent.run_as_user is 0; it must be a user's number other than 0",
        ),
        (TEAM + "agent: {resources: {limits: {cpu: lots}}}\n", "agent.resources.limits.cpu is 'lots'"),
        (TEAM + "agent: {image: x}\n", "image is no key of agent"),
        (TEAM + "pod_security: strict\n", "it must be one of privileged, baseline, restricted"),
        (TEAM.replace("[cmds]", "[full_pod_spec]"), "an argument that can be opened"[3:11]),
    ],
)
def test_a_file_that_is_not_valid_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(TeamError) as refused:
        load(tmp_path, text)

    assert reason in str(refused.value)


def test_a_team_narrows_the_platforms_limits_and_never_widens_them(tmp_path: Path) -> None:
    narrow = "overridable: [cmds, labels]\npod_security: baseline\n"

    wide = load(tmp_path, TEAM.replace("[cmds]", "[cmds, image]") + "pod_security: privileged\n", narrow)
    strict = load(tmp_path, TEAM + "pod_security: restricted\n", narrow)

    assert (("cmds",), "baseline") == (wide.overridable, wide.pod_security)
    assert "restricted" == strict.pod_security


CEILINGS = [
    ("secret/payments/*", "secret/payments/warehouse", True),
    ("secret/payments/*", "secret/payments/eu/warehouse", True),
    ("secret/payments/*", "secret/payments", False),
    ("secret/payments/*", "secret/payments/", False),
    ("secret/payments/*", "secret/payments-eu/warehouse", False),
    ("secret/payments/*", "secret/Payments/warehouse", False),
    ("secret/payments/*", "secret/data/payments/warehouse", False),
    ("secret/payments/*", "secret/payments/../other/x", False),
    ("secret/payments/*", "secret/payments//x", False),
    ("secret/payments/*", "secret/payments/./x", False),
    ("secret/payments/*", "/secret/payments/x", False),
    ("secret/payments/*", "secret/payments/x\n", False),
    ("secret/payments/*", "secret/payments/x ", False),
    ("secret/payments/*", "secret/payments/%2e%2e/x", False),
    ("secret/payments/*", "other/secret/payments/x", False),
    ("secret/payments/*", "secret/раyments/x", False),
    ("secret/payments*", "secret/payments-eu", True),
    ("secret/payments*", "secret/payments", True),
    ("secret/payments*", "secret/payments-eu/warehouse", False),
    ("database/creds/payments-*", "database/creds/payments-ro", True),
    ("database/creds/payments-*", "database/creds/payments-ro/x", False),
    ("database/creds/payments-*", "database/creds/other", False),
    ("secret/*/shared", "secret/payments/shared", True),
    ("secret/*/shared", "secret/a/b/shared", False),
    ("secret/a.b", "secret/a.b", True),
    ("secret/a.b", "secret/axb", False),
]


@pytest.mark.parametrize(("ceiling", "path", "covered"), CEILINGS)
def test_a_ceiling_covers_what_it_says(tmp_path: Path, ceiling: str, path: str, covered: bool) -> None:
    team = load(tmp_path, TEAM.replace("[secret/payments/*]", f"['{ceiling}']"))

    assert covered == team.allows_path(path)


SEGMENT = st.text("ab.*-/ \n", max_size=6)


@given(st.lists(SEGMENT, min_size=1, max_size=5))
def test_nothing_outside_the_folder_is_ever_covered(segments: list[str]) -> None:
    team = teams.load("payments", Path(__file__).parents[2] / "pod_templates")
    path = "/".join(["secret", *segments])

    assert not team.allows_path(path) or path.startswith("secret/payments/")


def test_the_json_schema_agrees_with_the_check() -> None:
    schema = Draft202012Validator(key.json_schema(team_file.TEAM_KEYS))
    valid = yaml.safe_load(TEAM)

    assert schema.is_valid(valid)
    assert not schema.is_valid(valid | {"namespace": "A"})
    assert not schema.is_valid(valid | {"overridable": ["full_pod_spec"]})
    assert not schema.is_valid({"namespace": "a"})


def test_importing_teams_and_templates_brings_in_neither_airflow_nor_kubernetes() -> None:
    program = (
        "import sys, airflow_k8s_vault.teams, airflow_k8s_vault.templates, airflow_k8s_vault.policy;"
        "print(sorted({name.partition('.')[0] for name in sys.modules} & {'airflow', 'kubernetes', 'jsonschema'}))"
    )

    assert "[]\n" == subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout


WALLS = """\
limits: {cpu: 20, memory: 40Gi, pods: 50, cpu_per_pod: "2"}
egress:
  - {cidr: 10.1.0.0/16, ports: [5432]}
  - {namespace: brokers}
token_ttl: 1h
"""


def test_what_a_team_says_of_its_walls_is_read_and_the_stricter_life_counts(tmp_path: Path) -> None:
    walls = load(tmp_path, TEAM + WALLS, "token_ttl: 10m\ntoken_max_ttl: 8h\n").walls

    assert dict(walls.limits) == {"cpu": "20", "memory": "40Gi", "pods": "50", "cpu_per_pod": "2"}
    assert walls.egress is not None
    assert [(peer.cidr, peer.namespace, peer.ports) for peer in walls.egress] == [
        ("10.1.0.0/16", None, (5432,)),
        (None, "brokers", ()),
    ]
    assert (600, 8 * 3600) == (walls.token.ttl_seconds, walls.token.max_ttl_seconds)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("10m", 600), ("1h30m", 5400), ("1h0m5s", 3605), ("7d", 7 * 86400)],
)
def test_a_life_is_written_as_vault_takes_it(tmp_path: Path, text: str, seconds: int) -> None:
    assert seconds == load(tmp_path, f"{TEAM}token_ttl: {text}\n").walls.token.ttl_seconds


@pytest.mark.parametrize(
    "image",
    [
        f"registry.example.com/etl@sha512:{'0f' * 64}",
        "[2001:db8::1]:5000/payments/etl:1",
        "localhost:5000/a__b/c--d.e:_1.2-3",
    ],
)
def test_an_image_is_named_as_runtimes_take_it(tmp_path: Path, image: str) -> None:
    assert image in load(tmp_path, TEAM.replace('"postgres:18"', f'"{image}"')).images.values()


@pytest.mark.parametrize(
    ("walls", "message"),
    [
        ("limits: {cpus: 2}", "line 7: cpus is no key of limits. Did you mean 'cpu'?"),
        ("limits: {pods: many}", "limits.pods is 'many'; it must be a whole number."),
        ("limits: [2]", "limits is [2]; it must be a mapping of cpu, memory, pods"),
        ("egress: {cidr: 10.0.0.0/8}", "egress is {'cidr': '10.0.0.0/8'}; it must be a list"),
        ("egress: [everywhere]", "egress[0] is 'everywhere'; it must be a mapping of cidr, namespace, ports."),
        ("egress:\n  - cidr: 10.0.0.0/33", "line 8: egress[0].cidr is '10.0.0.0/33'; it must be an address range"),
        ("egress:\n  - {cidr: 300.0.0.0/8}", "egress[0].cidr is '300.0.0.0/8'"),
        ("egress:\n  - {namespace: a, ports: [70000]}", "egress[0].ports[0] is 70000; it must be a TCP port"),
        ("identity: task", "identity is 'task'; it must be team or dag."),
        ("token_ttl: soon", "token_ttl is 'soon'; it must be whole seconds, minutes, hours or days"),
        ("xcom: 3", "xcom is 3; it must be true or false."),
    ],
)
def test_a_mistake_in_the_walls_is_told_with_its_line(tmp_path: Path, walls: str, message: str) -> None:
    with pytest.raises(TeamError) as refused:
        load(tmp_path, f"{TEAM}{walls}\n")

    assert message in str(refused.value)


@pytest.mark.parametrize(
    "ceiling", ["secret/*a*a*b", "secret/*a*a*a*a*b/*", "secret/" + "*/" * 300 + "b", "secret/*a*"]
)
@pytest.mark.parametrize("tail", ["a" * 1000, "a/" * 500 + "a", "ab" * 500])
def test_a_ceiling_takes_time_in_proportion_to_the_path(ceiling: str, tail: str) -> None:
    def work(times: int) -> None:
        path = "secret/" + tail * times
        for _ in range(50):
            covers(ceiling, path)

    assert growth.doubling(work, 16) < growth.LINEAR


@settings(max_examples=300, deadline=None)
@given(
    st.text("ab*/", min_size=1, max_size=8).map(lambda text: f"s/{text}"),
    st.text("ab/", min_size=1, max_size=8).map(lambda text: f"s/{text}"),
)
def test_a_ceiling_covers_what_its_expression_matches(ceiling: str, path: str) -> None:
    below = ceiling.endswith("/*")
    segments = (ceiling[:-2] if below else ceiling).split("/")
    expression = "/".join(re.escape(segment).replace(r"\*", "[^/]*") for segment in segments)

    assert bool(re.fullmatch(expression + ("/.*" if below else ""), path)) is covers(ceiling, path)
