"""Files below the folder of templates: what is found to lie there is what is read."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from airflow_k8s_vault import teams, templates
from airflow_k8s_vault.errors import K8sVaultError, TeamError, TemplateError
from airflow_k8s_vault.teams import files
from airflow_k8s_vault.teams.files import UnreadableFile

TEAM = "namespace: a\nservice_account: a\nvault_role: a\nimages: {x: etl:1}\n"
POD = "apiVersion: v1\nkind: Pod\nspec: {containers: [{name: base, image: etl:1}]}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "pod_templates"
    (root / "a").mkdir(parents=True)
    (root / "a" / "team.yaml").write_text(TEAM)
    (root / "a" / "x.yaml.j2").write_text(POD)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("hunter2: x\n")
    return root


def test_a_link_within_the_folder_is_followed_as_configmaps_and_git_sync_have_them(folder: Path) -> None:
    (folder / "..data").mkdir()
    (folder / "..data" / "y").write_text(POD)
    (folder / "a" / "y.yaml.j2").symlink_to("../..data/y")
    (folder.parent / "current").symlink_to(folder)

    assert "a" == templates.find("a/y", folder.parent / "current").render({})["metadata"]["namespace"]


@pytest.mark.parametrize("name", ["a/x.yaml.j2", "a/x.vars.yaml", "a/team.yaml", "platform.yaml"])
def test_a_link_that_leaves_the_folder_is_not_read(name: str, folder: Path) -> None:
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(folder.parent / "outside" / "secret")

    with pytest.raises(K8sVaultError, match="is a link that leaves") as refused:
        templates.find("a/x", folder).render({})
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("at", ["a/x.yaml.j2", "a"])
def test_a_link_that_is_put_there_between_the_look_and_the_reading_is_not_followed(
    at: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = folder.parent / "outside"
    (outside / "x.yaml.j2").write_text("hunter2")
    looks = os.path.realpath

    def look_and_swap(path: str) -> str:
        matches = looks(path)
        if not (folder / at).is_symlink():
            (folder / at).rename(folder.parent / "was")
            (folder / at).symlink_to(outside if at == "a" else outside / "secret")
        return matches

    monkeypatch.setattr(os.path, "realpath", look_and_swap)

    with pytest.raises(UnreadableFile, match="leaves"):
        files.read(folder, "a/x.yaml.j2")


def test_a_file_that_others_change_all_the_time_never_gives_what_lies_elsewhere(folder: Path) -> None:
    file, inside, outside = folder / "a" / "x.yaml.j2", folder / "inside", folder.parent / "outside" / "secret"
    inside.write_text(POD)
    stopped = threading.Event()

    def swap() -> None:
        number = 0
        while not stopped.is_set():
            number += 1
            link = folder / f"link{number % 2}"
            link.unlink(missing_ok=True)
            link.symlink_to(outside if number % 2 else inside)
            link.replace(file)

    swapping = threading.Thread(target=swap)
    swapping.start()
    read = set()
    for _ in range(2000):
        with contextlib.suppress(UnreadableFile):
            read.add(files.read(folder, "a/x.yaml.j2")[0])
    stopped.set()
    swapping.join()

    assert {POD} == read


def _pipe(file: Path) -> None:
    os.mkfifo(file)


def _folder(file: Path) -> None:
    file.mkdir()


def _bytes(file: Path) -> None:
    file.write_bytes(b"a: \xff\n")


def _long(file: Path) -> None:
    file.write_text("# a\n" * 100_000)


def _loop(file: Path) -> None:
    file.symlink_to(file)


def _socket(file: Path) -> None:
    os.mknod(file, 0o600 | 0o140000)


ODD: list[Callable[[Path], None]] = [_pipe, _folder, _bytes, _long, _loop, _socket]


@pytest.mark.parametrize("make", ODD)
@pytest.mark.parametrize("name", ["a/x.vars.yaml", "a/team.yaml", "platform.yaml", "a/part.yaml.j2"])
def test_what_is_no_text_of_a_sensible_length_is_an_error_with_its_name(
    name: str, make: Callable[[Path], None], folder: Path
) -> None:
    (folder / "a" / "x.yaml.j2").write_text('{% include "a/part.yaml.j2" %}' + POD)
    (folder / "a" / "part.yaml.j2").write_text("")
    (folder / name).unlink(missing_ok=True)
    make(folder / name)

    with pytest.raises((TeamError, TemplateError)) as refused:
        templates.find("a/x", folder).render({})
    assert name in str(refused.value)


def test_a_file_that_may_not_be_read_is_an_error_of_its_team_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "b").mkdir()
    (folder / "b" / "team.yaml").write_text(TEAM)
    opens = os.open

    def refuse(path: str, *given: int, **named: int | None) -> int:
        if path == "team.yaml" and os.readlink(f"/proc/self/fd/{named['dir_fd']}").endswith("/b"):
            raise PermissionError(13, "Permission denied")
        return opens(path, *given, **named)

    monkeypatch.setattr(os, "open", refuse)

    with pytest.raises(TeamError, match=r"pod_templates/b/team.yaml cannot be read: Permission denied"):
        teams.load("b", folder)
    assert "a" == teams.load("a", folder).namespace
