"""What the demo prints at its end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from airflow_k8s_vault.delivery import TEMPLATE_ANNOTATION
from k8s_vault_devcluster.demo.isolation import Surface
from k8s_vault_devcluster.demo.pods import PodRecord, credentials

Tell = Callable[[str], None]
Instances = Mapping[str, list[dict[str, Any]]]


def show(
    console: Console,
    instances: Instances,
    expected: Mapping[tuple[str, str], str],
    record: PodRecord,
    surfaces: list[Surface],
    roles_left: list[str],
    rows: int,
) -> bool:
    """Print the tables and return whether all is as it should be."""
    states = {(dag_id, ti["task_id"]): ti["state"] for dag_id, tis in instances.items() for ti in tis}
    leaked = [surface for surface in surfaces if surface.found_in]
    unsearched = [surface.name for surface in surfaces if not surface.searched]
    console.print(_tasks(instances, expected, record), _credentials(instances, record), _surfaces(surfaces))
    console.print(f"Rows in PostgreSQL, written with a login that Vault made for the pod: {rows}")
    console.print(f"Such logins left in PostgreSQL: {', '.join(roles_left) or 'none'}")
    if states.get(("kubernetes_sample", "failing-task")) == "failed":
        console.print(
            "failing-task fails on purpose: its image, ubuntu:24.04, has no Python, and its log says so."
        )
    errors = [f"{key[0]}.{key[1]} ended as {states.get(key)}, not {want}" for key, want in expected.items()
             if states.get(key) != want]  # fmt: skip
    errors += [f"the canary was found in {surface.name}" for surface in leaked]
    errors += [f"nothing was there to search: {name}" for name in unsearched]
    errors += [f"logins are left: {', '.join(roles_left)}"] if roles_left else []
    errors += ["no row was written"] if not rows else []
    for problem in errors:
        console.print(f"[red]✗[/red] {problem}")
    if not errors:
        console.print("[green]✓[/green] All is as it should be.")
    return not errors


def _tasks(instances: Instances, expected: Mapping[tuple[str, str], str], record: PodRecord) -> Table:
    table = Table(title="Tasks", title_justify="left", show_lines=True)
    table.add_column("task")
    table.add_column("template, image, pod", overflow="fold")
    table.add_column("state")
    table.add_column("s", justify="right")
    for dag_id, tis in instances.items():
        for ti in tis:
            as_expected = expected.get((dag_id, ti["task_id"])) == ti["state"]
            table.add_row(
                f"[dim]{dag_id}[/dim]\n{ti['task_id']}",
                _pod(record.of_task(dag_id, ti["task_id"])),
                ti["state"] + (",\nas it should" if as_expected and ti["state"] != "success" else ""),
                f"{ti['duration'] or 0:.1f}",
            )
    return table


def _pod(pod: dict[str, Any] | None) -> str:
    if pod is None:
        return "no pod"
    meta = pod["metadata"]
    return f"{meta['annotations'][TEMPLATE_ANNOTATION]}\n{pod['spec']['containers'][0]['image']}\n{meta['name']}"


def _credentials(instances: Instances, record: PodRecord) -> Table:
    table = Table(title="Credentials that each pod received (names)", title_justify="left")
    for column in ("task", "container", "variables and files"):
        table.add_column(column, overflow="fold")
    for dag_id, tis in instances.items():
        for ti in tis:
            if (pod := record.of_task(dag_id, ti["task_id"])) is None:
                continue
            received = credentials(pod)
            for container, names in received.items():
                table.add_row(ti["task_id"], container, ", ".join(names))
            if not received:
                table.add_row(ti["task_id"], "", "none")
    return table


def _surfaces(surfaces: list[Surface]) -> Table:
    table = Table(title="Isolation: a canary value, looked for in", title_justify="left")
    for column in ("place", "searched", "found"):
        table.add_column(column, overflow="fold")
    for surface in surfaces:
        table.add_row(surface.name, str(surface.searched), ", ".join(surface.found_in) or "nowhere")
    return table
