"""The worker's side of a pod: created once, and given up once its credentials cannot arrive."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from airflow.providers.cncf.kubernetes.utils.pod_manager import PodPhase
from kubernetes.client import ApiException, V1DeleteOptions, V1Preconditions
from urllib3.exceptions import HTTPError

from airflow_k8s_vault.delivery import REQUEST_ANNOTATION, REQUEST_SECONDS, attempt, unless_gone
from airflow_k8s_vault.errors import DeliveryRefused, DeliveryUnavailable, ForeignPod
from airflow_k8s_vault.operators.log_groups import LogGroups
from airflow_k8s_vault.operators.own_pods import OwnPods
from airflow_k8s_vault.operators.pod_waits import PodWaits

GONE = "is gone: somebody deleted it, or its node was lost, before this task had seen how it ended."
_REFUSED = (400, 403, 404, 422)

Problem = DeliveryRefused | DeliveryUnavailable


class WatchfulPodManager(PodWaits):
    """A PodManager for the pods of `own` alone, which raises, once, what `problem_of` finds in one that it reads.

    `problem` keeps that. `created` is the pod that it created, as the API returned it; None before. `ends_with`
    is the container whose end is the task's; None: all have to end.
    """

    def __init__(self, own: OwnPods, problem_of: Callable[[Any], Problem | None], **arguments: Any) -> None:
        super().__init__(**arguments)
        self._own = own
        self.problem: Problem | None = None
        self._problem_of = problem_of
        self.groups = LogGroups()
        self.ends_with: str | None = None
        self._commanded: Any = None

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
            existing = self._client.read_namespaced_pod(pod.metadata.name, pod.metadata.namespace)
            if _request_of(existing) != _request_of(pod):
                raise DeliveryRefused(
                    f"There is a pod {pod.metadata.namespace}/{pod.metadata.name} of another task."
                )
            return existing

        try:
            created = attempt(f"create pod {pod.metadata.namespace}/{pod.metadata.name}", send, already)
        except _PodRefused as refused:
            raise refused.__cause__ from None  # type: ignore[misc]
        # In this order: a signal may come between, and ends only what is known as the task's own.
        self._own.add(created)
        self.created = created
        return created

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
        try:
            result = super().read_pod(pod)
        except ApiException as refusal:
            if refusal.status != 404:
                raise
            raise PodGone(pod) from None
        self._own.require(result)
        if self.problem is None and (problem := self._problem_of(result)):
            self.problem = problem
            # At once: while the pod is deleted somebody may end this process, and nobody would know why.
            self.groups.close(self.log)
            self.log.error("%s", str(problem).splitlines()[0])
            raise problem
        return result

    def newest(self, pod: Any) -> Any:
        """Return the pod as it is now, or as it was given where it cannot be read."""
        try:
            return self.read_pod(pod)
        except Exception:
            return pod

    def require_still_own(self, pod: Any) -> None:
        """Raise ForeignPod, or PodGone, unless the API server has this very pod under its name now.

        What goes by the name alone, as a command or the end of a log, is looked at when it is open: no UID comes
        back, so it was the task's own. A log that is followed does so by itself, before its first line.
        """
        try:
            self._own.require(self.read_now(pod))
        except ApiException as refusal:
            if refusal.status != 404:
                raise
            raise PodGone(pod) from None

    # Its log.

    def read_pod_logs(self, pod: Any, container_name: str, **options: Any) -> Any:
        try:
            return super().read_pod_logs(pod, container_name, **options)
        except ApiException as refusal:
            if refusal.status != 404:
                raise
            raise PodGone(pod) from None

    def fetch_requested_container_logs(
        self, pod: Any, containers: Any, follow_logs: bool = False, *given: Any, **named: Any
    ) -> list[Any]:
        """Follow the log of the container that ends the task first; show those of others when it has ended."""
        if self.ends_with is None:
            return list(super().fetch_requested_container_logs(pod, containers, follow_logs, *given, **named))
        names = self._reconcile_requested_log_containers(
            containers, self.get_container_names(pod), pod.metadata.name
        )
        matches: list[Any] = []
        for name in sorted(names, key=lambda name: name != self.ends_with):
            follow = follow_logs and name == self.ends_with
            matches += super().fetch_requested_container_logs(pod, name, follow, *given, **named)
        return matches

    def _log_message(self, message: str, *given: Any, **named: Any) -> None:
        self.groups.see(message)
        super()._log_message(message, *given, **named)

    def end_of_log(
        self, pod: Any, container: str, lines: int, timestamps: bool = False, is_shown: bool = True
    ) -> list[str]:
        """Return the last lines of a container's log; none where it cannot be read.

        is_shown: whether people see them, so that they have to be this very pod's, at the cost of a request.
        """
        try:
            answer = self._client.read_namespaced_pod_log(
                pod.metadata.name,
                pod.metadata.namespace,
                container=container,
                tail_lines=lines,
                timestamps=timestamps,
                _preload_content=False,
                _request_timeout=REQUEST_SECONDS,
            )
            text = str(answer.data.decode(errors="backslashreplace"))
            if is_shown:
                self.require_still_own(pod)
            return text.splitlines()
        except (ApiException, HTTPError, ForeignPod) as failure:
            self.log.debug("The end of the log cannot be read: %s", type(failure).__name__)
            return []

    # Its XCom.

    def extract_xcom_json(self, pod: Any) -> str:
        result = super().extract_xcom_json(pod)
        self.require_still_own(pod)
        return str(result)

    def extract_xcom_kill(self, pod: Any) -> None:
        self._commanded = pod
        super().extract_xcom_kill(pod)

    def _exec_pod_command(self, resp: Any, command: str) -> str | None:
        self.require_still_own(self._commanded)
        result: str | None = super()._exec_pod_command(resp, command)
        return result

    # Its end.

    def label(self, pod: Any, name: str, value: str) -> None:
        """Set a label of this very pod; nothing where it is gone, or where another one has its name."""
        self._patch(pod, "label", f"/metadata/labels/{name}", value)

    def end_what_is_left(self, pod: Any, keeps: bool) -> None:
        """End the containers of a pod whose object is kept, and with them its credentials.

        By its active deadline, which counts from its start: the kubelet ends what runs then, and starts nothing
        more. A pod that no kubelet has would start its main process some day: it is deleted.
        """
        now = self.newest(pod)
        if not keeps or now.status.phase in PodPhase.terminal_states or now.metadata.deletion_timestamp:
            return
        if not now.status.start_time:
            self.delete_pod(now)
            return
        self._patch(now, "end the containers of", "/spec/activeDeadlineSeconds", 1)
        meta = now.metadata
        self.log.info("Pod %s/%s is kept, and its containers are ended.", meta.namespace, meta.name)

    def _patch(self, pod: Any, what: str, path: str, value: Any) -> None:
        meta = pod.metadata
        patch = [
            {"op": "test", "path": "/metadata/uid", "value": meta.uid},
            {"op": "add", "path": path, "value": value},
        ]
        unless_gone(
            f"{what} pod {meta.namespace}/{meta.name}",
            lambda: self._client.patch_namespaced_pod(
                meta.name, meta.namespace, patch, _request_timeout=REQUEST_SECONDS
            ),
        )


class PodGone(ApiException):  # type: ignore[misc]
    """The pod is not there any more: KubernetesPodOperator knows this by the status."""

    def __init__(self, pod: Any) -> None:
        super().__init__(status=404, reason="Not Found")
        self._pod = f"{pod.metadata.namespace}/{pod.metadata.name}"

    def __str__(self) -> str:
        return f"Pod {self._pod} {GONE}"


class _PodRefused(Exception):
    """The API server will not have this pod."""


def _request_of(pod: Any) -> str | None:
    return (pod.metadata.annotations or {}).get(REQUEST_ANNOTATION)
