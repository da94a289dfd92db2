"""A task whose main process failed says why, first and short: as the pod's status tells."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.providers.cncf.kubernetes.pod_generator import PodGenerator
from kubernetes.client import V1Pod

from airflow_k8s_vault.delivery import main_failure


def ended(exit_code: int, reason: str = "Error", message: str | None = None) -> dict[str, Any]:
    started = {"startedAt": "2026-01-02T03:04:05Z", "finishedAt": "2026-01-02T03:04:06Z"}
    return {"terminated": {"exitCode": exit_code, "reason": reason, "message": message, **started}}


def pod(base: dict[str, Any], beside: dict[str, Any] | None = None, **status: Any) -> V1Pod:
    common = {"image": "postgres:18", "imageID": "", "ready": False, "restartCount": 0}
    states = {"base": base, **({"beside": beside} if beside else {})}
    resources = {"limits": {"memory": "512Mi"}}
    manifest = {
        "metadata": {"name": "load-abc", "namespace": "team-payments"},
        "spec": {
            "activeDeadlineSeconds": 600,
            "containers": [{"name": name, "resources": resources} for name in states],
        },
        "status": {
            "phase": "Failed",
            "containerStatuses": [{**common, "name": name, "state": state} for name, state in states.items()],
            **status,
        },
    }
    return PodGenerator.deserialize_model_dict(manifest)


RUNNING: dict[str, Any] = {"running": {"startedAt": "2026-01-02T03:04:05Z"}}


@pytest.mark.parametrize(
    ("result", "first"),
    [
        (pod(ended(3)), "Container 'base' ended with exit code 3."),
        (
            pod(ended(137, "OOMKilled")),
            "Container 'base' ran out of memory: its limit is 512Mi (exit code 137, OOMKilled).",
        ),
        (pod(ended(137)), "Container 'base' was ended by SIGKILL (exit code 137)."),
        (pod(ended(143)), "Container 'base' was ended by SIGTERM (exit code 143)."),
        (pod(ended(255)), "Container 'base' ended with exit code 255."),
        (
            pod(ended(128, "StartError", 'exec: "python": executable file not found in $PATH')),
            "Container 'base' never ran: its image 'postgres:18' has no executable 'python' (exit code 128).",
        ),
        (
            pod(ended(137), reason="Evicted", message="The node was low on resource: memory."),
            "The pod was ended by the cluster (Evicted). The node was low on resource: memory.",
        ),
        (
            pod(ended(143), reason="DeadlineExceeded", message="Pod was active on the node"),
            "The pod ran for longer than it may: its activeDeadlineSeconds is 600.",
        ),
        (pod(ended(0, "Completed"), ended(5)), "Container 'beside' ended with exit code 5."),
        (
            pod(RUNNING, ended(137, "OOMKilled")),
            "Container 'beside' ran out of memory: its limit is 512Mi (OOMKilled).",
        ),
    ],
)
def test_the_reason_is_the_first_line(result: V1Pod, first: str) -> None:
    shown = main_failure.why_it_failed(result, "base")

    assert shown is not None
    assert first == shown.splitlines()[0]
    assert "container 'base' of pod team-payments/load-abc; image postgres:18." in shown


def test_the_end_of_the_log_follows_and_is_no_more_than_a_page_shows() -> None:
    log = [*(f"line {number}" for number in range(30)), "x" * 1000, "::group::of the program"]

    message = main_failure.why_it_failed(pod(ended(3)), "base", log)

    assert message is not None
    lines = message.splitlines()[3:]
    assert [line.strip() for line in lines[:2]] == ["line 22", "line 23"]
    assert max(map(len, lines)) < 310
    assert "::group::" not in message
    assert "of the program" in lines[-1]


def test_without_a_log_the_termination_message_is_told() -> None:
    assert "    no such table" in str(main_failure.why_it_failed(pod(ended(1, message="no such table")), "base"))


def test_a_pod_that_says_nothing_is_no_reason() -> None:
    assert main_failure.why_it_failed(pod(RUNNING), "base") is None
    assert main_failure.why_it_failed(None, "base") is None


@pytest.mark.parametrize(
    ("base", "for_good"),
    [
        (ended(128, "StartError", 'exec: "python": executable file not found in $PATH'), True),
        (ended(128, "StartError", "exec /bin/sh: argument list too long"), True),
        (ended(128, "StartError", "exec /app: exec format error"), True),
        (ended(128, "StartError", "failed to create containerd task: no space left on device"), False),
        (ended(1), False),
    ],
)
def test_a_command_that_no_try_can_start_fails_for_good(base: dict[str, Any], for_good: bool) -> None:
    assert for_good == main_failure.is_for_good(pod(base), "base")
