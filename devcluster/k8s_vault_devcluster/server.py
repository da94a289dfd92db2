"""A devcluster as a child process, for the tests, the demo and `airflow k8s-vault dev`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import ClassVar

from k8s_vault_devcluster.process import ServerProcess


class DevCluster(ServerProcess):
    """A cluster in `folder`, ready when the constructor returns (about 1 s).

    `kubeconfig` is the administrator's file, `address` the API's URL, `log` the server's log. `stop` ends
    the pods' processes, too. `program` is what Python runs.
    """

    program: ClassVar[tuple[str, ...]] = ("-m", "k8s_vault_devcluster.cluster")

    def __init__(self, folder: Path, host: str = "127.0.0.1", images: Path | None = None) -> None:
        self.kubeconfig = folder / "kubeconfig"
        self.kubeconfig.unlink(missing_ok=True)
        command = [sys.executable, *self.program, "--folder", str(folder), "--host", host]
        command += ["--images", str(images)] if images else []
        super().__init__("devcluster", command, folder / "devcluster.log")
        self.wait_until(self.kubeconfig.exists)
        self.address: str = json.loads(self.kubeconfig.read_text())["clusters"][0]["cluster"]["server"]
