"""VaultPodOperator against KubernetesPodOperator, without network; and `templates lint` of a large folder.

CPU seconds: none of it waits for anything, and a machine that is busy with something else does not count.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import statistics
import sys
import tempfile
import time
from argparse import Namespace
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from airflow_k8s_vault import config
from tests.bench.row import Row

SHIPPED = Path(__file__).parents[2] / "pod_templates"
TASKS, ROUNDS, BUILDS = 1000, 5, 50
TEAMS, COPIES = 100, 8


def run() -> list[Row]:
    folder = Path(shutil.copytree(SHIPPED, Path(tempfile.mkdtemp()) / "pod_templates"))
    os.environ["AIRFLOW__K8S_VAULT__TEMPLATES_DIR"] = str(folder)
    os.environ["AIRFLOW__K8S_VAULT__VAULT_ADDR"] = "https://vault.example.com:8200"
    config.reload()
    return [*_construction(folder), _building(folder), _linting(folder)]


def _construction(folder: Path) -> list[Row]:
    from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
    from airflow.sdk import DAG

    from airflow_k8s_vault import VaultPodOperator, VaultSecret

    def peer() -> None:
        with DAG("peer"):
            for number in range(TASKS):
                KubernetesPodOperator(task_id=f"task{number}", name="load", cmds=["psql"])

    def ours() -> None:
        with DAG("ours"):
            for number in range(TASKS):
                VaultPodOperator(
                    task_id=f"task{number}",
                    pod_template="payments/etl",
                    template_vars={"memory": "1Gi"},
                    vault_secrets=[VaultSecret("secret/payments/warehouse", env={"KEY": "key"})],
                    cmds=["psql"],
                )

    watch = _Watch(folder)
    watch.during(ours)
    theirs, mine = _seconds(peer, ours)
    most = max(watch.reads.values())
    return [
        Row(f"construct {TASKS} operators", theirs, mine, "s", "≤ 1.25 × peer", mine <= 1.25 * theirs),
        Row("… reads of one file", None, most, "reads", "1", most == 1),
        Row("… connections", None, watch.connections, "connections", "0", watch.connections == 0),
    ]


class _Watch:
    """Counts the reads of files below a folder, and the connections, that a function makes."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.reads, self.connections, self.on = f"{folder}/", Counter[str](), 0, False
        sys.addaudithook(self._saw)

    def _saw(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.on and event == "open" and str(arguments[0]).startswith(self.folder):
            self.reads[str(arguments[0])] += 1
        self.connections += self.on and event == "socket.connect"

    def during(self, function: Callable[[], None]) -> None:
        self.on = True
        function()
        self.on = False


def _building(folder: Path) -> Row:
    from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
    from kubernetes.client import ApiClient

    from airflow_k8s_vault import VaultPodOperator, VaultSecret

    secrets = [VaultSecret("secret/payments/warehouse", env={"KEY": "key"})]
    mine = VaultPodOperator(task_id="ours", pod_template="payments/etl", vault_secrets=secrets)
    with contextlib.redirect_stdout(io.StringIO()):
        built = ApiClient().sanitize_for_serialization(mine.build_pod_request_obj(None, dry_run=True))
    # The same pod, the agent included, as a file.
    file = folder.parent / "pod.yaml"
    file.write_text(yaml.safe_dump(built))
    theirs = KubernetesPodOperator(task_id="peer", pod_template_file=str(file))
    with contextlib.redirect_stdout(io.StringIO()):
        peer, ours = _seconds(
            lambda: [theirs.build_pod_request_obj(None, dry_run=True) for _ in range(BUILDS)],
            lambda: [mine.build_pod_request_obj(None, dry_run=True) for _ in range(BUILDS)],
        )
    return Row("build a pod", peer / BUILDS, ours / BUILDS, "s", "≤ 1.5 × peer", ours <= 1.5 * peer)


def _linting(folder: Path) -> Row:
    from airflow_k8s_vault.commands import templates as commands

    for number in range(TEAMS):
        team = Path(shutil.copytree(folder / "payments", folder / f"team-{number}"))
        text = (team / "team.yaml").read_text().replace("team-payments", f"team-{number}")
        (team / "team.yaml").write_text(text)
        for copy in range(COPIES):
            shutil.copy(team / "etl.yaml.j2", team / f"etl{copy}.yaml.j2")
            shutil.copy(team / "etl.vars.yaml", team / f"etl{copy}.vars.yaml")
    start = time.process_time()
    with contextlib.redirect_stdout(io.StringIO()):
        commands.lint(Namespace(dir=str(folder), output="json"))
    seconds = time.process_time() - start
    count = len(commands.every(folder))
    return Row(f"lint {TEAMS + 2} teams, {count} templates", None, seconds, "s", "< 20 s", seconds < 20)


def _seconds(peer: Callable[[], Any], ours: Callable[[], Any]) -> tuple[float, float]:
    """Return the medians of both, measured in turns, so that a busy machine is busy for both."""
    figures: list[tuple[float, float]] = []
    for _ in range(ROUNDS):
        figures.append((_timed(peer), _timed(ours)))
    return statistics.median(peer for peer, _ in figures), statistics.median(ours for _, ours in figures)


def _timed(function: Callable[[], Any]) -> float:
    start = time.process_time()
    function()
    return time.process_time() - start
