"""The picture of the code names what is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "architecture.md").read_text()
PACKAGE = ROOT / "airflow_k8s_vault"
# What a box shows that is neither folder nor module.
OUTSIDE = {"dag", "conn", "revoked", "value"}


def test_every_box_is_a_folder_or_a_module_of_that_name() -> None:
    boxes = set(re.findall(r"\b(\w+)\[\"([^\"]+)\"\]", TEXT)) | set(
        re.findall(r"subgraph (\w+)\[\"([^\"]+)\"\]", TEXT)
    )
    places = {label.partition(":")[0].strip() for name, label in boxes if name not in OUTSIDE}

    missing = [place for place in places if not _is_there(place)]
    assert [] == missing
    assert len(places) > 15


def test_every_path_that_the_page_names_is_there() -> None:
    named = set(re.findall(r"`((?:[a-z_]+/)+(?:[a-z_]+\.py)?)`", TEXT))

    assert [] == [name for name in sorted(named) if not (PACKAGE / name).exists() and not (ROOT / name).exists()]


def test_every_room_of_the_package_is_on_the_page() -> None:
    rooms = {folder.name for folder in PACKAGE.iterdir() if (folder / "__init__.py").is_file()}

    assert set() == {room for room in rooms if f"{room}/" not in TEXT}


def test_every_room_has_a_contract_for_its_door() -> None:
    rooms = {folder.name for folder in PACKAGE.iterdir() if (folder / "__init__.py").is_file()}
    protected = set(
        re.findall(r"^protected_modules = airflow_k8s_vault\.(\w+)\.\*$", (ROOT / "setup.cfg").read_text(), re.M)
    )

    assert rooms == protected


def test_a_module_has_less_than_300_lines() -> None:
    modules = [*PACKAGE.rglob("*.py"), *(ROOT / "devcluster/k8s_vault_devcluster").rglob("*.py")]
    lines = {module.relative_to(ROOT).as_posix(): len(module.read_text().splitlines()) for module in modules}

    assert {} == {name: count for name, count in lines.items() if count >= 300}


def test_contributing_fits_on_two_screens() -> None:
    assert len((ROOT / "CONTRIBUTING.md").read_text().splitlines()) < 80


def _is_there(place: str) -> bool:
    if place.endswith("/"):
        return (PACKAGE / place).is_dir()
    return any(PACKAGE.rglob(f"{place}.py"))


# Of what the package has just written itself, or read with an `except` for RecursionError of its own.
_OWN_JSON = {
    "json_text.py",
    "templates/spelling.py",
    "operators/trial.py",
    "compile/plan/hcl.py",
    "migrate/differences.py",
    "policy/known_secrets.py",
}


def test_json_from_elsewhere_is_read_where_no_depth_is_a_crash() -> None:
    matches = set()
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("json.loads", "json.load"):
                argument = ast.unparse(node.args[0])
                name = file.relative_to(PACKAGE).as_posix()
                if not argument.startswith("json.dumps(") and name not in _OWN_JSON:
                    matches.add(f"{name}: {argument}")

    assert set() == matches
