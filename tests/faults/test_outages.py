"""Whatever fails, no main process runs without its credentials, and nothing is left. `make faults` runs more."""

from __future__ import annotations

import pytest

from tests.faults import outages
from tests.faults.arena import Arena
from tests.faults.case import Case

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("case", [case for case in outages.cases() if not case.slow], ids=lambda case: case.id)
def test_nothing_runs_without_credentials_and_nothing_is_left(arena: Arena, case: Case) -> None:
    row = case.run(arena)

    assert row.wrong == []
