"""`airflow k8s-vault doctor`."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from airflow_k8s_vault import config, doctor, teams
from airflow_k8s_vault.commands import compile_sources, output
from airflow_k8s_vault.delivery import VaultLogin
from airflow_k8s_vault.errors import K8sVaultError


@output.reports_errors
def run(arguments: Namespace) -> int:
    """Walk all checks and print what came out; status 1 where one of them fails."""
    console = output.terminal()
    tell = _teller(console) if arguments.output == "table" else lambda done: None
    canary = "" if arguments.task == "none" else arguments.task
    depth = doctor.Depth(from_pod=arguments.from_ == "pod", leases=arguments.leases, canary=canary)
    result = _environment(arguments)
    try:
        report = doctor.run(doctor.all_checks(result, depth), tell, arguments.wait, _waiting)
    finally:
        if result.vault is not None:
            result.vault.close()
    if arguments.output != "table":
        output.document(report.document(), arguments.output)
    else:
        console.print(Text(f"\n{_summary(report)}", style="bold"))
    return 0 if report.success else output.HAS_ERRORS


def _teller(console: Console) -> Callable[[doctor.Done], None]:
    """Return what prints each check when it is done, below the title of its category."""
    shown: set[str] = set()

    def tell(done: doctor.Done) -> None:
        category = done.check.cause.category
        if category not in shown:
            shown.add(category)
            console.print(Text(f"\n{doctor.CATEGORIES[category]}", style="bold"))
        for line, style in doctor.lines(done, console.width):
            console.print(Text(line, style=style), soft_wrap=True)

    return tell


def _waiting(check: doctor.Check) -> AbstractContextManager[Any]:
    """Show on standard error, where that is a terminal, what is waited for."""
    console = Console(stderr=True)
    return (
        console.status(Text(f"waiting until {check.cause.description}")) if console.is_terminal else nullcontext()
    )


def _environment(arguments: Namespace) -> doctor.Environment:
    """Return what the checks look at; what cannot be read is left out, for a check to tell."""
    dags = compile_sources.dags_of(arguments)
    try:
        root = Path(config.get("templates_dir"))
        names = arguments.team or teams.names(root)
        login = VaultLogin.of_role("")
    except K8sVaultError:
        return doctor.Environment(list(arguments.team or ()), [], {}, (), doctor.Kube(arguments.conn_id), None)
    sources, unread = [], {}
    for name in names:
        try:
            sources += compile_sources.team_sources(root, [name], dags)
        except K8sVaultError as error:
            unread[name] = str(error)
    declared, kube = dags.declared if dags else (), doctor.Kube(arguments.conn_id)
    return doctor.Environment(list(names), sources, unread, declared, kube, doctor.Vault(login))


def _summary(report: doctor.Report) -> str:
    results = [item.outcome.result for item in report.done]
    counts = [
        f"{doctor.MARKS[result]} {results.count(result)} {result}" for result in doctor.MARKS if result in results
    ]
    return f"{'All is well' if report.success else 'Something is not well'}: {', '.join(counts)}."
