"""`airflow k8s-vault dev image add`, `list` and `remove`: folders of this machine as images for pods."""

from __future__ import annotations

import argparse
from pathlib import Path

from k8s_vault_devcluster.commands import folder_of, reports_errors, say
from k8s_vault_devcluster.kubelet.local_images import LocalImages, kind_of
from k8s_vault_devcluster.stack import IMAGES

_KINDS = {
    "venv": "a virtual environment, at its own path and first in PATH",
    "root": "the container's root folder",
    "app": "files at /app, with Python",
}


def _images(arguments: argparse.Namespace) -> LocalImages:
    folder = folder_of(arguments)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return LocalImages(folder / IMAGES)


@reports_errors
def add(arguments: argparse.Namespace) -> None:
    """Name a folder; pods find the image at once."""
    path = Path(arguments.path).absolute()
    name = _images(arguments).add(arguments.name, path)
    say(f"{name}: {path}, {_KINDS[kind_of(path)]}")


@reports_errors
def list_(arguments: argparse.Namespace) -> None:
    """Print each image of one's own with its folder."""
    for name, path in _images(arguments).folders().items():
        print(f"{name}  {path}  {_KINDS[kind_of(Path(path))] if Path(path).is_dir() else 'no such folder'}")


@reports_errors
def remove(arguments: argparse.Namespace) -> None:
    """Forget an image; its folder is left alone."""
    _images(arguments).remove(arguments.name)
