"""A devcluster as a child process, for the tests, the demo and `airflow k8s-vault dev`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import ClassVar

from k8s_vault_devcluster.process import Server, ServerProcess


class DevCluster(Server):
    """A cluster in `folder`, ready when the constructor returns (about 1 s).

    `kubeconfig` is the administrator's file, `address` the API's URL, `log` the server's log. `stop` ends
    the pods' processes, too. `program` is what Python runs.
    """

    program: ClassVar[tuple[str, ...]] = ("-m", "k8s_vault_devcluster.cluster")

    def __init__(
        self, folder: Path, host: str = "127.0.0.1", port: int | None = None, images: Path | None = None
    ) -> None:
        self.kubeconfig, self.log = folder / "kubeconfig", folder / "devcluster.log"
        self.kubeconfig.unlink(missing_ok=True)
        command = [sys.executable, *self.program, "--folder", str(folder)]
        command += ["--host", host, *(["--port", str(port)] if port else [])]
        command += ["--images", str(images)] if images else []
        self._process = ServerProcess("devcluster", command, self.log)
        self._process.wait_until(self.kubeconfig.exists)
        self.address: str = json.loads(self.kubeconfig.read_text())["clusters"][0]["cluster"]["server"]
