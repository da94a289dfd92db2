"""In which order modules run, and which of them share a worker: the longest first, servers started once.

A worker of pytest-xdist takes a whole module, and here a whole folder where its modules share servers that take
seconds to start. What would come last would have the machine for itself, and waits more than it computes.
"""

from __future__ import annotations

from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

# Folders, or the beginnings of names in them, each for one worker.
_TOGETHER = ("tests/page/", "tests/delivery/", "tests/security/", "tests/devcluster/test_api_")
# What takes more than 20 s, the longest first: see what `make test` prints as the slowest.
_FIRST = (
    "tests/integration/",
    "tests/page/",
    "tests/secrets_backend/test_airflow.py",
    "tests/faults/test_endings.py",
    "tests/canary/test_canary.py",
    "tests/operators/test_failing_tasks.py",
    "tests/faults/test_outages.py",
    "tests/faults/test_leases.py",
    "tests/attacks/test_foreign_pods.py",
    "tests/security/",
    "tests/devcluster/test_api_",
    "tests/secrets_backend/test_process.py",
    "tests/compile/",
    "tests/delivery/",
)


class ByServers(LoadFileScheduling):
    """One module, or what belongs together, at a time to each worker."""

    def _split_scope(self, nodeid: str) -> str:
        module = super()._split_scope(nodeid)
        return next((together for together in _TOGETHER if module.startswith(together)), str(module))


def sort(items: list[pytest.Item]) -> None:
    """Bring the tests of what takes long to the front."""
    items.sort(key=lambda item: next((n for n, name in enumerate(_FIRST) if item.nodeid.startswith(name)), 99))


def scheduler(config: pytest.Config, log: Any) -> ByServers:
    # In our order, not by the number of tests.
    config.option.loadscopereorder = False
    return ByServers(config, log)
