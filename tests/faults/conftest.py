"""One arena for all cases of a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.fault_environment import FaultEnvironment


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultEnvironment]:
    with FaultEnvironment(tmp_path_factory.mktemp("arena")) as made:
        yield made
