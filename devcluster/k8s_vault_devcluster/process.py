"""Server processes: a free port, a start that waits until it answers, a stop that leaves nothing.

Each is owned before it exists: it is known to whoever stops it at the end of this process, an interrupt waits
until it is, and the kernel ends it where this process has no time to (SIGKILL).

Needed by every server: none may stay behind, however its starter ends.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

from airflow_k8s_vault.errors import K8sVaultError

_OWNED = Path(__file__).with_name("owned.py")
_INTERRUPTS = (signal.SIGINT, signal.SIGTERM)


class ServerDidNotStart(K8sVaultError):
    """A server of the devcluster ended, or did not answer, while it was being started."""


def free_port(host: str = "127.0.0.1") -> int:
    """Return a TCP port that nothing listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def is_listening(host: str, port: int) -> bool:
    """Whether something accepts TCP connections at host:port."""
    with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=0.2):
        return True
    return False


def owned(command: list[str], number: signal.Signals = signal.SIGTERM) -> list[str]:
    """Return `command` so that it is sent this signal when the thread that starts it is gone."""
    return [sys.executable, "-I", "-S", str(_OWNED), str(os.getpid()), str(int(number)), *command]


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Let SIGINT and SIGTERM wait until the block is over.

    Only where Python handles them, which it does in the main thread alone, whichever thread the kernel picked.
    """
    handlers = {number: signal.getsignal(number) for number in _INTERRUPTS}
    handlers = {number: handler for number, handler in handlers.items() if callable(handler)}
    if threading.current_thread() is not threading.main_thread() or not handlers:
        yield
        return
    struck: list[int] = []
    for number in handlers:
        signal.signal(number, lambda number, _: struck.append(number))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for late in struck:
            signal.raise_signal(late)


class ServerProcess:
    """A child process with a log file, which only its owner can read; it ends when we do.

    Start it in the main thread: for the kernel its owner is the thread, and ends with that. `orphaned` is the
    signal that it gets where we have no time to stop it.
    """

    _running: ClassVar[list[ServerProcess]] = []

    def __init__(
        self,
        name: str,
        command: list[str],
        log: Path,
        env: dict[str, str] | None = None,
        orphaned: signal.Signals = signal.SIGTERM,
    ) -> None:
        self.name = name
        self.log = log
        self._owner = os.getpid()
        log.parent.mkdir(parents=True, exist_ok=True)
        with open(log, "ab", opener=_only_ours) as output, uninterrupted():
            self._process = subprocess.Popen(
                owned(command, orphaned),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {})},
                start_new_session=True,
            )
            self._running.append(self)

    @property
    def pid(self) -> int:
        return self._process.pid

    def running(self) -> bool:
        return self._process.poll() is None

    def wait_until(self, answers: Callable[[], bool], timeout_seconds: float = 30) -> None:
        """Poll `answers` until it is true; raise ServerDidNotStart with the log's end where it never is.

        Whatever ends the wait otherwise (an interrupt, too) stops the server: nobody else knows of it yet.
        """
        try:
            self._wait_until(answers, timeout_seconds)
        except BaseException:
            self.stop()
            raise

    def _wait_until(self, answers: Callable[[], bool], timeout_seconds: float) -> None:
        deadline = time.monotonic() + timeout_seconds
        while not answers():
            if not self.running() or time.monotonic() > deadline:
                tail = "\n    ".join(self.log.read_text(errors="replace").splitlines()[-15:])
                raise ServerDidNotStart(f"{self.name} did not start within {timeout_seconds:g} s:\n    {tail}")
            time.sleep(0.02)

    def terminate(self) -> None:
        """Send SIGTERM without waiting: several servers stop faster when all are told first."""
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()

    def stop(self, grace_seconds: float = 10) -> None:
        """SIGTERM, then SIGKILL to its whole process group; returns when it is gone."""
        for number, wait in ((signal.SIGTERM, grace_seconds), (signal.SIGKILL, 5)):
            if not self.running():
                break
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(wait)
        if self in self._running and not self.running():
            self._running.remove(self)

    @classmethod
    def stop_all(cls) -> None:
        """Stop what this process started and nobody stopped; what a fork of it started is not its own."""
        ours = [process for process in reversed(cls._running) if process._owner == os.getpid()]
        for process in ours:
            process.terminate()
        for process in ours:
            process.stop()


atexit.register(ServerProcess.stop_all)


def _only_ours(path: str, flags: int) -> int:
    descriptor = os.open(path, flags, 0o600)
    os.fchmod(descriptor, 0o600)
    return descriptor
