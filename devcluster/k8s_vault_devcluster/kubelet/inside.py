"""Open a path inside a folder that somebody else may be changing, without ever leaving that folder.

What securejoin and the kubelet's subpath code are for: a container could put a symbolic link, at any moment,
where a subPath or a fileKeyRef is looked for. Links are followed as if the folder were the root.

Needed by the attack tests: pods that put links where the kubelet is to read or write.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

_LINKS_AT_MOST = 40
_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def open_inside(root: Path, path: str, *, make_folders: bool = False) -> int:
    """Return an O_PATH descriptor of `path` in `root`; raise OSError. The caller closes it.

    Each step is taken from the descriptor of the last, so there is no moment between check and use.
    """
    todo = [part for part in path.split("/") if part not in ("", ".")]
    stack, links = [os.open(root, _DIRECTORY)], 0
    try:
        while todo:
            part = todo.pop(0)
            if part == "..":
                if len(stack) > 1:
                    os.close(stack.pop())
                continue
            step = _step(stack[-1], part, make_folders)
            if not stat.S_ISLNK(os.fstat(step).st_mode):
                stack.append(step)
                continue
            os.close(step)
            links += 1
            if links > _LINKS_AT_MOST:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
            target = os.readlink(part, dir_fd=stack[-1])
            if target.startswith("/"):
                _close(stack[1:])
                del stack[1:]
            todo = [name for name in target.split("/") if name not in ("", ".")] + todo
        return stack.pop()
    finally:
        _close(stack)


def _step(folder: int, name: str, make: bool) -> int:
    flags = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(name, flags, dir_fd=folder)
    except FileNotFoundError:
        if not make:
            raise
        os.mkdir(name, 0o750, dir_fd=folder)
        return os.open(name, flags, dir_fd=folder)


def _close(descriptors: list[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def read_inside(root: Path, path: str, limit_bytes: int) -> bytes:
    """Return the start of a regular file in `root`; raise OSError."""
    result = open_inside(root, path)
    try:
        if not stat.S_ISREG(os.fstat(result).st_mode):
            # A FIFO put there would keep us waiting for ever.
            raise OSError(errno.EINVAL, "not a regular file", path)
        with open(f"/proc/self/fd/{result}", "rb") as file:
            return file.read(limit_bytes)
    finally:
        os.close(result)
