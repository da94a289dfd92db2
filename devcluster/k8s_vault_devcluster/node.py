"""The one node: its name, and what the scheduler matches pods against.

Needed by the scheduler, by tokens that are bound to pods, and by `kubectl get nodes`.
"""

from __future__ import annotations

import os
import platform

from k8s_vault_devcluster.store import Object, now

NODE_NAME = "devcluster"
KUBERNETES_VERSION = "v1.36.2"

ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())

NODE_LABELS = {
    "beta.kubernetes.io/arch": ARCHITECTURE,
    "beta.kubernetes.io/os": "linux",
    "kubernetes.io/arch": ARCHITECTURE,
    "kubernetes.io/hostname": NODE_NAME,
    "kubernetes.io/os": "linux",
}

# A usual production node rather than this laptop: sandboxes reserve nothing, and a template that asks for
# 8 CPUs should be tried here as it is. What no usual node has (a GPU) stays unschedulable.
CAPACITY = {"cpu": "32", "memory": "128Gi", "ephemeral-storage": "512Gi", "pods": "1000"}


def node(host_ip: str) -> Object:
    """Return the v1 Node, ready."""
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": NODE_NAME, "labels": dict(NODE_LABELS)},
        "spec": {},
        "status": {
            "addresses": [{"type": "InternalIP", "address": host_ip}, {"type": "Hostname", "address": NODE_NAME}],
            "allocatable": dict(CAPACITY),
            "capacity": dict(CAPACITY),
            "conditions": [
                {
                    "type": "Ready",
                    "status": "True",
                    "reason": "KubeletReady",
                    "message": "devcluster is posting ready status",
                    "lastHeartbeatTime": now(),
                    "lastTransitionTime": now(),
                }
            ],
            "nodeInfo": _node_info(),
        },
    }


def _node_info() -> Object:
    return {
        "architecture": ARCHITECTURE,
        "bootID": "",
        "containerRuntimeVersion": "bubblewrap://",
        "kernelVersion": os.uname().release,
        "kubeProxyVersion": "",
        "kubeletVersion": KUBERNETES_VERSION,
        "machineID": "",
        "operatingSystem": "linux",
        "osImage": "this machine's own files",
        "systemUUID": "",
    }
