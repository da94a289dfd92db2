"""docs/security.md names tests that are there, lists what the canary suite searches, and its policy is valid."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from airflow.providers.cncf.kubernetes.utils.xcom_sidecar import PodDefaults

from airflow_k8s_vault import config, teams
from tests.canary import __main__ as canary

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/security.md"
TEXT = PAGE.read_text()
NAMED = sorted(set(re.findall(r"`(tests/[\w./]+(?:::\w+)?)`", TEXT)))
LINKED = sorted(set(re.findall(r"\]\(([\w./-]+)\)", TEXT)))
POLICY = list(yaml.safe_load_all((ROOT / "docs/admission/team-payments.yaml").read_text()))


def _functions(path: Path) -> set[str]:
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("name", NAMED)
def test_a_test_that_the_page_names_is_there(name: str) -> None:
    path, _, function = name.partition("::")

    assert (ROOT / path).is_file()
    assert not function or function in _functions(ROOT / path)


@pytest.mark.parametrize("link", LINKED)
def test_a_file_that_the_page_links_to_is_there(link: str) -> None:
    assert (PAGE.parent / link).is_file()


def _rows_of_claims() -> list[str]:
    sections = [part for part in re.split(r"^## ", TEXT, flags=re.MULTILINE) if not part.startswith("Where")]
    rows = [line for part in sections for line in part.splitlines() if line.startswith("| ")]
    return [row for row in rows if not row.startswith(("| who ", "| |"))]


@pytest.mark.parametrize("row", _rows_of_claims(), ids=lambda row: row.split("|")[1].strip(" *"))
def test_each_claim_names_a_test_or_says_that_none_can_be(row: str) -> None:
    assert re.search(r"`tests/[\w./]+::\w+`|no test", row)


def test_the_page_lists_what_the_canary_suite_searches() -> None:
    assert canary.table() in TEXT, "put what `python -m tests.canary` prints into docs/security.md"


@pytest.mark.parametrize("part", POLICY, ids=lambda part: part["kind"])
@pytest.mark.parametrize("version", ["1.30", "1.35"])
def test_the_example_policy_is_what_kubernetes_takes(part: dict[str, Any], version: str) -> None:
    kubernetes_validate.validate(part, version, strict=True)


def test_the_example_policy_holds_what_the_teams_file_says() -> None:
    team = teams.load("payments", ROOT / "pod_templates")
    spec, binding = POLICY[0]["spec"], POLICY[1]["spec"]
    (images,) = (v["expression"] for v in spec["variables"] if v["name"] == "images")
    agent = next(setting.default for setting in config.SETTINGS if setting.name == "vault_agent_image")
    labels = binding["matchResources"]["namespaceSelector"]["matchLabels"]

    assert {*team.images.values(), agent, PodDefaults.SIDECAR_CONTAINER.image} == set(yaml.safe_load(images))
    assert f'"{team.service_account}"' in spec["validations"][0]["expression"]
    assert labels == {"kubernetes.io/metadata.name": team.namespace}
    assert binding["policyName"] == POLICY[0]["metadata"]["name"]
