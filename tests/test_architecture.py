"""The picture of the code names what is there."""

from __future__ import annotations

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


def test_contributing_fits_on_two_screens() -> None:
    assert len((ROOT / "CONTRIBUTING.md").read_text().splitlines()) < 80


def _is_there(place: str) -> bool:
    if place.endswith("/"):
        return (PACKAGE / place).is_dir()
    return any(PACKAGE.rglob(f"{place}.py"))
