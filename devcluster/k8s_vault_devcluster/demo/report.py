"""What the demo prints at its end.

Needed by `make demo`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
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


def _table(title: str, columns: Iterable[str], rows: Iterable[tuple[str, ...]]) -> Table:
    table = Table(title=title, title_justify="left", show_lines=True)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def _tasks(instances: Instances, expected: Mapping[tuple[str, str], str], record: PodRecord) -> Table:
    def row(ti: dict[str, Any]) -> tuple[str, ...]:
        key = ti["dag_id"], ti["task_id"]
        as_it_should = ",\nas it should" if expected.get(key) == ti["state"] != "success" else ""
        name, pod = f"[dim]{key[0]}[/dim]\n{key[1]}", _pod(record.of_task(*key))
        return name, pod, ti["state"] + as_it_should, f"{ti['duration'] or 0:.1f}"

    rows = [row(ti) for tis in instances.values() for ti in tis]
    return _table("Tasks", ("task", "template, image, pod", "state", "s"), rows)


def _pod(pod: dict[str, Any] | None) -> str:
    if pod is None:
        return "no pod"
    meta = pod["metadata"]
    return f"{meta['annotations'][TEMPLATE_ANNOTATION]}\n{pod['spec']['containers'][0]['image']}\n{meta['name']}"


def _credentials(instances: Instances, record: PodRecord) -> Table:
    rows: list[tuple[str, ...]] = []
    for dag_id, task_id in [(dag_id, ti["task_id"]) for dag_id, tis in instances.items() for ti in tis]:
        if pod := record.of_task(dag_id, task_id):
            received = credentials(pod).items() or [("", ["none"])]
            rows += [(task_id, container, ", ".join(names)) for container, names in received]
    title = "Credentials that each pod received (names)"
    return _table(title, ("task", "container", "variables and files"), rows)


def _surfaces(surfaces: list[Surface]) -> Table:
    rows = [(each.name, str(each.searched), ", ".join(each.found_in) or "nowhere") for each in surfaces]
    return _table("Isolation: a canary value, looked for in", ("place", "searched", "found"), rows)
