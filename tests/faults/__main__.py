"""`make faults`, or `python -m tests.faults [part of a case's name]`: run all cases and print their table."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="k8s-vault-faults-"))
os.environ.update(AIRFLOW__CORE__LOAD_EXAMPLES="False", AIRFLOW__LOGGING__LOGGING_LEVEL="ERROR")


def main(part: str = "") -> int:
    from tests.faults import cluster_faults, deferred, endings, outages
    from tests.faults.fault_environment import FaultEnvironment
    from tests.faults.row import table
    from tests.settings import follow_the_environment

    follow_the_environment()
    rows = []
    rooms = (endings, outages, cluster_faults, deferred)
    chosen = [case for room in rooms for case in room.cases() if part in case.id]
    begin = time.monotonic()
    with FaultEnvironment(Path(tempfile.mkdtemp(prefix="k8s-vault-environment-"))) as environment:
        for number, case in enumerate(chosen, 1):
            print(f"{number}/{len(chosen)} {time.monotonic() - begin:4.0f} s  {case.id}", file=sys.stderr)
            rows.append(case.run(environment))
            if rows[-1].errors:
                print(f"  {rows[-1].cells}", file=sys.stderr)
    print(table(rows))
    return 1 if any(row.errors for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
