"""`python -m k8s_vault_devcluster.demo [--keep]`: run both sample DAGs and check where the secrets went.

Needed by `make demo`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import time
from pathlib import Path

from rich.console import Console

from airflow_k8s_vault.errors import K8sVaultError
from k8s_vault_devcluster.demo import isolation, report
from k8s_vault_devcluster.demo.environment import TEAMS, AirflowEnvironment
from k8s_vault_devcluster.demo.pods import PodRecord

DAGS = ("kubernetes_sample", "payments_load")
EXPECTED = {
    ("kubernetes_sample", "start"): "success",
    ("kubernetes_sample", "passing-task"): "success",
    ("kubernetes_sample", "failing-task"): "failed",
    ("payments_load", "load"): "success",
    ("payments_load", "prove-isolation"): "success",
}


def main() -> int:
    """Return 0 only if every task ended as it should, no canary was found and no login is left."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave everything running until Ctrl-C")
    arguments = parser.parse_args()
    # A script's shell starts its background jobs with SIGINT ignored; `kill -INT` has to stop this one too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    started = time.monotonic()
    console = Console()

    def tell(what: str) -> None:
        console.print(f"[dim]{time.monotonic() - started:6.1f} s[/dim]  {what}", highlight=False, soft_wrap=True)

    folder = Path(".demo").absolute()
    shutil.rmtree(folder, ignore_errors=True)
    # The DAGs are read here, too, for the least policies: in no home of the user's.
    os.environ.update(AIRFLOW_HOME=str(folder / "airflow-compile"), AIRFLOW__CORE__LOAD_EXAMPLES="False")
    root = Path(__file__).parents[3]
    try:
        with AirflowEnvironment(folder, root / "pod_templates", root / "dags", tell, least=True) as environment:
            try:
                good = _run(environment, tell, console)
                if arguments.keep:
                    _wait_for_the_user(environment, console)
                return 0 if good else 1
            finally:
                tell("Stopping Airflow, the pods and the servers")
    except K8sVaultError as error:
        console.print(f"\n[red]The demo could not run:[/red] {error}", highlight=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        return 130


def _run(environment: AirflowEnvironment, tell: report.Tell, console: Console) -> bool:
    airflow = environment.airflow
    tell(f"Airflow starts at {airflow.url} (its logs: {airflow.home}); on two cores that takes up to a minute")
    airflow.wait_until_ready(DAGS)
    tell(f"Airflow is ready, with the DAGs {' and '.join(DAGS)}")
    record = PodRecord(environment.core(), [f"team-{team}" for team in TEAMS])
    runs = {dag_id: airflow.trigger(dag_id) for dag_id in DAGS}
    instances = airflow.watch(runs, lambda dag_id, task_id, state: tell(f"{dag_id}.{task_id}: {state}"))
    roles_left = isolation.wait_for_no_roles(environment)
    record.stop()
    surfaces = isolation.search(environment, record)
    good = report.show(console, instances, EXPECTED, record, surfaces, roles_left, environment.rows())
    tell("Comparing Vault and the cluster with what the teams' files and the DAGs say: airflow k8s-vault plan")
    equal, message = environment.plan()
    console.print(message, highlight=False, soft_wrap=True)
    return good and equal


def _wait_for_the_user(environment: AirflowEnvironment, console: Console) -> None:
    console.print("\nStill running. Ctrl-C stops all of it.", highlight=False)
    for name, where in addresses(environment).items():
        console.print(f"  {name:<11} {where}", highlight=False, soft_wrap=True, markup=False)
    signal.pause()


def addresses(environment: AirflowEnvironment) -> dict[str, str]:
    """Return where everything is for somebody who wants to change something: names to addresses and folders."""
    return {
        "Airflow": f"{environment.airflow.url} ({environment.airflow.login})",
        "The page": f"{environment.airflow.url}/plugin/k8s-vault",
        "Vault": f"export VAULT_ADDR={environment.vault.address} VAULT_TOKEN={environment.vault.token}",
        "Kubernetes": f"export KUBECONFIG={environment.kubeconfig}",
        "PostgreSQL": environment.postgres.uri(),
        "DAGs": f"{environment.dags} (a new file is read within a minute)",
        "Templates": str(environment.templates_dir),
        "Logs": str(environment.airflow.home),
        "Doctor": f". {environment.shell_environment()} && {_airflow()} k8s-vault doctor "
        f"--dags {environment.dags} --from pod",
    }


def _airflow() -> str:
    return str(Path(sys.executable).parent / "airflow")


if __name__ == "__main__":
    sys.exit(main())
