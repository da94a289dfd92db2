"""`python -m k8s_vault_devcluster.demo`, interrupted."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

from k8s_vault_devcluster.demo.__main__ import addresses


def test_an_interrupt_stops_the_demo_also_where_a_script_started_it_in_the_background(tmp_path: Path) -> None:
    # What a shell without job control does for `make demo &`.
    script = "trap '' INT; exec \"$0\" -m k8s_vault_devcluster.demo"
    environment = {name: value for name, value in os.environ.items() if name not in ("KUBECONFIG", "VAULT_ADDR")}
    demo = subprocess.Popen(
        ["sh", "-c", script, sys.executable], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True
    )
    assert demo.stdout
    assert "PostgreSQL listens" in demo.stdout.readline()

    demo.send_signal(signal.SIGINT)
    try:
        demo.communicate(timeout=30)
    finally:
        demo.terminate()

    assert 130 == demo.returncode
    assert [] == processes_in(tmp_path)


def processes_in(folder: Path) -> list[str]:
    """Return the command lines of the processes that were started in a folder, or below it."""
    matches = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (process / "cwd").resolve().is_relative_to(folder):
                matches.append((process / "cmdline").read_text().replace("\0", " "))
    return matches


def test_who_stays_is_told_where_everything_is(tmp_path: Path) -> None:
    login = "user admin, password in passwords.json"
    airflow = SimpleNamespace(url="http://127.0.0.1:8080", home=tmp_path / "airflow", login=login)
    environment = SimpleNamespace(
        airflow=airflow,
        vault=SimpleNamespace(address="http://127.0.0.1:8200", token="t"),
        kubeconfig=tmp_path / "kubeconfig",
        postgres=SimpleNamespace(uri=lambda: "postgresql://postgres@127.0.0.1/postgres"),
        dags=tmp_path / "dags",
        templates_dir=tmp_path / "pod_templates",
        shell_environment=lambda: tmp_path / "environment",
    )

    shown = addresses(environment)  # type: ignore[arg-type]

    assert f"http://127.0.0.1:8080 ({login})" == shown["Airflow"]
    assert "http://127.0.0.1:8080/plugin/k8s-vault" == shown["The page"]
    assert "export VAULT_ADDR=http://127.0.0.1:8200 VAULT_TOKEN=t" == shown["Vault"]
    assert re.fullmatch(
        rf"\. {tmp_path}/environment && \S+/airflow k8s-vault doctor .*--from pod", shown["Doctor"]
    )
    assert {"PostgreSQL", "DAGs", "Templates", "Kubernetes", "Logs"} <= set(shown)
