"""A task that is not deferred watches its pod: what that costs, and that all else is as without it."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest

from tests.faults import worker
from tests.faults.fault_environment import HAS_ALL, FaultEnvironment
from tests.faults.fault_proxy import Fault

pytestmark = pytest.mark.integration

# Polling would begin with the first look after this time, and take longer than any test waits.
NEVER_SECONDS = 500
PATIENT = {
    "startup_check_interval_seconds": NEVER_SECONDS,
    "base_container_status_polling_interval": NEVER_SECONDS,
}


def run(environment: FaultEnvironment, **arguments: Any) -> Any:
    """Run a task in this process, to its end long before NEVER_SECONDS; return what it returned."""
    environment.begin()
    operator = environment.operator(**arguments)
    with given_up_after(NEVER_SECONDS // 2):
        return operator.execute(worker.context(operator))


@contextlib.contextmanager
def given_up_after(seconds: int) -> Iterator[None]:
    from airflow.sdk.execution_time.timeout import timeout

    with timeout(seconds):
        yield


@pytest.mark.parametrize("delivery", ["agent", "secret"])
def test_a_task_has_one_watch_and_one_log_stream_and_no_more_than_ten_requests(
    environment: FaultEnvironment, delivery: str
) -> None:
    run(environment, delivery=delivery, script="sleep 2", **PATIENT)

    # The events are looked at where a start takes longer than usual, as it does on a busy machine.
    requests = [request for request in environment.kube.done if "/events?" not in request]
    assert len(requests) <= 10, requests
    assert (1, 1) == (environment.kube.count("watch=1"), environment.kube.count("/log.*follow=True"))
    assert 0 == environment.kube.count(r"GET [^?]*/pods/[^/?]*$")


def test_log_and_xcom_are_as_they_were(environment: FaultEnvironment, capsys: pytest.CaptureFixture[str]) -> None:
    returns = f"{HAS_ALL} && echo a line && echo '[7]' > /airflow/xcom/return.json"

    result = run(environment, cmds=["sh", "-c", returns], do_xcom_push=True, **PATIENT)

    assert [7] == result
    assert 1 == capsys.readouterr().out.count("[base] a line")


@pytest.mark.parametrize("logs", [{"get_logs": False}, {"container_logs": ["beside"]}], ids=str)
def test_the_end_is_known_without_the_base_containers_log(
    environment: FaultEnvironment, logs: dict[str, Any]
) -> None:
    run(environment, pod_template="payments/beside", secrets=[], cmds=["sleep", "1"], **logs, **PATIENT)

    assert 0 == environment.kube.count("/log.*container=base")


def test_who_may_not_watch_reads_the_pod_instead_and_is_told_once_which_right_would_help(
    environment: FaultEnvironment, caplog: pytest.LogCaptureFixture
) -> None:
    def refusing() -> None:
        environment.kube.faults = [Fault("watch=1", 403, None)]

    with mock.patch.object(environment, "begin", side_effect=refusing), caplog.at_level(logging.WARNING):
        run(environment, delivery="agent", script="sleep 2", execution_timeout=timedelta(minutes=1))
    messages = [record.getMessage() for record in caplog.records if "'watch' on 'pods'" in record.getMessage()]

    assert 1 == len(messages), messages
    assert environment.kube.count(r"GET [^?]*/pods/[^/?]*$") > 1
