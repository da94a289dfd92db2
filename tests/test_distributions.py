"""What is released: two wheels, of which the one for production holds no line of the stand-in."""

from __future__ import annotations

import ast
import configparser
import email
import json
import re
import shutil
import subprocess
import sys
import zipfile
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
# The folder of each distribution, and its package.
DISTRIBUTIONS = {"": "airflow_k8s_vault", "devcluster": "k8s_vault_devcluster"}


def built(folder: str, target: Path) -> zipfile.ZipFile:
    """The wheel of a distribution, built from a copy: setuptools would take in what an earlier build left."""
    package, source = DISTRIBUTIONS[folder], target / "source"
    source.mkdir()
    for name in ("setup.cfg", "setup.py", "pyproject.toml", "README.md", "LICENSE"):
        if (ROOT / folder / name).exists():
            shutil.copy(ROOT / folder / name, source)
    shutil.copytree(ROOT / folder / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    uv = Path(sys.executable).with_name("uv")
    command: list[object] = [uv, "build", "-q", "--wheel", "--out-dir", target, source]
    if not uv.exists():
        command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--wheel-dir", target, source]
    subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True)
    return zipfile.ZipFile(next(target.glob("*.whl")))


@pytest.fixture(scope="module", params=DISTRIBUTIONS, ids=lambda folder: folder or "main")
def wheel(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, zipfile.ZipFile]:
    return request.param, built(request.param, tmp_path_factory.mktemp("wheel"))


def metadata(wheel: zipfile.ZipFile) -> Any:
    (name,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    return email.message_from_bytes(wheel.read(name))


def test_a_wheel_holds_its_own_package_with_all_of_its_files_and_nothing_else(
    wheel: tuple[str, zipfile.ZipFile],
) -> None:
    folder, made = wheel
    package = ROOT / folder / DISTRIBUTIONS[folder]

    held = {name for name in made.namelist() if ".dist-info/" not in name}
    files = {
        str(file.relative_to(package.parent))
        for file in package.rglob("*")
        if file.is_file() and file.suffix != ".pyc"
    }
    assert files == held


def test_the_wheel_for_production_holds_no_line_of_the_stand_in(wheel: tuple[str, zipfile.ZipFile]) -> None:
    folder, made = wheel
    naming = [name for name in made.namelist() if b"k8s_vault_devcluster" in made.read(name)]
    requires = metadata(made).get_all("requires-dist")

    if folder:
        assert "airflow-k8s-vault" in requires
    else:
        assert [] == naming
        assert [] == [line for line in requires if "devcluster" in line or "openbao" in line]


def test_both_have_the_version_at_the_top_of_the_changelog(wheel: tuple[str, zipfile.ZipFile]) -> None:
    heading = next(line for line in (ROOT / "CHANGELOG.md").read_text().splitlines() if line.startswith("## "))

    assert re.fullmatch(
        rf"## {re.escape(metadata(wheel[1])['version'])} \((unreleased|\d{{4}}-\d\d-\d\d)\)", heading
    )


def test_every_dependency_has_a_version_in_the_constraints() -> None:
    pinned = {line.partition("==")[0].lower() for line in (ROOT / "constraints.txt").read_text().splitlines()}
    for folder in DISTRIBUTIONS:
        config = configparser.ConfigParser()
        config.read(ROOT / folder / "setup.cfg")
        for line in config["options"]["install_requires"].splitlines():
            name = re.split(r"[\[<>=!]", line)[0].strip().lower()
            # Ours, and what only gathers Airflow's own distributions.
            assert name in (*pinned, "", "airflow-k8s-vault", "apache-airflow"), name


def test_each_module_of_the_stand_in_says_who_needs_it() -> None:
    """What nobody needs is not there. A module on one screen says it by its size."""
    modules = (ROOT / "devcluster" / DISTRIBUTIONS["devcluster"]).rglob("*.py")
    texts = {str(module.relative_to(ROOT)): module.read_text() for module in modules}
    longer = {name: ast.get_docstring(ast.parse(text)) for name, text in texts.items() if text.count("\n") > 40}

    assert [] == [name for name, docstring in longer.items() if "Needed by" not in (docstring or "")]


def advisories() -> Any:
    loader = SourceFileLoader("advisories", str(ROOT / ".ci" / "advisories"))
    made = module_from_spec(spec_from_loader("advisories", loader))  # type: ignore[arg-type]
    loader.exec_module(made)
    return made


MENDED = {"id": "PYSEC-1", "fix_versions": ["2"]}


@pytest.mark.parametrize(
    ("packages", "status", "reason"),
    [
        ([{"name": "a", "version": "1", "vulns": []}], 0, "No advisory is known for the 1 pinned packages"),
        ([{"name": "a", "version": "1", "vulns": [MENDED]}], 1, "a 1: PYSEC-1 (mended in 2)"),
        ([{"name": "a", "skip_reason": "not there"}], 2, "could not be asked about 1 of 1 packages"),
        (None, 2, "could not be asked about any package"),
    ],
    ids=["none", "one", "skipped", "no report"],
)
def test_what_could_not_be_looked_up_is_never_told_as_sound(packages: Any, status: int, reason: str) -> None:
    report = json.dumps({"dependencies": packages}) if packages is not None else ""

    ended, message = advisories().judged(report, "pypi")

    assert status == ended
    assert reason in message


def test_the_description_on_pypi_has_no_link_that_leads_nowhere_there(wheel: tuple[str, zipfile.ZipFile]) -> None:
    described = metadata(wheel[1]).get_payload()

    assert "airflow" in described
    assert [] == re.findall(r"\]\((?!https?:)[^)]*\)", described)


def test_a_description_links_into_the_repository_once_its_address_is_known() -> None:
    loader = SourceFileLoader("described", str(ROOT / "setup.py"))
    spec = spec_from_loader("described", loader)
    assert spec is not None
    module: Any = module_from_spec(spec)
    loader.exec_module(module)
    text = "[walls](docs/walls.md#roles) [kpo](https://example.com) ![page](docs/a.png)"

    assert "walls [kpo](https://example.com) " == module.described(text, "")
    assert (
        "[walls](https://git.example.com/a/blob/HEAD/docs/walls.md#roles) [kpo](https://example.com) "
        "![page](https://git.example.com/a/raw/HEAD/docs/a.png)"
    ) == module.described(text, "https://git.example.com/a")
