"""Why a pod did not start: read off its status, in words that say which part failed and what to do.

Pure functions on V1Pod, of the kubernetes client or of kubernetes_asyncio.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from airflow_k8s_vault.delivery.agent import CONTAINER, ended
from airflow_k8s_vault.delivery.login import VaultLogin
from airflow_k8s_vault.errors import DeliveryRefused, DeliveryUnavailable

# The kubelet retries these for ever, and KubernetesPodOperator waits for its start-up timeout.
_STUCK = {
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
}
# What a registry or a runtime says that may well answer the next try. A name that is not known is none of these.
_PASSING = re.compile(
    r"too many requests|toomanyrequests|time(d )?out|deadline exceeded|connection (refused|reset)|unexpected EOF|"
    r"network is unreachable|temporar|service unavailable|bad gateway|internal server error",
    re.IGNORECASE,
)


def delivery_failure(
    pod: Any, login: VaultLogin, base_container: str
) -> DeliveryRefused | DeliveryUnavailable | None:
    """Return why the credentials did not reach the pod, or None while nothing speaks against it.

    Once the base container has started, the agent's later troubles are no failed delivery. Where the pod was ended
    from outside, or by another container, the agent ended because of that, and nothing is said of Vault.
    """
    statuses = {status.name: status for status in _statuses(pod)}
    base, agent = statuses.get(base_container), statuses.get(CONTAINER)
    if agent is None or (base is not None and has_started(base)):
        return None
    # The base container, and what has to run before it.
    for status in [*(pod.status.init_container_statuses or ()), *filter(None, [base])]:
        waiting = status.state.waiting
        if waiting and waiting.reason in _STUCK:
            return _stuck(pod, status.name, waiting, login)
    if sentence := next(_ended_from_outside(pod, statuses), None):
        return DeliveryUnavailable(sentence)
    final = agent.state.terminated or (agent.last_state and agent.last_state.terminated)
    if not final or final.exit_code == 0:
        return None
    return ended.why(pod, login, final)


def has_begun(pod: Any, container: str) -> bool:
    """Whether that container of the pod ever ran."""
    return any(status.name == container and has_started(status) for status in _statuses(pod))


def has_started(status: Any) -> bool:
    """Whether a container ever ran: one that did not is shown as terminated, too, once its pod is deleted."""
    final = status.state.terminated
    return bool(status.state.running or (final and final.started_at))


def _ended_from_outside(pod: Any, statuses: dict[str, Any]) -> Iterator[str]:
    where = f"Pod {pod.metadata.namespace}/{pod.metadata.name}"
    if pod.status.reason:
        # Evicted, DeadlineExceeded, NodeLost, Preempting, UnexpectedAdmissionError and the like.
        message = getattr(pod.status, "message", None) or ""
        yield f"{where} was ended before its main process started ({pod.status.reason}). {message}".strip()
    for name, status in statuses.items():
        final = status.state.terminated
        if name != CONTAINER and final and final.started_at and final.exit_code != 0:
            what = f"Container '{name}' ended with exit code {final.exit_code} before the main process started."
            yield f"{what}\n  {where}."
    if pod.metadata.deletion_timestamp:
        yield f"{where} was deleted before its main process started."


def _statuses(pod: Any) -> list[Any]:
    status = pod.status if pod else None
    if status is None:
        return []
    return [*(status.init_container_statuses or []), *(status.container_statuses or [])]


def _stuck(pod: Any, container: str, waiting: Any, login: VaultLogin) -> DeliveryRefused | DeliveryUnavailable:
    what = "The Vault agent's container" if container == CONTAINER else f"Container '{container}'"
    setting = ""
    if container == CONTAINER:
        setting = f"\n  The image is [k8s_vault] vault_agent_image.{login.doctor('POD-AGENT-IMAGE')}"
    where = f"pod {pod.metadata.namespace}/{pod.metadata.name}"
    kind = DeliveryUnavailable if _PASSING.search(waiting.message or "") else DeliveryRefused
    return kind(f"{what} of {where} cannot start ({waiting.reason}): {waiting.message}{setting}")
