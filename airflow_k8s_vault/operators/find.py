"""The pod that an earlier try of the task left: taken over where it is the task's own, else left alone."""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from airflow.providers.cncf.kubernetes.operators.pod import FoundMoreThanOnePodFailure
from kubernetes.client import CoreV1Api, V1Pod

from airflow_k8s_vault.delivery import attempt, unless_gone
from airflow_k8s_vault.operators import credentials, own_pods
from airflow_k8s_vault.operators.build import BuildsPod, manifest_of

if TYPE_CHECKING:
    from airflow.providers.cncf.kubernetes.hooks.kubernetes import KubernetesHook

# KubernetesPodOperator's key, where there is a task state store (Airflow 3.3).
_STATE_KEY = "pod_identifier"
_POD_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")


class FindsPod(BuildsPod):
    """The part of VaultPodOperator that looks for a pod, by the task state store and by labels."""

    @cached_property
    def client(self) -> CoreV1Api:
        core = super().client
        hook = cast("KubernetesHook", self.hook)
        credentials.renew_refused(core.api_client, hook.get_conn)
        return core

    @cached_property
    def _own_pods(self) -> own_pods.OwnPods:
        return own_pods.OwnPods()

    def find_pod(self, namespace: str, context: Any, *, exclude_checked: bool = True) -> V1Pod | None:
        """Return the one pod of the namespace that has the task's labels and is its own, else None."""
        selector = self._build_find_pod_label_selector(context, exclude_checked=exclude_checked)
        pods = attempt(
            f"list the pods of namespace {namespace}",
            lambda: self.client.list_namespaced_pod(namespace, label_selector=selector).items,
        )
        pods = [pod for pod in pods if self._is_own(pod, "has the task's labels")]
        if len(pods) > 1 and self.reattach_on_restart:
            raise FoundMoreThanOnePodFailure(f"More than one pod running with labels {selector}")
        if not pods:
            return None
        pod = pods[0] if len(pods) == 1 else self.process_duplicate_label_pods(pods)
        self.log_matching_pod(pod=pod, context=context)
        return pod

    def _get_pod_from_task_state_store(self, context: Any) -> V1Pod | None:
        store = context.get("task_state_store")
        stored = store.get(_STATE_KEY) if store is not None else None
        if not isinstance(stored, dict):
            return None
        name, namespace = str(stored.get("name")), stored.get("namespace")
        if namespace != self._decision.template.team.namespace or not _POD_NAME.fullmatch(name):
            # Not even looked at: the worker may have rights in namespaces of others.
            self.log.warning("The pod that the task state store names is not this task's: it is left alone.")
            return None
        pod: V1Pod | None = unless_gone(
            f"read pod {namespace}/{name}", lambda: self.client.read_namespaced_pod(name, namespace)
        )
        if pod is None:
            self.log.warning("Pod %s/%s of the task state store is gone: looking for labels.", namespace, name)
            return None
        uid = stored.get("uid")
        if uid is not None and uid != pod.metadata.uid:
            self._leave_alone(pod, "has the name that the task state store has", ["metadata.uid"])
            return None
        if not self._is_own(pod, "the task state store names"):
            return None
        if (pod.metadata.labels or {}).get(self.POD_CHECKED_KEY) == "True":
            self.log.info("Pod %s/%s has been looked at by an earlier try: a new one is made.", namespace, name)
            return None
        self.log.info("Going on with pod %s/%s, which the task state store names.", namespace, name)
        return pod

    def _persist_pod_identity_to_task_state_store(self, context: Any, pod: V1Pod) -> None:
        store = context.get("task_state_store")
        if store is not None:
            meta = pod.metadata
            store.set(_STATE_KEY, {"name": meta.name, "namespace": meta.namespace, "uid": meta.uid})

    def _is_own(self, pod: V1Pod, how_known: str) -> bool:
        """Whether a pod that was found is the task's; says so where it is not."""
        if pod in self._own_pods:
            return True
        differences = own_pods.different(manifest_of(pod), self._sent)
        if differences:
            self._leave_alone(pod, how_known, differences)
            return False
        self._own_pods.add(pod)
        return True

    def _leave_alone(self, pod: V1Pod, how_known: str, differences: list[str]) -> None:
        if pod.metadata.uid not in self._left_alone:
            self._left_alone.add(pod.metadata.uid)
            self.log.warning("%s", own_pods.left_alone(pod, how_known, differences))

    @cached_property
    def _left_alone(self) -> set[str]:
        """The UIDs of the pods of which that was said."""
        return set()
