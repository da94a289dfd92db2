"""One environment for all cases of a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.fault_environment import FaultEnvironment


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultEnvironment]:
    with FaultEnvironment(tmp_path_factory.mktemp("environment")) as made:
        yield made
