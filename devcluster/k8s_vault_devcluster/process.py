"""Server processes on loopback: a free port, a start that waits until it answers, a stop that leaves nothing."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from airflow_k8s_vault.errors import K8sVaultError


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


def identity(pid: int) -> str | None:
    """Return what tells this process from a later one with the same pid; None where it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    # Field 3 is the state, field 22 the start time in clock ticks since boot.
    return None if fields[0] == "Z" else f"{pid}:{fields[19]}"


class ServerProcess:
    """A child process with a log file that dies with us and is waited for."""

    def __init__(self, name: str, command: list[str], log: Path, env: dict[str, str] | None = None) -> None:
        self.name = name
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {})},
                start_new_session=True,
            )

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


class Server:
    """What has one process: its subclasses start `_process` and say where it answers."""

    _process: ServerProcess

    @property
    def pid(self) -> int:
        return self._process.pid

    def running(self) -> bool:
        return self._process.running()

    def stop(self) -> None:
        self._process.stop()
