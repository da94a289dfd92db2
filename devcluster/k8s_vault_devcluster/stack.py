"""OpenBao, PostgreSQL and devcluster as one background process: what `airflow k8s-vault dev up` starts.

Runs as `python -m k8s_vault_devcluster.stack --folder FOLDER`. FOLDER/state.json says where everything
is once it answers. Nothing survives a stop: the servers hold their data in memory, or in FOLDER, which is emptied.

Until somebody knows of it, it is its starter's: it goes on only when something comes from standard input, and
stops where that is closed first.

Needed by `dev up`.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from k8s_vault_devcluster import private_file
from k8s_vault_devcluster.openbao import OpenBao
from k8s_vault_devcluster.postgres import PostgreSQL, make_role_maker
from k8s_vault_devcluster.server import DevCluster

STATE = "state.json"
# Locked as long as this process lives.
LIFE = "stack.lock"
# Kept from one start to the next: the folders are the user's own.
IMAGES = "images.json"


class Stack:
    """The three servers; `state` is what state.json holds. It has the tokens in it: mode 0600."""

    def __init__(self, folder: Path, say: Callable[[str], None]) -> None:
        self.folder, self._say = folder, say
        self.servers: list[tuple[str, Any, str]] = []
        for name in ("openbao", "postgres", "cluster", "airflow"):
            shutil.rmtree(folder / name, ignore_errors=True)
        bao = self._started("OpenBao", lambda: OpenBao(folder / "openbao"))
        self.servers.append(("OpenBao", bao, bao.address))
        postgres = self._started("PostgreSQL", lambda: PostgreSQL(folder / "postgres"))
        self.servers.append(("PostgreSQL", postgres, f"{postgres.host}:{postgres.port}"))
        cluster = self._started("devcluster", lambda: DevCluster(folder / "cluster", images=folder / IMAGES))
        self.servers.append(("devcluster", cluster, cluster.address))
        self.state = {
            "supervisor": os.getpid(),
            "servers": [
                {"name": name, "address": address, "pid": server.pid, "log": str(server.log)}
                for name, server, address in self.servers
            ],
            "kubeconfig": str(cluster.kubeconfig),
            "vault_addr": bao.address,
            "vault_token": bao.root_token,
            "postgres_uri": postgres.uri(),
            "vault_postgres_uri": make_role_maker(postgres.uri(), "vault"),
        }

    def _started(self, name: str, start: Callable[[], Any]) -> Any:
        begin = time.monotonic()
        try:
            server = start()
        except BaseException:
            self.stop()
            raise
        self._say(f"{name} is ready after {time.monotonic() - begin:.1f} s.")
        return server

    def stopped(self) -> list[str]:
        """The names of the servers that ended by themselves."""
        return [name for name, server, _ in self.servers if not server.running()]

    def stop(self) -> None:
        for _, server, _ in reversed(self.servers):
            server.stop()


def write_state(folder: Path, state: dict[str, Any]) -> None:
    """Write state.json in one step: who finds it finds servers that answer."""
    private_file.write(folder / STATE, json.dumps(state, indent=2))


def _stop_where_forgotten(stop: threading.Event) -> None:
    if not os.read(sys.stdin.fileno(), 1):
        stop.set()


def main() -> None:
    parser = argparse.ArgumentParser(description="OpenBao, PostgreSQL and devcluster, until SIGTERM.")
    parser.add_argument("--folder", type=Path, required=True, help="where state.json and the logs go")
    folder = parser.parse_args().folder
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    threading.Thread(target=_stop_where_forgotten, args=(stop,), daemon=True).start()
    with (folder / LIFE).open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        sys.exit(_serve(folder, stop))


def _serve(folder: Path, stop: threading.Event) -> int:
    stack = Stack(folder, lambda line: print(line, flush=True))
    if not stop.is_set():
        write_state(folder, stack.state)
    while not stop.wait(1):
        if stack.stopped():
            print(f"{', '.join(stack.stopped())} ended by itself: stopping the others.", flush=True)
            break
    (folder / STATE).unlink(missing_ok=True)
    stack.stop()
    return 0 if stop.is_set() else 1


if __name__ == "__main__":
    main()
