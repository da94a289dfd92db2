"""One arena for what is claimed in docs/security.md and not shown elsewhere."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.fault_environment import FaultEnvironment

# While a pod waits, here for somebody to open its gate, worker and triggerer read its events.
HELD = """\
{% extends "payments/etl.yaml.j2" %}
{% block placement %}
  schedulingGates: [{name: example.com/hold}]
{% endblock %}
"""


@pytest.fixture(scope="package")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultEnvironment]:
    with FaultEnvironment(tmp_path_factory.mktemp("arena"), {"payments/held.yaml.j2": HELD}) as made:
        yield made
