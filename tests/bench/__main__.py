"""Run all benchmarks, print one table. Exit status 1 where a row is not what was wanted, 0 otherwise."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path

from tests.bench.row import Row, table


def main(part: str = "", *sizes: str) -> int:
    """part: of the names of the modules to run. sizes: for those that can run larger ones."""
    home = tempfile.mkdtemp(prefix="k8s-vault-bench-")
    os.environ.update(
        AIRFLOW_HOME=home, AIRFLOW__CORE__LOAD_EXAMPLES="False", AIRFLOW__LOGGING__LOGGING_LEVEL="ERROR"
    )
    rows: list[Row] = []
    for path in sorted(Path(__file__).parent.glob("bench_*.py")):
        if part in path.stem:
            print(f"{path.stem} …", file=sys.stderr, flush=True)
            begin = time.perf_counter()
            rows += import_module(f"tests.bench.{path.stem}").run(*sizes)
            print(f"{path.stem}: {time.perf_counter() - begin:.0f} s", file=sys.stderr, flush=True)
    print(table(rows))
    return 0 if rows and all(row.met for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
