"""`airflow k8s-vault dev up`, `status`, `down`, `image`. Only the exports, or the JSON, go to standard output.

Needed by `dev up`, `dev status`, `dev down` and `dev image`.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import functools
import json
import os
import shlex
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from airflow_k8s_vault.errors import K8sVaultError
from k8s_vault_devcluster.kubelet.local_images import LocalImages, kind_of
from k8s_vault_devcluster.stack import IMAGES, LIFE, STATE

_START_SECONDS = 60
# OpenBao, PostgreSQL and the pods each get their grace before SIGKILL.
_STOP_SECONDS = 40

_KINDS = {
    "venv": "a virtual environment, at its own path and first in PATH",
    "root": "the container's root folder",
    "app": "files at /app, with Python",
}


class DevError(K8sVaultError):
    """The development servers cannot be started or stopped."""


def state_folder() -> Path:
    """Where the servers live unless told otherwise: $XDG_STATE_HOME or ~/.local/state."""
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "airflow-k8s-vault"


def reports_errors(command: Callable[[argparse.Namespace], None]) -> Callable[[argparse.Namespace], None]:
    """Let the command end with the message and status 2 where it meets an error of ours."""

    @functools.wraps(command)
    def run(arguments: argparse.Namespace) -> None:
        try:
            command(arguments)
        except K8sVaultError as error:
            say(str(error))
            raise SystemExit(2) from None

    return run


@reports_errors
def up(arguments: argparse.Namespace) -> None:
    """Start the servers unless they run, wait until they answer, and print the exports."""
    folder = folder_of(arguments)
    with _locked(folder):
        state = running_state(folder) or _start(folder)
    for name, value in (
        ("KUBECONFIG", state["kubeconfig"]),
        ("VAULT_ADDR", state["vault_addr"]),
        ("VAULT_TOKEN", state["vault_token"]),
        ("POSTGRES_URI", state["postgres_uri"]),
        ("VAULT_POSTGRES_URI", state["vault_postgres_uri"]),
    ):
        print(f"export {name}={shlex.quote(value)}")


@reports_errors
def status(arguments: argparse.Namespace) -> None:
    """Print each server with its state, address and log."""
    folder = folder_of(arguments)
    running, state = running_state(folder) is not None, read_state(folder) or {"servers": []}
    servers = [{**server, "state": "running" if running else "stopped"} for server in state["servers"]]
    if arguments.output == "json":
        shown = [{key: server[key] for key in ("name", "state", "address", "log")} for server in servers]
        print(json.dumps({"running": running, "folder": str(folder), "servers": shown}, indent=2))
        return
    if not servers:
        print("Nothing runs. Start it with: airflow k8s-vault dev up")
    for server in servers:
        print(f"{server['name']:<12} {server['state']:<9} {server['address']:<26} {server['log']}")


@reports_errors
def down(arguments: argparse.Namespace) -> None:
    """Stop the servers and their pods; nothing to stop is no error."""
    folder = folder_of(arguments)
    with _locked(folder):
        state = read_state(folder)
        if state is None:
            say("Nothing runs.")
            return
        say("Stopping…")
        _stop(folder, state["supervisor"])
        (folder / STATE).unlink(missing_ok=True)
    say("Stopped.")


def _images(arguments: argparse.Namespace) -> LocalImages:
    folder = folder_of(arguments)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return LocalImages(folder / IMAGES)


@reports_errors
def image_add(arguments: argparse.Namespace) -> None:
    """Name a folder; pods find the image at once."""
    path = Path(arguments.path).absolute()
    name = _images(arguments).add(arguments.name, path)
    say(f"{name}: {path}, {_KINDS[kind_of(path)]}")


@reports_errors
def image_list(arguments: argparse.Namespace) -> None:
    """Print each image of one's own with its folder."""
    for name, path in _images(arguments).folders().items():
        print(f"{name}  {path}  {_KINDS[kind_of(Path(path))] if Path(path).is_dir() else 'no such folder'}")


@reports_errors
def image_remove(arguments: argparse.Namespace) -> None:
    """Forget an image; its folder is left alone."""
    _images(arguments).remove(arguments.name)


def folder_of(arguments: argparse.Namespace) -> Path:
    """Return --folder, or where the servers live without it."""
    return Path(arguments.folder) if arguments.folder else state_folder()


def read_state(folder: Path) -> dict[str, Any] | None:
    """Return what state.json says; None where there is none."""
    with contextlib.suppress(FileNotFoundError):
        return dict(json.loads((folder / STATE).read_text()))
    return None


def running_state(folder: Path) -> dict[str, Any] | None:
    """Return the state where the servers run; None otherwise. They end with the process that started them."""
    state = read_state(folder)
    return state if state and _alive(folder) else None


def _alive(folder: Path) -> bool:
    """Whether the process that started the servers is there: it holds this lock, and no later one with its pid."""
    with (folder / LIFE).open("a") as lock:
        try:
            # Shared: two that look do not take each other for it.
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _start(folder: Path) -> dict[str, Any]:
    # Of one that was killed.
    (folder / STATE).unlink(missing_ok=True)
    log = folder / "stack.log"
    log.write_bytes(b"")
    command = [sys.executable, "-m", "k8s_vault_devcluster.stack", "--folder", str(folder)]
    read, write = os.pipe()
    # Closed when we end, however we do: then what we have not seen running stops.
    with os.fdopen(read, "rb") as end, os.fdopen(write, "wb") as word, log.open("ab") as output:
        process = subprocess.Popen(
            command, stdin=end, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
        end.close()
        state = _wait(folder, process, log)
        word.write(b"known\n")
    return state


def _wait(folder: Path, process: subprocess.Popen[bytes], log: Path) -> dict[str, Any]:
    """Copy the log's lines to standard error until the state is there."""
    deadline, shown = time.monotonic() + _START_SECONDS, 0
    while True:
        state = read_state(folder)
        lines = log.read_text(errors="replace").splitlines()
        for line in lines[shown:]:
            say(line)
        shown = len(lines)
        if state:
            return state
        if process.poll() is not None or time.monotonic() > deadline:
            process.terminate()
            raise DevError(f"The development servers did not start within {_START_SECONDS} s; their log is {log}.")
        time.sleep(0.05)


def _stop(folder: Path, supervisor: int) -> None:
    """Have the servers stopped, and wait until it is done; SIGKILL where it is not."""
    deadline = time.monotonic() + _STOP_SECONDS
    if _alive(folder):
        os.kill(supervisor, signal.SIGTERM)
    while _alive(folder):
        if time.monotonic() > deadline:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(supervisor, signal.SIGKILL)
            return
        time.sleep(0.05)


def _require_own(folder: Path) -> None:
    """Raise DevError where others could put files into the folder, or take those away that we trust."""
    status = folder.stat()
    if status.st_uid != os.geteuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise DevError(
            f"{folder} is another user's, or others may write to it: it will hold tokens and passwords.\n"
            f"  Make it yours alone (chmod 700 {folder}), or name another one with --folder."
        )


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One `up` or `down` at a time."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    _require_own(folder)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def say(line: str) -> None:
    """Print to standard error: only what a shell evaluates goes to standard output."""
    print(line, file=sys.stderr, flush=True)
