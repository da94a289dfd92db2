"""Audit files to entries, one line at a time: plain or gzip, several after each other, or standard input."""

from __future__ import annotations

import gzip
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import IO

from airflow_k8s_vault.audit.entry import Entry, read
from airflow_k8s_vault.errors import ConfigError

STANDARD_INPUT = "-"
_GZIP = b"\x1f\x8b"
# Half of a file: what Vault writes before it answers.
_REQUEST = b'"type":"request"'
# `{"time":"` and the seconds behind it, as both servers write them.
_TIME = b'{"time":"'
_SECONDS = slice(len(_TIME), len(_TIME) + 19)


class LogFiles:
    """The entries of some files, and a count of what they are made of; told, never fatal.

    since: what is older is left out. torn: lines that end in the middle, as the last one of a file that is being
    written. foreign: lines that are no entry. unknown_fields: by name; a newer server has them.
    """

    def __init__(self, files: Iterable[str], since: datetime | None = None) -> None:
        self._files = list(files)
        self._since = since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S").encode() if since else b""
        self.lines = self.entries_read = self.torn = self.foreign = 0
        self.unknown_fields: Counter[str] = Counter()
        self.first = self.last = ""

    def entries(self) -> Iterator[Entry]:
        """Yield every response of the files, in their order. Raises ConfigError for a file that cannot be read."""
        for name in self._files:
            with _opened(name) as file:
                yield from self._of(file)

    def _of(self, file: IO[bytes]) -> Iterator[Entry]:
        for line in file:
            self.lines += 1
            if _REQUEST in line[:128] or (line.startswith(_TIME) and line[_SECONDS] < self._since):
                continue
            entry, unknown = read(line)
            if entry is None:
                # An audit device may write a prefix before each entry.
                entry, unknown = read(line[line.find(b"{") :]) if b"{" in line[1:] else (None, "")
            if entry is None:
                self._no_entry(line)
                continue
            if unknown:
                self.unknown_fields[unknown] += 1
            if entry.type == "response" and entry.time.encode()[:19] >= self._since:
                self.entries_read += 1
                self.first, self.last = self.first or entry.time, entry.time
                yield entry

    def _no_entry(self, line: bytes) -> None:
        if not line.strip():
            return
        if line.lstrip().startswith(b"{") and not line.rstrip().endswith(b"}"):
            self.torn += 1
        else:
            self.foreign += 1


@contextmanager
def _opened(name: str) -> Iterator[IO[bytes]]:
    if name == STANDARD_INPUT:
        yield _unpacked(sys.stdin.buffer)
        return
    try:
        with open(name, "rb") as file:
            yield _unpacked(file)
    except (OSError, EOFError) as problem:
        reason = getattr(problem, "strerror", None) or problem
        raise ConfigError(f"{name} cannot be read: {reason}.\n  Name files of Vault's audit device.") from None


def _unpacked(file: IO[bytes]) -> IO[bytes]:
    begin = file.peek(2)[:2] if hasattr(file, "peek") else b""
    return gzip.open(file, "rb") if begin == _GZIP else file  # type: ignore[return-value]
