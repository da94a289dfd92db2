"""Images of one's own, and what real templates have beside them, in pods that run."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from k8s_vault_devcluster.kubelet.local_images import LocalImageError, LocalImages

from tests.devcluster.one_node import OneNode, on_one_node, sh

CODE = "import sys; print(sys.prefix, sys.version_info[:2] == {version}); import ours; print(ours.WORD)"


def images_of(node: OneNode) -> LocalImages:
    return LocalImages(node.root.with_name("images.json"))


def folder(node: OneNode, name: str) -> Path:
    made = node.root.with_name(name)
    made.mkdir()
    return made


@on_one_node
async def test_a_virtual_environment_is_an_image_with_its_packages(node: OneNode) -> None:
    made = folder(node, "venv")
    venv.create(made, symlinks=True)
    (package,) = made.glob("lib/python3*/site-packages")
    (package / "ours.py").write_text("WORD = 'packaged'\n")
    images_of(node).add("registry.example.com/etl:dev", made)
    code = CODE.format(version=sys.version_info[:2])

    # As root, which writes everywhere but here; and by a user without rights.
    for number, security in enumerate(({}, {"runAsUser": 10001})):
        name = f"pod-{number}"
        container = {"name": "base", "image": "registry.example.com/etl:dev", "command": ["python", "-c", code]}
        node.pod({**container, "securityContext": security}, name=name)
        await node.over(name)

        assert f"{made} True\npackaged\n" == await node.log(name=name)


@on_one_node
async def test_a_folder_is_at_app_where_its_processes_start_and_stays_as_it_is(node: OneNode) -> None:
    made = folder(node, "project")
    (made / "load.py").write_text("print('loaded')\n")
    images_of(node).add("etl:dev", made)

    log = await node.output("pwd; python -m load; touch written 2>/dev/null || echo no", image="etl:dev")

    assert "/app\nloaded\nno\n" == log
    assert [made / "load.py"] == list(made.iterdir())


@on_one_node
async def test_a_root_folder_is_the_containers_root(node: OneNode) -> None:
    made = folder(node, "root")
    (made / "etc").mkdir()
    _with_shell(made)
    images_of(node).add("mine:1", made)

    log = await node.output("echo *; echo x > /etc/new && echo written", image="mine:1")

    assert {"bin", "dev", "etc", "proc"} <= set(log.splitlines()[0].split())
    assert "home" not in log
    assert log.endswith("written\n")
    assert not (made / "etc/new").exists()


def _with_shell(root: Path) -> None:
    """Put this machine's shell into a root folder, and the libraries that it needs."""
    needed = subprocess.run(["ldd", "/bin/sh"], capture_output=True, text=True, check=True).stdout
    for file in ["/bin/sh", *re.findall(r"(/\S+) \(", needed)]:
        (root / file[1:]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, root / file[1:])


@on_one_node
async def test_an_image_that_was_removed_is_not_found_any_more(node: OneNode) -> None:
    images = images_of(node)
    images.add("etl:dev", folder(node, "project"))
    images.remove("etl:dev")
    node.pod(sh("true", image="etl:dev"))

    waiting = await node.waiting("ErrImagePull")

    assert "docker.io/library/etl:dev: not found (devcluster has: alpine:3.24.2, " in waiting["message"]


@pytest.mark.parametrize(
    ("name", "where", "message"),
    [
        ("Up Case", ".", "'Up Case' is no name of an image"),
        ("python:3.12-slim", ".", "is an image that devcluster has"),
        ("etl:dev", "nope", "There is no folder"),
    ],
)
def test_what_can_be_no_image_is_refused(tmp_path: Path, name: str, where: str, message: str) -> None:
    with pytest.raises(LocalImageError, match=message):
        LocalImages(tmp_path / "images.json").add(name, tmp_path / where)


@on_one_node
async def test_host_aliases_are_in_the_hosts_file_and_resolve(node: OneNode) -> None:
    aliases = [{"ip": "127.0.0.9", "hostnames": ["db.internal", "db"]}, {"ip": "::1", "hostnames": ["v6"]}]
    code = "import socket; print(open('/etc/hosts').read(), socket.gethostbyname('db.internal'))"
    container = {"name": "base", "image": "python:3.12-slim", "command": ["python", "-c", code]}
    node.pod(container, hostAliases=aliases)
    await node.over()

    log = await node.log()

    assert "\n# Entries added by HostAliases.\n127.0.0.9\tdb.internal\tdb\n::1\tv6\n" in log
    assert log.endswith(" 127.0.0.9\n")
