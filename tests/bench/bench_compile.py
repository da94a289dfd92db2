"""`airflow k8s-vault compile` of 200 teams and 2,000 DAGs, beyond the import of the DAGs.

CPU seconds, of one core: it waits for nothing, and a machine that is busy with something else does not count.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import tempfile
import time
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

from tests.bench.row import Row

SHIPPED = Path(__file__).parents[2] / "pod_templates"
TEAMS, DAGS, SECONDS = 200, 2000, 10
DAG = """
from airflow.sdk import DAG
from airflow_k8s_vault import VaultPodOperator, VaultSecret

with DAG("dag{number:04}", schedule=None):
    VaultPodOperator(
        task_id="load",
        pod_template="{team}/etl",
        cmds=["true"],
        vault_secrets=[
            VaultSecret("secret/{team}/warehouse-{number}", env={{"KEY": "key"}}),
            VaultSecret("secret/{team}/partner-{number}", file="partner.key", key="key"),
        ],
    )
"""


def write(root: Path) -> None:
    """Write templates and DAGs: each team has the three templates of `payments`, every second identity `dag`."""
    templates, dags = root / "pod_templates", root / "dags"
    dags.mkdir()
    shutil.copytree(SHIPPED, templates, ignore=shutil.ignore_patterns("payments", "data-science"))
    for number in range(TEAMS):
        folder = shutil.copytree(SHIPPED / "payments", templates / f"team{number:03}")
        file = folder / "team.yaml"
        text = file.read_text().replace("payments", folder.name)
        file.write_text(f"{text}identity: {'dag' if number % 2 else 'team'}\n")
    for number in range(DAGS):
        file = dags / f"dag{number:04}.py"
        file.write_text(DAG.format(number=number, team=f"team{number % TEAMS:03}"))


def timed(command: Callable[[Namespace], object], arguments: Namespace) -> tuple[float, str]:
    """Return the CPU seconds, and what was printed."""
    out = io.StringIO()
    begin = time.process_time()
    with contextlib.redirect_stdout(out):
        command(arguments)
    return time.process_time() - begin, out.getvalue()


def run() -> list[Row]:
    from airflow_k8s_vault import config
    from airflow_k8s_vault.commands import compile as command
    from airflow_k8s_vault.commands import compile_sources, read_dag_secrets

    folder = Path(tempfile.mkdtemp())
    os.environ["AIRFLOW__K8S_VAULT__TEMPLATES_DIR"] = str(folder / "pod_templates")
    os.environ["AIRFLOW__K8S_VAULT__VAULT_ADDR"] = "https://vault.vault.svc:8200"
    config.reload()
    try:
        write(folder)
        begin = time.process_time()
        sources = read_dag_secrets(folder / "dags")
        imported = time.process_time() - begin
        assert len(sources.declared) == 2 * DAGS, sources.broken
        # The import is Airflow's; what is measured is all that comes after it.
        compile_sources.dags_of = lambda arguments: sources
        arguments = Namespace(templates_dir=None, team=None, dags="dags", format="cli", out=None)
        kubernetes, objects = timed(command.kubernetes, arguments)
        vault, commands = timed(command.vault, arguments)
    finally:
        shutil.rmtree(folder)
    assert objects.count("\nkind: Namespace\n") == TEAMS
    assert commands.count("policy write ") == (TEAMS + DAGS) // 2
    work = f"{TEAMS} teams, {DAGS:,} DAGs, beyond {imported:.0f} s of importing them"
    return [
        Row(f"compile {what}: {work}", None, seconds, "s", f"{SECONDS} s", seconds < SECONDS)
        for what, seconds in (("kubernetes", kubernetes), ("vault", vault))
    ]
