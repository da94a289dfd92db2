"""One arena for all cases of a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.arena import Arena


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    with Arena(tmp_path_factory.mktemp("arena")) as made:
        yield made
