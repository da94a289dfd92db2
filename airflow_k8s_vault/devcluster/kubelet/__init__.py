"""The kubelet of devcluster: pods as sandboxes on this machine, with the statuses that Kubernetes gives them."""

from airflow_k8s_vault.devcluster.kubelet.agent import ContainerNotReady, Kubelet
from airflow_k8s_vault.devcluster.kubelet.join import ExecFailed

__all__ = ["ContainerNotReady", "ExecFailed", "Kubelet"]
