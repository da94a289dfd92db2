"""The container that KubernetesPodOperator adds to fetch a task's XCom, made to pass `restricted`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.providers.cncf.kubernetes.utils.xcom_sidecar import add_xcom_sidecar
from kubernetes.client import V1Pod, models

from airflow_k8s_vault.delivery import agent
from airflow_k8s_vault.errors import PolicyError
from airflow_k8s_vault.teams import AgentSettings, Team


def restricted_context(user: int | None = None) -> models.V1SecurityContext:
    """Return what the sidecar lacks of the Pod Security Standard `restricted`.

    user: what it runs as, None where the pod's own securityContext, or the cluster, says that.
    """
    return models.V1SecurityContext(
        run_as_user=user,
        allow_privilege_escalation=False,
        capabilities=models.V1Capabilities(drop=["ALL"]),
        run_as_non_root=True,
        seccomp_profile=models.V1SeccompProfile(type="RuntimeDefault"),
    )


def user(pod: Mapping[str, Any], base_container: str, settings: AgentSettings) -> int | None:
    """Return the user that the sidecar of this v1 Pod manifest names, None where it is to name none.

    Its image is root's, and the kubelet starts no root where runAsNonRoot is set. Where the pod names no user it
    is that of the task's own container, else the agent's, or with `agent.run_as_user: cluster` the cluster's.
    """
    spec = pod["spec"]
    if (spec.get("securityContext") or {}).get("runAsUser"):
        return None
    base = next(container for container in spec["containers"] if container["name"] == base_container)
    own = (base.get("securityContext") or {}).get("runAsUser")
    return own or agent.own_user(settings)


def require_image(container: models.V1Container, team: Team) -> None:
    """Raise PolicyError where the sidecar's image is not the one that platform.yaml says, and admission takes."""
    expected = team.platform.xcom_image
    if expected and container.image != expected:
        raise PolicyError(
            f"The XCom sidecar's image is '{container.image}', and xcom_image says '{expected}' "
            f"({team.platform_where('xcom_image')}): no pod with it is admitted.\n"
            f"  Set xcom_sidecar_container_image of Airflow's Kubernetes connection to '{expected}'."
        )


def xcom_container(hook: Any, security_context: Any) -> models.V1Container:
    """Return the container as KubernetesPodOperator adds it, by the settings of the Kubernetes connection."""
    pod = add_xcom_sidecar(
        V1Pod(spec=models.V1PodSpec(containers=[models.V1Container(name="base")])),
        sidecar_container_image=hook.get_xcom_sidecar_container_image(),
        sidecar_container_resources=hook.get_xcom_sidecar_container_resources(),
        sidecar_container_security_context=security_context,
    )
    return pod.spec.containers[-1]
