"""Open a path inside a folder that somebody else may be changing, without ever leaving that folder.

What securejoin and the kubelet's subpath code are for: a container could put a symbolic link, at any moment,
where a subPath or a fileKeyRef is looked for. The kernel follows links as if the folder were the root (openat2,
since Linux 5.6): there is no moment between check and use.

Needed by the attack tests: pods that put links where the kubelet is to read or write.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct
from pathlib import Path, PurePosixPath

_OPENAT2, _RESOLVE_IN_ROOT = 437, 0x10
_libc = ctypes.CDLL(None, use_errno=True)


def open_inside(root: Path, path: str, flags: int = os.O_PATH) -> int:
    """Return a descriptor of `path` in `root`; raise OSError. The caller closes it."""
    folder = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return _open(folder, path, flags)
    finally:
        os.close(folder)


def open_folder_inside(root: Path, path: str) -> int:
    """Return an O_PATH descriptor of `path` in `root`, made where there is none; raise OSError."""
    whole = PurePosixPath(path)
    for step in (*reversed(whole.parents), whole):
        try:
            os.close(open_inside(root, str(step)))
        except FileNotFoundError:
            parent = open_inside(root, str(step.parent))
            try:
                os.mkdir(step.name, 0o750, dir_fd=parent)
            finally:
                os.close(parent)
    return open_inside(root, path)


def _open(folder: int, path: str, flags: int) -> int:
    how = struct.pack("QQQ", flags | os.O_CLOEXEC, 0, _RESOLVE_IN_ROOT)
    while True:
        descriptor: int = _libc.syscall(_OPENAT2, folder, os.fsencode(path or "."), how, len(how))
        if descriptor >= 0:
            return descriptor
        # EAGAIN: something was renamed on the way, and it might have led out.
        if ctypes.get_errno() != errno.EAGAIN:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), path)


def read_inside(root: Path, path: str, limit_bytes: int) -> bytes:
    """Return the start of a regular file in `root`; raise OSError."""
    # Without O_NONBLOCK a FIFO put there would keep us waiting for ever.
    with open(open_inside(root, path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", path)
        return file.read(limit_bytes)
