"""The container that KubernetesPodOperator adds to fetch a task's XCom, made to pass `restricted`."""

from __future__ import annotations

from typing import Any

from airflow.providers.cncf.kubernetes.utils.xcom_sidecar import add_xcom_sidecar
from kubernetes.client import V1Pod, models


def restricted() -> models.V1SecurityContext:
    """Return what the sidecar lacks of the Pod Security Standard `restricted`; the user is the pod's own."""
    return models.V1SecurityContext(
        allow_privilege_escalation=False,
        capabilities=models.V1Capabilities(drop=["ALL"]),
        run_as_non_root=True,
        seccomp_profile=models.V1SeccompProfile(type="RuntimeDefault"),
    )


def sidecar(hook: Any, security_context: Any) -> models.V1Container:
    """Return the container as KubernetesPodOperator adds it, by the settings of the Kubernetes connection."""
    pod = add_xcom_sidecar(
        V1Pod(spec=models.V1PodSpec(containers=[models.V1Container(name="base")])),
        sidecar_container_image=hook.get_xcom_sidecar_container_image(),
        sidecar_container_resources=hook.get_xcom_sidecar_container_resources(),
        sidecar_container_security_context=security_context,
    )
    return pod.spec.containers[-1]
