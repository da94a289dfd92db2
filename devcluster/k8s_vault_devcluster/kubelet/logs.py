"""What a container wrote, line by line with the time it was read, kept as the container runtime keeps it.

The file format is CRI's (`<RFC3339Nano> stdout F <line>`; P for a line that goes on), the rules are those of
pkg/kubelet/kuberuntime/logs.
Both streams come through one pipe: their order is then the real one, and `kubectl logs` merges them anyway.

Needed by every task's log: followed, by time, by number of lines, and cut while it is read.
"""

from __future__ import annotations

import asyncio
import datetime
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

# A line longer than this is cut into parts, as containerd does (max_container_log_line_size).
_LINE_BYTES = 16 * 1024


@dataclass(frozen=True)
class LogOptions:
    """The options of pods/log; None means: no such limit. `since_time` is RFC 3339, as `timestamps` are."""

    follow: bool = False
    timestamps: bool = False
    since_seconds: int | None = None
    since_time: str | None = None
    tail_lines: int | None = None
    limit_bytes: int | None = None

    def since(self) -> datetime.datetime | None:
        if self.since_seconds is not None:
            return datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=self.since_seconds)
        return _moment(self.since_time) if self.since_time else None


class Log:
    """One run of one container: appended to while it runs, read from any number of places."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self.closed = path, False
        self._file = path.open("ab", buffering=0)
        self._rest = b""
        self._changed = asyncio.Event()

    def feed(self, data: bytes) -> None:
        """Take what the container wrote, in pieces of any size."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._append(line, b"F")
        while len(self._rest) > _LINE_BYTES:
            self._append(self._rest[:_LINE_BYTES], b"P")
            self._rest = self._rest[_LINE_BYTES:]
        self._wake()

    def close(self) -> None:
        """The container has ended: a last line without an end is a line too, and who follows may go."""
        if self.closed:
            return
        if self._rest:
            self._append(self._rest, b"P")
        self._file.close()
        self.closed = True
        self._wake()

    def _append(self, line: bytes, tag: bytes) -> None:
        self._file.write(b"%s stdout %s %s\n" % (_timestamp().encode(), tag, line))

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def tail(self, lines: int, limit_bytes: int) -> str:
        """Return the end of the output, for terminationMessagePolicy FallbackToLogsOnError."""
        parsed = [_parse(line) for line in self.path.read_bytes().splitlines(keepends=True)]
        return b"".join(text for _, text in parsed[-lines:])[-limit_bytes:].decode(errors="replace")

    async def read(self, options: LogOptions) -> AsyncIterator[bytes]:
        """Yield the lines asked for; with `follow` until the container ends."""
        left = options.limit_bytes
        async for stamp, text in self._chosen(options):
            out = stamp + b" " + text if options.timestamps else text
            if left is not None:
                out, left = out[:left], left - len(out[:left])
            if out:
                yield out
            if left == 0:
                return

    async def _chosen(self, options: LogOptions) -> AsyncIterator[tuple[bytes, bytes]]:
        since = options.since()
        with self.path.open("rb") as file:
            lines = [_parse(line) for line in file]
            start = max(0, len(lines) - options.tail_lines) if options.tail_lines is not None else 0
            for stamp, text in lines[start:]:
                if since is None or _moment(stamp.decode()) >= since:
                    yield stamp, text
            while options.follow:
                changed, closed = self._changed, self.closed
                for line in file:
                    yield _parse(line)
                if closed:
                    return
                await changed.wait()


def _parse(line: bytes) -> tuple[bytes, bytes]:
    stamp, _, tag, text = line.split(b" ", 3)
    return stamp, text if tag == b"F" else text.removesuffix(b"\n")


def _timestamp() -> str:
    """Now, as Go's RFC3339Nano writes it.

    Go trims zeros at the end; a fixed width sorts, and every parser takes it.
    """
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{nanoseconds:09d}Z"


def _moment(stamp: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(stamp)
