"""Images of one's own: folders of this machine that `airflow k8s-vault dev image add` gave a name.

What is in the folder says what it becomes:

- a virtual environment (`pyvenv.cfg`): at its own path, first in PATH, with the interpreter it was made with;
- a root folder, as `docker export` writes it (`usr` or `bin` in it): the container's root;
- anything else: a Python image with the folder at /app, where its processes start.

The names are kept in a file, which the kubelet reads at each pull. Folders stay where they are, unchanged.

Needed by `dev image`.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import replace
from pathlib import Path

from airflow_k8s_vault.errors import K8sVaultError
from k8s_vault_devcluster.kubelet import images
from k8s_vault_devcluster.kubelet.images import PATH, PROFILES, Profile

_PYTHON = PROFILES["docker.io/library/python:3.12-slim"]
_APP = "/app"


class LocalImageError(K8sVaultError):
    """The image cannot be added."""


class LocalImages:
    """The images that are named in `file`, a JSON object of full name to folder; none where there is no file."""

    def __init__(self, file: Path | None) -> None:
        self._file = file

    def folders(self) -> dict[str, str]:
        with contextlib.suppress(FileNotFoundError):
            if self._file:
                return dict(json.loads(self._file.read_text()))
        return {}

    def get(self, full_name: str) -> Profile | None:
        """Return the profile of an image, built in or of one's own; None where there is none of that name."""
        if profile := PROFILES.get(full_name):
            return profile
        folder = self.folders().get(full_name)
        return _profile(full_name, Path(folder)) if folder and Path(folder).is_dir() else None

    def names(self) -> list[str]:
        return sorted(map(images.short, {*PROFILES, *self.folders()}))

    def add(self, name: str, folder: Path) -> str:
        """Name a folder; return the full name. Raises LocalImageError, with what is wrong with name and folder."""
        full_name = images.normalised(name)
        if full_name is None:
            raise LocalImageError(f"{name!r} is no name of an image: 'etl:dev', 'registry.example.com/etl:1'.")
        if full_name in PROFILES:
            raise LocalImageError(f"{name} is an image that devcluster has: give yours another name or tag.")
        if not folder.is_dir():
            raise LocalImageError(f"There is no folder {folder}: an image is a folder, or a virtual environment.")
        self._write({**self.folders(), full_name: str(folder.absolute())})
        return full_name

    def remove(self, name: str) -> None:
        full_name, folders = images.normalised(name), self.folders()
        if full_name not in folders:
            raise LocalImageError(
                f"There is no image {name} of your own. There are: {', '.join(folders) or 'none'}."
            )
        self._write({other: folder for other, folder in folders.items() if other != full_name})

    def _write(self, folders: dict[str, str]) -> None:
        if self._file:
            draft = self._file.with_name(f".{self._file.name}")
            draft.write_text(json.dumps(folders, indent=2))
            draft.rename(self._file)


def kind_of(folder: Path) -> str:
    """Return what a folder becomes: "venv", "root" or "app"."""
    if (folder / "pyvenv.cfg").is_file():
        return "venv"
    return "root" if any((folder / name).is_dir() for name in ("usr", "bin")) else "app"


def _profile(name: str, folder: Path) -> Profile:
    kind = kind_of(folder)
    if kind == "root":
        return Profile(name, (), extra="root", cmd=("/bin/sh",), source=folder)
    if kind == "venv":
        env = {"PATH": f"{folder}/bin:{PATH}", "VIRTUAL_ENV": str(folder), "LANG": "C.UTF-8"}
        return replace(_PYTHON, name=name, extra="venv", env=env, source=folder)
    return replace(_PYTHON, name=name, extra="app", source=folder, working_dir=_APP)


def interpreter_links(folder: Path) -> list[Path]:
    """Return the paths outside of a virtual environment by which its python leads to the interpreter, the last."""
    path, links = folder / "bin" / "python", []
    while path.is_symlink():
        path = Path(os.path.normpath(path.parent / os.readlink(path)))
        if not path.is_relative_to(folder):
            links.append(path)
    return links
