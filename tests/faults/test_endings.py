"""Whatever way a task ends, its credentials end with its pod."""

from __future__ import annotations

import pytest

from tests.faults import endings
from tests.faults.arena import Arena
from tests.faults.case import Case

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("case", [case for case in endings.cases() if not case.slow], ids=lambda case: case.id)
def test_credentials_end_with_the_pod(arena: Arena, case: Case) -> None:
    row = case.run(arena)

    assert row.wrong == []
