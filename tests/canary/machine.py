"""What this machine shows while pods run: processes, disks, and what people print of pods."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from airflow.cli.cli_parser import get_parser

from tests.faults.fault_environment import NAMESPACE, ROOT, FaultEnvironment

Texts = dict[str, str]
_DAGS = ROOT / "dags"

_BEGIN = time.time()


def keep_all(environment: FaultEnvironment) -> None:
    """Keep what can be seen now."""
    keep_processes(environment)
    environment.keep("disk of devcluster", disk_of_devcluster(environment))
    environment.keep("disk of workers", disk_of_workers(environment))
    environment.keep("outputs", outputs(environment))


def keep_processes(environment: FaultEnvironment) -> None:
    """Keep the arguments of all processes, and the environment of Python's that are in no container."""
    arguments, environments = {}, {}
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command = (path / "cmdline").read_bytes().decode(errors="replace")
            arguments[path.name] = command
            if (path / "root").resolve() == Path("/") and "python" in command:
                environments[path.name] = (path / "environ").read_bytes().decode(errors="replace")
    environment.keep("process arguments", arguments)
    environment.keep("environments", environments)


def disk_of_devcluster(environment: FaultEnvironment) -> Texts:
    """All files of the cluster, and the logs of the servers; with a cluster of your own, these alone."""
    return dict(_files(environment.servers.folder / "cluster", *environment.servers.folder.glob("*.log")))


def disk_of_workers(environment: FaultEnvironment) -> Texts:
    """Airflow's home, the folder of temporary files, and what lies beside the servers' logs."""
    beside = [path for path in environment.servers.folder.iterdir() if path.is_file()]
    return dict(_files(Path(os.environ["AIRFLOW_HOME"]), Path(tempfile.gettempdir()), *beside))


def _files(*places: Path) -> Iterator[tuple[str, str]]:
    for place in places:
        for path in [place] if place.is_file() else place.rglob("*"):
            # A file may go while it is read.
            with contextlib.suppress(OSError):
                # A folder of temporary files may be full of others' that are older than any value of this run.
                if path.is_file() and not path.is_symlink() and path.stat().st_mtime >= _BEGIN:
                    yield str(path), path.read_bytes().decode(errors="replace")


def outputs(environment: FaultEnvironment) -> Texts:
    """What this package's commands print for each template and DAG, and kubectl of pods and Secrets."""
    result = {
        f"pod {pod.metadata.name}": str(pod) for pod in environment.core.list_namespaced_pod(NAMESPACE).items
    }
    names = [
        str(path.relative_to(environment.servers.templates_dir)).removesuffix(".yaml.j2")
        for path in environment.servers.templates_dir.glob("*/*.yaml.j2")
    ]
    commands = [f"templates {verb} {name}" for verb in ("show", "render", "explain") for name in names]
    for command in ("templates list", f"secrets list --dags {_DAGS}", *commands):
        result[command] = _printed(f"k8s-vault {command} -o json")
    if kubectl := shutil.which("kubectl"):
        for words in ("get pods -o yaml", "describe pods,secrets,events", "get pods,secrets,events -o wide"):
            command = [
                kubectl,
                "--kubeconfig",
                str(environment.servers.kubeconfig),
                "-n",
                NAMESPACE,
                *words.split(),
            ]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            result[f"kubectl {words}"] = done.stdout + done.stderr
    return result


def _printed(command: str) -> str:
    arguments = get_parser().parse_args(command.split())
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        arguments.func(arguments)
    return printed.getvalue()
