"""Files below the folder of templates: each is read once while it stays as it is, and none from elsewhere."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

# A hundred times what a template takes, and little enough to be parsed within a second.
LONGEST = 262_144
# Links may be changed between their resolution and the opening, as git-sync does it. More is no accident.
_TRIES = 3

_Parsed = TypeVar("_Parsed")


class UnreadableFile(Exception):
    """A file is there and cannot be taken: the message continues a sentence that begins with its name."""


class FileCache:
    """Parsed files, each read once and again only when it changes (size, time in ns, or inode)."""

    def __init__(self) -> None:
        self._parsed: dict[tuple[str, Any], tuple[tuple[int, ...], Any]] = {}

    def get(self, root: Path | str, name: str, parse: Callable[[str], _Parsed], key: Any = None) -> _Parsed:
        """Return `parse(text)` of the file of that name below root, from memory while the file stays as it is.

        Raises FileNotFoundError where there is none, and UnreadableFile as `read` does.
        """
        path = f"{root}/{name}"
        try:
            signature = _signature(os.stat(path))
        except (FileNotFoundError, NotADirectoryError) as error:
            raise FileNotFoundError(path) from error
        except OSError as error:
            raise UnreadableFile(f"cannot be read: {error.strerror}") from error
        known = self._parsed.get((path, key))
        if known and known[0] == signature:
            return known[1]  # type: ignore[no-any-return]
        text, signature = read(root, name)
        parsed = parse(text)
        self._parsed[path, key] = (signature, parsed)
        return parsed

    def is_same(self, root: Path | str, name: str, key: Any = None) -> bool:
        """Return whether the file is still the one that `get` read."""
        path = f"{root}/{name}"
        known = self._parsed.get((path, key))
        try:
            return known is not None and known[0] == _signature(os.stat(path))
        except OSError:
            return False


def read(root: Path | str, name: str) -> tuple[str, tuple[int, ...]]:
    """Return the text of the file of that name below root, and a signature that changes when the file does.

    Links are followed first, and what they lead to is opened without following any: what has been found to lie
    below root is what is read. Raises FileNotFoundError, and UnreadableFile for a link that leaves root, what is
    no file, no UTF-8 text, or longer than LONGEST bytes, and for what the system refuses.
    """
    for _ in range(_TRIES):
        with contextlib.suppress(_LinkChanged):
            return _read(os.path.realpath(root), os.path.realpath(f"{root}/{name}"))
    raise UnreadableFile("is a link that changes while it is followed")


class _LinkChanged(Exception):
    pass


def _read(root: str, real: str) -> tuple[str, tuple[int, ...]]:
    if os.path.commonpath([root, real]) != root:
        raise UnreadableFile(f"is a link that leaves {root}")
    with _opened(root, os.path.relpath(real, root).split("/")) as file:
        result = os.fstat(file)
        if not stat.S_ISREG(result.st_mode):
            raise UnreadableFile("is no file")
        content = _content(file)
    if len(content) > LONGEST:
        raise UnreadableFile(f"is longer than the {LONGEST} bytes that are read of a file")
    try:
        return content.decode("utf-8"), _signature(result)
    except UnicodeDecodeError as error:
        raise UnreadableFile(f"is not UTF-8 text: {error.reason} at byte {error.start}") from error


@contextlib.contextmanager
def _opened(root: str, steps: list[str]) -> Iterator[int]:
    """Give a descriptor of the file, opened step by step from root without following a link."""
    with contextlib.ExitStack() as stack:
        opened = _open(root, None, os.O_DIRECTORY)
        stack.callback(os.close, opened)
        for number, step in enumerate(steps, 1):
            # Not blocking: the other end of a pipe may never come.
            opened = _open(step, opened, os.O_NONBLOCK if number == len(steps) else os.O_DIRECTORY)
            stack.callback(os.close, opened)
        yield opened


def _open(step: str, folder: int | None, kind: int) -> int:
    try:
        return os.open(step, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | kind, dir_fd=folder)
    except FileNotFoundError:
        raise
    except OSError as error:
        if stat.S_ISLNK(os.stat(step, dir_fd=folder, follow_symlinks=False).st_mode):
            raise _LinkChanged from error
        raise UnreadableFile(f"cannot be read: {error.strerror}") from error


def _content(file: int) -> bytes:
    content = b""
    while len(content) <= LONGEST and (part := os.read(file, LONGEST + 1 - len(content))):
        content += part
    return content


def _signature(actual: os.stat_result) -> tuple[int, ...]:
    return actual.st_mtime_ns, actual.st_size, actual.st_ino
