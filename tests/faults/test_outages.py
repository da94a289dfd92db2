"""Whatever fails, no main process runs without its credentials, and nothing is left. `make faults` runs more."""

from __future__ import annotations

import pytest

from tests.faults import cluster_faults, outages
from tests.faults.case import Case
from tests.faults.fault_environment import FaultEnvironment

pytestmark = pytest.mark.integration


CASES = [case for case in (*outages.cases(), *cluster_faults.cases()) if not case.slow]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_nothing_runs_without_credentials_and_nothing_is_left(environment: FaultEnvironment, case: Case) -> None:
    if case.skipped:
        pytest.skip(case.skipped)
    row = case.run(environment)

    assert row.errors == []
