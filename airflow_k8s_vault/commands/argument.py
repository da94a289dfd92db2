"""The arguments that several commands take, defined once."""

from __future__ import annotations

from typing import Any

from airflow.cli.cli_config import Arg


def arg(*flags: str, **options: Any) -> Arg:
    """Return an argument as argparse takes it; the only place that calls Airflow's untyped class."""
    return Arg(flags, **options)  # type: ignore[no-untyped-call]


def output(default: str = "table") -> Arg:
    """Return `--output` of a command that prints rows."""
    return arg(
        "-o",
        "--output",
        choices=("table", "json", "yaml"),
        default=default,
        help=f"Output format. Default: {default}",
    )


FOLDER = arg("--templates-dir", help="Folder of the templates. Default: [k8s_vault] templates_dir")
