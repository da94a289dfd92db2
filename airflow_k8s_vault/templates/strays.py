"""Files of a templates folder that look like templates, or like a team's file, and are never found."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from airflow_k8s_vault import teams
from airflow_k8s_vault.templates.folder import NAME, SUFFIX
from airflow_k8s_vault.templates.variables import VARIABLES_SUFFIX

# What people, and other tools, call templates of pods.
_KINDS = (".yaml", ".yml", ".json", "")
_ENDINGS = (
    *(f"{kind}{jinja}" for jinja in (".j2", ".jinja2", ".jinja", ".tpl") for kind in _KINDS),
    ".yaml",
    ".yml",
)
_FILES = {"team": "team.yaml", "platform": "platform.yaml"}


class Stray(NamedTuple):
    """A file below the folder ("payments/x.yml.j2"), what is wrong with it, and the name that it should have."""

    file: str
    sentence: str
    name: str


def of(root: Path, referenced: frozenset[str] = frozenset()) -> Iterator[Stray]:
    """Yield the strays of the folder and of its sub-folders; what a template includes is none."""
    yield from _in_folder(root, "", referenced)
    for folder in sorted(root.iterdir()):
        if not folder.is_dir() or folder.name.startswith((".", "_")):
            continue
        matches = list(_in_folder(folder, f"{folder.name}/", referenced))
        is_team = (folder / "team.yaml").exists()
        if is_team and not teams.is_name(folder.name):
            yield Stray(f"{folder.name}/team.yaml", "is never found: a team's folder is named in lower case", "")
        is_misnamed = any(stray.name == "team.yaml" for stray in matches)
        is_of_parts = any(file.startswith(f"{folder.name}/") for file in referenced)
        if any(folder.glob(f"*{SUFFIX}")) and not (is_team or is_misnamed or is_of_parts):
            yield Stray(folder.name, "holds templates and no team.yaml: no task can use them", "")
        yield from matches


def near(root: Path, team: str, short: str) -> Iterator[Stray]:
    """Yield the strays that somebody who asks for the template of that name may mean."""
    for folder, prefix in ((root / team, f"{team}/"), (root, "")):
        for stray in _in_folder(folder, prefix, frozenset()):
            if stray.name == f"{short.lower()}{SUFFIX}":
                yield stray


def _in_folder(folder: Path, prefix: str, referenced: frozenset[str]) -> Iterator[Stray]:
    files = sorted(file.name for file in folder.iterdir() if file.is_file()) if folder.is_dir() else []
    for name in files:
        if name.startswith((".", "_")) or f"{prefix}{name}" in referenced:
            continue
        if name.endswith(VARIABLES_SUFFIX):
            template = f"{name.removesuffix(VARIABLES_SUFFIX)}{SUFFIX}"
            if template not in files and f"_{template}" not in files:
                yield Stray(f"{prefix}{name}", f"declares variables of {template}, which is not there", "")
        elif expected := _expected_name(name, is_team=bool(prefix)):
            yield Stray(f"{prefix}{name}", f"is never used: name it {expected}", expected)


def _expected_name(name: str, *, is_team: bool) -> str | None:
    """Return the name that a file should have; None where it has that, or looks like no file of this folder."""
    ending = next((ending for ending in _ENDINGS if name.lower().endswith(ending)), None)
    if ending is None:
        return None
    short = name[: -len(ending)]
    own = _FILES["team" if is_team else "platform"]
    if short.lower() == own.removesuffix(".yaml") and ending in (".yaml", ".yml"):
        return None if name == own else own
    if name.endswith(SUFFIX) and NAME.fullmatch(short):
        return None
    short = short.lower()
    if not NAME.fullmatch(short):
        short = re.sub(r"[^a-z0-9._-]+", "-", short).strip("._-") or "template"
    return f"{short}{SUFFIX}"
