"""One cluster in one process: store, scheduler, garbage collection, API and kubelet.

Runs as `python -m k8s_vault_devcluster.cluster --folder FOLDER`, and writes FOLDER/kubeconfig when it
answers. SIGTERM ends the pods' processes first, then itself. Imports no Airflow: it starts in half a second.

Needed by everything that runs on devcluster: its process.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import json
import logging
import os
import secrets
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import uvicorn
from starlette.applications import Starlette

from k8s_vault_devcluster import certificates, garbage, namespaces, private_file, rbac, scheduler
from k8s_vault_devcluster.api.app import application
from k8s_vault_devcluster.api.context import Context
from k8s_vault_devcluster.kubelet import Kubelet
from k8s_vault_devcluster.node import node
from k8s_vault_devcluster.process import free_port
from k8s_vault_devcluster.store import Store
from k8s_vault_devcluster.tokens import Tokens

_NAMESPACES = ("default", "kube-system", "kube-public")


class _Uvicorn(uvicorn.Server):
    """uvicorn without its own signal handlers: on SIGTERM the pods have to go before the API does."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Cluster:
    """A cluster in `folder`, at a free port of `host`. `run` serves until SIGTERM or SIGINT."""

    kubelet_class: ClassVar[type[Kubelet]] = Kubelet

    def __init__(self, folder: Path, host: str, images: Path | None) -> None:
        self.folder, self.host, self.port = folder, host, free_port(host)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.address = f"https://{host}:{self.port}"
        self.certificate = certificates.make(folder, host)
        self.store = Store()
        self.tokens = Tokens(self.store, self.address)
        self.kubelet = self.kubelet_class(self.store, self.tokens, folder / "pods", host_ip=host, images=images)
        self.admin_token = secrets.token_urlsafe(32)

    async def run(self) -> None:
        self._furnish()
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        api = _Uvicorn(self._uvicorn_config())
        parts = [scheduler.run(self.store), garbage.run(self.store), self.kubelet.run()]
        tasks = [asyncio.create_task(part) for part in parts]
        serving = asyncio.create_task(api.serve())
        while not api.started and not serving.done():  # noqa: ASYNC110 - uvicorn offers no event
            await asyncio.sleep(0.005)
        self._write_kubeconfig()
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait([stopped, serving, *tasks], return_when=asyncio.FIRST_COMPLETED)
        failures = [task.exception() for task in (serving, *tasks) if task.done()]
        await self._stop(api, serving, tasks)
        # A part that ended by itself is a defect: say so rather than go on without it.
        for failure in failures:
            raise failure or RuntimeError("A part of devcluster ended by itself.")

    async def _stop(
        self, api: uvicorn.Server, serving: asyncio.Task[None], tasks: list[asyncio.Task[None]]
    ) -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        api.should_exit = True
        await asyncio.gather(serving, return_exceptions=True)

    def _furnish(self) -> None:
        for resource, obj in rbac.built_in():
            self.store.create(resource, obj)
        self.store.create("nodes", node(self.host))
        for name in _NAMESPACES:
            namespaces.create(self.store, name, self.certificate.ca)

    def application(self) -> Starlette:
        context = Context(
            self.store, self.tokens, self.kubelet, self.address, self.certificate.ca, self.admin_token
        )
        return application(context)

    def _uvicorn_config(self) -> uvicorn.Config:
        return uvicorn.Config(
            self.application(),
            host=self.host,
            port=self.port,
            ssl_certfile=self.certificate.certificate,
            ssl_keyfile=self.certificate.key,
            loop="asyncio",
            lifespan="off",
            access_log=False,
            log_level="warning",
            # Watches and followed logs stay open for ever.
            timeout_graceful_shutdown=1,
            # Airflow's hooks poll every two seconds or more on one connection.
            timeout_keep_alive=75,
            # A client that is busy elsewhere answers no ping; Kubernetes does not cut its exec off for that.
            ws_ping_interval=None,
        )

    def _write_kubeconfig(self) -> None:
        """Last, and in one step: who finds the file finds a server that answers."""
        private_file.write(self.folder / "kubeconfig", json.dumps(self.kubeconfig(), indent=2))

    def kubeconfig(self) -> dict[str, object]:
        """Return the kubeconfig of the administrator. It holds the token: not for logs."""
        authority = base64.b64encode(self.certificate.ca.encode()).decode()
        server = {"server": self.address, "certificate-authority-data": authority}
        context = {"cluster": "devcluster", "user": "admin", "namespace": "default"}
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "devcluster", "cluster": server}],
            "users": [{"name": "admin", "user": {"token": self.admin_token}}],
            "contexts": [{"name": "devcluster", "context": context}],
            "current-context": "devcluster",
        }


def main(cluster: type[Cluster] = Cluster) -> None:
    parser = argparse.ArgumentParser(description="A small Kubernetes on this machine, on loopback only.")
    parser.add_argument("--folder", type=Path, required=True, help="where kubeconfig and the pods' files go")
    parser.add_argument("--host", default="127.0.0.1", help="loopback address to listen on")
    parser.add_argument("--images", type=Path, help="the file with images of one's own")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    os.umask(0o077)
    asyncio.run(cluster(arguments.folder, arguments.host, arguments.images).run())


if __name__ == "__main__":
    main()
