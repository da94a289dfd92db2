"""How a task's main process failed: read off its pod, the reason first and short.

Pure functions on V1Pod of the kubernetes client.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence
from typing import Any

from airflow_k8s_vault.delivery.agent.ended import NOT_STARTED

# What no other try of the same task mends.
_FOR_GOOD = re.compile(
    r"executable file not found|no such file or directory|argument list too long|permission denied|"
    r"exec format error"
)
# Of a log, in a message. The whole log is in the task's own.
MOST_LOG_LINES, _LONGEST_LINE = 10, 300
_OOM = "OOMKilled"


def why_it_failed(pod: Any, container: str, log: Sequence[str] = ()) -> str | None:
    """Return why the pod of a task did not succeed, None where its state does not say.

    log: the last lines of the container's.

    >>> why(pod, "base", ["no such table"])  # doctest: +SKIP
    "Container 'base' ended with exit code 3.
      Pod team-payments/load-x1y2z3; image postgres:18.
      The end of its log:
        no such table"
    """
    status = _status(pod, container)
    final = status.state.terminated if status else None
    reason = (
        start_failure(pod, container)
        or _of_pod(pod)
        or _of_end(pod, container, final)
        or _of_others(pod, container)
    )
    if reason is None:
        return None
    where = f"pod {pod.metadata.namespace}/{pod.metadata.name}"
    lines = [reason]
    lines.append(f"  It is container '{container}' of {where}{f'; image {status.image}' if status else ''}.")
    if final and final.message and not log:
        log = final.message.splitlines()
    if log:
        lines += ["  The end of its log:", *(f"    {_shown(line)}" for line in list(log)[-MOST_LOG_LINES:])]
    return "\n".join(line for line in lines if line)


def is_for_good(pod: Any, container: str) -> bool:
    """Whether the container's command cannot be started in any other try either."""
    status = _status(pod, container)
    final = status.state.terminated if status else None
    return bool(final and final.reason in NOT_STARTED and _FOR_GOOD.search(final.message or ""))


def has_failed(pod: Any, container: str) -> bool:
    """Whether the container ended with an exit code that is not 0."""
    status = _status(pod, container)
    return bool(status and status.state.terminated and status.state.terminated.exit_code)


def has_succeeded(pod: Any, container: str) -> bool:
    """Whether the pod did, or the container, which others of the pod may outlive."""
    status = _status(pod, container)
    ended = status.state.terminated if status else None
    return bool((ended and ended.exit_code == 0) or (pod and pod.status and pod.status.phase == "Succeeded"))


def start_failure(pod: Any, container: str) -> str | None:
    """Return why the container's command could not be started, or None when it did."""
    status = _status(pod, container)
    final = status.state.terminated if status else None
    if not final or final.reason not in NOT_STARTED:
        return None
    message = final.message or ""
    missing = re.search(r'exec: "([^"]+)": (executable file not found|stat|no such file)', message)
    if missing:
        return (
            f"Container '{container}' never ran: its image '{status.image}' has no executable "
            f"'{missing[1]}' (exit code {final.exit_code}).\n"
            "  Choose a pod template whose image has it, or change cmds."
        )
    way = ""
    if "argument list too long" in message:
        way = (
            "\n  Its variables and arguments are more than Linux takes: 128 KiB each with the name, 2 MiB "
            "together. Take the largest as files (file=)."
        )
    return f"Container '{container}' never ran ({final.reason}): {message}{way}"


def _of_pod(pod: Any) -> str | None:
    """Return why the whole pod was ended, where the kubelet or a controller says so."""
    reason = pod.status.reason if pod and pod.status else None
    if not reason:
        return None
    if reason == "DeadlineExceeded":
        seconds = pod.spec.active_deadline_seconds
        return f"The pod ran for longer than it may: its activeDeadlineSeconds is {seconds}."
    return f"The pod was ended by the cluster ({reason}). {pod.status.message or ''}".strip()


def _of_end(pod: Any, container: str, final: Any) -> str | None:
    if not final or final.exit_code == 0:
        return None
    code = final.exit_code
    if final.reason == _OOM:
        return f"Container '{container}' ran out of memory{_limit(pod, container)} (exit code {code}, {_OOM})."
    if code > 128 and (name := _signal_name(code - 128)):
        return f"Container '{container}' was ended by {name} (exit code {code})."
    return f"Container '{container}' ended with exit code {code}."


def _of_others(pod: Any, container: str) -> str | None:
    """Return which other container failed; the pod does when one of them does."""
    for status in _statuses(pod):
        final = status.state.terminated
        if status.name != container and final and final.exit_code:
            if final.reason == _OOM:
                return f"Container '{status.name}' ran out of memory{_limit(pod, status.name)} ({_OOM})."
            return f"Container '{status.name}' ended with exit code {final.exit_code}."
    return "The pod was deleted." if pod and pod.metadata.deletion_timestamp else None


def _limit(pod: Any, name: str) -> str:
    for container in [*(pod.spec.init_containers or ()), *pod.spec.containers]:
        limits = (container.resources and container.resources.limits) or {}
        if container.name == name and limits.get("memory"):
            return f": its limit is {limits['memory']}"
    return ""


def _signal_name(number: int) -> str | None:
    try:
        return signal.Signals(number).name
    except ValueError:
        return None


def _status(pod: Any, container: str) -> Any:
    return next((status for status in _statuses(pod) if status.name == container), None)


def _statuses(pod: Any) -> list[Any]:
    if not pod or not pod.status:
        return []
    return [*(pod.status.init_container_statuses or ()), *(pod.status.container_statuses or ())]


def _shown(line: str) -> str:
    """Return a line of somebody's log as a part of a message: a page makes a group of a line with that mark."""
    text = re.sub(r"::(end)?group::", lambda mark: f": {mark[0].strip(':')} :", line.rstrip())
    return text if len(text) <= _LONGEST_LINE else f"{text[:_LONGEST_LINE]}…"
