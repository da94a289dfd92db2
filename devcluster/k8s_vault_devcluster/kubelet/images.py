"""Images: profiles of this machine's own files, and what the kubelet says of any other name.

A profile names the programs an image has; `rootfs` lays them out. What is not named is not there, so that
`ubuntu:24.04` has no Python here either. User, command and environment are those of the images on Docker Hub.
Three differences a DAG author can see: no image has an entrypoint of its own, so that arguments name a program;
the tools are this machine's (GNU's, also where the image has BusyBox), and Python is the one that runs devcluster,
whose version the imageID tells.

Names are normalised as by github.com/distribution/reference, messages worded as by pkg/kubelet/images.

Needed by every pod: the images of the demo's, the tests' and the sample templates.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_COREUTILS = """
    [ b2sum base32 base64 basename cat chgrp chmod chown cksum comm cp csplit cut date dd df dir
    dircolors dirname du echo env expand expr factor false fmt fold groups head hostid id install join
    link ln logname ls md5sum mkdir mkfifo mknod mktemp mv nice nl nohup nproc numfmt od paste pathchk
    pinky pr printenv printf ptx pwd readlink realpath rm rmdir seq sha1sum sha224sum sha256sum sha384sum
    sha512sum shred shuf sleep sort split stat stdbuf stty sum sync tac tail tee test timeout touch tr
    true truncate tsort tty uname unexpand uniq unlink users vdir wc who whoami yes coreutils
""".split()  # noqa: SIM905 - a table of words
_SHELL = (*_COREUTILS, *"sh grep sed find xargs hostname which diff cmp".split())  # noqa: SIM905 - tables of words
_DEBIAN = (*_SHELL, "bash", "tar", "gzip")
_BUSYBOX = (*_SHELL, "awk", "kill", "pgrep", "pkill", "ps")


@dataclass(frozen=True)
class Profile:
    """What stands in for one image. `extra` is what comes from beside us: "python", "psql" or "bao"; of an
    image of one's own "venv", "root" or "app", which is in the folder `source`.
    """

    name: str
    tools: tuple[str, ...]
    extra: str | None = None
    uid: int = 0
    gid: int = 0
    user: str = "root"
    cmd: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=lambda: {"PATH": PATH}, hash=False)
    # Folders of the image that its own user may write to, beside /tmp.
    writable: tuple[str, ...] = ()
    source: Path | None = None
    working_dir: str = "/"

    @property
    def image_id(self) -> str:
        """As a runtime reports it, with a digest that no registry knows, and with Python's real version."""
        digest = hashlib.sha256(self.name.encode()).hexdigest()
        version = f"+python{sys.version_info.major}.{sys.version_info.minor}" if self.extra == "python" else ""
        return f"devcluster{version}/{self.name.rpartition(':')[0]}@sha256:{digest}"


_PYTHON_ENV = {"PATH": PATH, "LANG": "C.UTF-8"}
_POSTGRES_ENV = {"PATH": f"{PATH}:/usr/lib/postgresql/18/bin", "LANG": "en_US.utf8", "PG_MAJOR": "18"}
_PROFILES = [
    Profile("docker.io/library/python:3.12-slim", _DEBIAN, "python", cmd=("python3",), env=_PYTHON_ENV),
    Profile("docker.io/library/ubuntu:24.04", _DEBIAN, cmd=("/bin/bash",)),
    Profile("docker.io/library/postgres:18", _DEBIAN, "psql", cmd=("postgres",), env=_POSTGRES_ENV),
    Profile(
        "docker.io/openbao/openbao:2.7.2",
        _BUSYBOX,
        "bao",
        uid=100,
        gid=101,
        user="openbao",
        cmd=("bao",),
        writable=("/openbao/config", "/openbao/file", "/openbao/logs", "/home/openbao"),
    ),
    # Debian with git and OpenSSH's programs: what a task has that reads from a repository.
    Profile("docker.io/library/buildpack-deps:trixie-scm", (*_DEBIAN, "git", "ssh", "ssh-keygen"), cmd=("bash",)),
    Profile("docker.io/library/alpine:3.24.2", _BUSYBOX, cmd=("/bin/sh",)),
]
PROFILES = {profile.name: profile for profile in _PROFILES}

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REFERENCE = re.compile(
    rf"(?P<name>(?:[a-zA-Z0-9.-]+(?::[0-9]+)?/)?{_COMPONENT}(?:/{_COMPONENT})*)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?(?P<digest>@(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}))?",
    re.ASCII,
)


def normalised(image: str) -> str | None:
    """Return the full name of an image, or None where it is none.

    >>> normalised("python:3.12-slim")
    'docker.io/library/python:3.12-slim'
    >>> normalised("openbao/openbao")
    'docker.io/openbao/openbao:latest'
    >>> normalised("UPPER CASE")
    """
    match = _REFERENCE.fullmatch(image)
    if not match:
        return None
    name, tag, digest = match["name"], match["tag"], match["digest"] or ""
    first, slash, rest = name.partition("/")
    if not slash:
        name = f"docker.io/library/{name}"
    elif "." not in first and ":" not in first and first != "localhost":
        name = f"docker.io/{name}"
    elif first in ("docker.io", "index.docker.io"):
        name = f"docker.io/{rest if '/' in rest else f'library/{rest}'}"
    return f"{name}:{tag}{digest}" if tag else f"{name}{digest or ':latest'}"


def policy(container: dict[str, object]) -> str:
    """Return the pull policy, with Kubernetes' default: Always for `latest`, else IfNotPresent."""
    name = normalised(str(container.get("image", ""))) or ""
    return str(container.get("imagePullPolicy") or ("Always" if name.endswith(":latest") else "IfNotPresent"))


def not_found(full_name: str, known: Iterable[str]) -> str:
    """Return what containerd says of an image that its registry does not have; `known`: those that there are."""
    return (
        f'failed to pull and unpack image "{full_name}": failed to resolve reference "{full_name}": '
        f"{full_name}: not found (devcluster has: {', '.join(known)})"
    )


def short(full_name: str) -> str:
    """Return a name as people write it.

    >>> short("docker.io/library/alpine:3.24.2")
    'alpine:3.24.2'
    """
    return full_name.removeprefix("docker.io/").removeprefix("library/")
