"""The kubelet of devcluster: pods as sandboxes on this machine, with the statuses that Kubernetes gives them."""

from k8s_vault_devcluster.kubelet.agent import ContainerNotReady, Kubelet
from k8s_vault_devcluster.kubelet.join import ExecFailed

__all__ = ["ContainerNotReady", "ExecFailed", "Kubelet"]
