"""The worker's side of a pod: created once, and given up once its credentials cannot arrive."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from airflow.providers.cncf.kubernetes.utils.pod_manager import PodManager
from kubernetes.client import ApiException, V1DeleteOptions, V1Preconditions

from airflow_k8s_vault.delivery import REQUEST_ANNOTATION
from airflow_k8s_vault.delivery.attempts import attempt, unless_gone
from airflow_k8s_vault.errors import DeliveryRefused, DeliveryUnavailable
from airflow_k8s_vault.operators.own_pods import OwnPods

_REFUSED = (400, 403, 404, 422)

Problem = DeliveryRefused | DeliveryUnavailable


class WatchfulPodManager(PodManager):
    """A PodManager for the pods of `own` alone, which raises, once, what `problem_of` finds in one that it reads.

    `problem` keeps that. `created` is the pod that it created, as the API returned it; None before.
    """

    def __init__(self, own: OwnPods, problem_of: Callable[[Any], Problem | None], **arguments: Any) -> None:
        super().__init__(**arguments)
        self._own = own
        self.problem: Problem | None = None
        self.created: Any = None
        self._problem_of = problem_of

    def create_pod(self, pod: Any) -> Any:
        """Create the pod once, also where the API server did it and the answer was lost."""

        def send() -> Any:
            try:
                return self.run_pod_async(pod)
            except ApiException as refusal:
                if refusal.status in _REFUSED:
                    # Its body says what is wrong with the pod, and a pod holds no secret.
                    raise _PodRefused from refusal
                raise

        def already() -> Any:
            found = self._client.read_namespaced_pod(pod.metadata.name, pod.metadata.namespace)
            if _request_of(found) != _request_of(pod):
                raise DeliveryRefused(
                    f"There is a pod {pod.metadata.namespace}/{pod.metadata.name} of another task."
                )
            return found

        try:
            self.created = attempt(f"create pod {pod.metadata.namespace}/{pod.metadata.name}", send, already)
        except _PodRefused as refused:
            raise refused.__cause__ from None  # type: ignore[misc]
        self._own.add(self.created)
        return self.created

    def delete_pod(self, pod: Any, grace_period_seconds: int | None = None) -> None:
        """Delete this very pod; nothing where it is gone, or where another one has its name."""
        meta = pod.metadata
        body = V1DeleteOptions(
            grace_period_seconds=grace_period_seconds, preconditions=V1Preconditions(uid=meta.uid)
        )
        unless_gone(
            f"delete pod {meta.namespace}/{meta.name}",
            lambda: self._client.delete_namespaced_pod(meta.name, meta.namespace, body=body),
        )

    def read_pod(self, pod: Any) -> Any:
        """Return the pod as it is now. Raises ForeignPod: logs and XCom are only read of a pod that was read."""
        found = super().read_pod(pod)
        self._own.require(found)
        if self.problem is None and (problem := self._problem_of(found)):
            self.problem = problem
            raise problem
        return found


class _PodRefused(Exception):
    """The API server will not have this pod."""


def _request_of(pod: Any) -> str | None:
    return (pod.metadata.annotations or {}).get(REQUEST_ANNOTATION)
