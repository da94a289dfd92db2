"""`airflow k8s-vault migrate`: what moving a DAG takes, task by task, and a patch for the simple ones."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from airflow_k8s_vault import migrate, teams, templates
from airflow_k8s_vault.commands import dag_pods, output
from airflow_k8s_vault.commands.dag_patch import DagPatch
from airflow_k8s_vault.commands.dag_pods import PodTask
from airflow_k8s_vault.commands.import_templates import pairs
from airflow_k8s_vault.commands.templates import folder_of
from airflow_k8s_vault.errors import K8sVaultError, TeamError, did_you_mean
from airflow_k8s_vault.migrate import Target, TaskReport
from airflow_k8s_vault.templates import PodTemplate, template_folder


@output.reports_errors
def run(arguments: Namespace) -> int:
    """Print the report, or with --patch the patch; status 1 where a task is left to do by hand."""
    root = folder_of(arguments)
    tasks_of_dags = dag_pods.read(Path(arguments.dags))
    known = _templates(root, arguments.team)
    paths = pairs("--vault-path", arguments.vault_path, "warehouse=secret/payments/warehouse")
    target = Target(root, arguments.team or "", "", paths=paths)
    reports = [_report(task, known, target, Path(arguments.dags)) for task in tasks_of_dags.tasks]
    for file, reason in tasks_of_dags.broken.items():
        print(f"{file} could not be imported: {reason}", file=sys.stderr)
    if arguments.patch or arguments.write:
        left = _patch(tasks_of_dags.tasks, reports, Path(arguments.dags), root, arguments.write)
    else:
        left = any(report.by_hand or report.credentials for report in reports)
        _print(reports, arguments.output)
    return output.HAS_ERRORS if left or tasks_of_dags.broken else 0


def _templates(root: Path, team: str | None) -> list[PodTemplate]:
    names = teams.names(root)
    if team and team not in names:
        raise TeamError(f"There is no team '{team}' in {root}.{did_you_mean(team, names)}")
    result = []
    for name in [team] if team else names:
        for short in template_folder(root).available(name):
            try:
                result.append(templates.find(f"{name}/{short}", root))
            except K8sVaultError as error:
                print(f"{name}/{short} is left out: {error}", file=sys.stderr)
    return result


def _report(task: PodTask, known: list[PodTemplate], target: Target, dags: Path) -> TaskReport:
    root = dags if dags.is_dir() else dags.parent
    file = task.file.resolve()
    shown = str(file.relative_to(root.resolve())) if file.is_relative_to(root.resolve()) else str(file)
    return migrate.report(
        migrate.DagTask(task.name, shown, task.operator, task.plain, task.arguments, task.pod, task.error),
        known,
        target,
    )


def _print(reports: Sequence[TaskReport], form: str) -> None:
    if form == "markdown":
        print("\n".join(migrate.markdown(reports)))
    elif form != "table":
        output.document([report.row() for report in reports], form)
    elif not reports:
        print("No task of KubernetesPodOperator.")
    else:
        output.show([_short(report.row()) for report in reports], "table")
        patches = sum(not report.by_hand for report in reports)
        print(f"\n{len(reports)} tasks: {patches} by --patch, {len(reports) - patches} by hand.")


def _short(row: Mapping[str, Any]) -> dict[str, Any]:
    nearest = f"nearest: {row['nearest']}, but for {', '.join(row['differs'])}" if row["nearest"] else ""
    return {
        "task": row["task"],
        "template": row["template"] or nearest or "none",
        "team has to open": row["open"],
        "vault_secrets": "\n".join(row["vault_secrets"]),
        "credentials": "\n".join(row["credentials"]),
        "how": f"by hand: {'; '.join(row['why'])}" if row["why"] else "patch",
    }


def _patch(tasks: Sequence[PodTask], reports: Sequence[TaskReport], dags: Path, root: Path, write: bool) -> bool:
    """Print the patch of each file, and with `write` apply it; return whether a task is left to do by hand."""
    left = [f"{report.task}: {'; '.join(report.by_hand)}" for report in reports if report.by_hand]
    secrets = {value for task in tasks for value in migrate.credentials(task.arguments)}
    by_file: dict[Path, list[tuple[PodTask, TaskReport]]] = {}
    for task, report in zip(tasks, reports, strict=True):
        by_file.setdefault(task.file, []).append((task, report))
    for file, of_file in by_file.items():
        if all(report.by_hand for _, report in of_file):
            continue
        patch = DagPatch(file, of_file, dags, root)
        left += patch.left
        if patch.done:
            output.coloured_diff(migrate.masked(patch.diff(), secrets))
            if write:
                patch.write()
                print(f"{file}: written ({', '.join(patch.done)}).", file=sys.stderr)
    for sentence in left:
        print(f"Left to do by hand: {sentence}", file=sys.stderr)
    return bool(left)
