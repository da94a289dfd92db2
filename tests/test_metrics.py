"""What is counted arrives where Airflow sends its metrics, and names no path."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from airflow_k8s_vault import errors, metrics

# As Airflow's task runner does before it runs a task.
COUNTS = """\
from airflow.sdk.observability import stats
from airflow.sdk.observability.metrics import stats_utils
from airflow_k8s_vault import metrics

stats.initialize(factory=stats_utils.get_stats_factory(), export_legacy_names=False)
metrics.count("k8s_vault.delivery.started", team="payments", delivery="agent")
metrics.time("k8s_vault.delivery.ready_ms", 1500, team="payments", delivery="agent")
"""


def test_a_count_arrives_at_a_statsd_of_the_platform() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(60)
        settings = {
            "AIRFLOW__METRICS__STATSD_ON": "True",
            "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1",
            "AIRFLOW__METRICS__STATSD_PORT": str(server.getsockname()[1]),
            "AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED": "True",
        }
        done = subprocess.run(
            [sys.executable, "-c", COUNTS], env={**os.environ, **settings}, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        seen: list[str] = []
        # Airflow counts things of its own meanwhile.
        while not any("ready_ms" in line for line in seen):
            seen.append(server.recv(4096).decode())

    assert "airflow.k8s_vault.delivery.started,team=payments,delivery=agent:1|c" in seen
    assert "airflow.k8s_vault.delivery.ready_ms,team=payments,delivery=agent:1500.000000|ms" in seen


def test_a_process_without_metrics_counts_nothing_and_loads_nothing_for_it() -> None:
    code = (
        "import sys\nfrom airflow_k8s_vault import metrics\n"
        "metrics.count('k8s_vault.lookup', served='fresh')\n"
        "print([name for name in sys.modules if name.startswith('airflow.')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "[]" == done.stdout.strip()


@pytest.mark.parametrize("metric", metrics.METRICS)
def test_no_tag_can_hold_a_path_or_a_name_of_a_secret(metric: metrics.Metric) -> None:
    assert set(metric.tags) <= {"team", "delivery", "cause", "served"}


def test_every_error_has_one_of_the_closed_set_of_causes() -> None:
    assert "refused" == metrics.cause_of(errors.DeliveryRefused("x"))
    assert "unavailable" == metrics.cause_of(errors.DeliveryUnavailable("x"))
    assert "pod" == metrics.cause_of(RuntimeError("x"))
