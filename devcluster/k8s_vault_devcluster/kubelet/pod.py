"""What the parts of one pod share: its object, its folder, its volumes, the way to the store.

Needed by every pod.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from k8s_vault_devcluster import events
from k8s_vault_devcluster.kubelet.images import Profile
from k8s_vault_devcluster.kubelet.local_images import LocalImages
from k8s_vault_devcluster.kubelet.projection import TokenCache
from k8s_vault_devcluster.kubelet.rootfs import Rootfs
from k8s_vault_devcluster.kubelet.volumes import Volumes
from k8s_vault_devcluster.store import NotFound, Object, Store
from k8s_vault_devcluster.tokens import Tokens


@dataclass
class Node:
    """What the pods share. `rootfs` returns an image's root, built when it is first asked for.

    `backoff_seconds` is the first pause before a restart or another pull, doubled each time.
    """

    store: Store
    tokens: Tokens
    root: Path
    host_ip: str
    rootfs: Callable[[Profile], Rootfs]
    images: LocalImages
    backoff_seconds: float = 10
    # From the end of a deleted pod's containers until its object is gone: everybody can read then how it ended.
    # The kubelet unmounts volumes and takes cgroups away (SyncTerminatedPod), looking every 100 and 300 ms.
    removal_seconds: float = 0.3
    # Whether all of a container is killed that exceeds its memory, or one process (singleProcessOOMKill).
    kills_groups: bool = True
    service_env: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        # How a pod finds the API, set by the kubelet for the service `kubernetes`.
        api = urlsplit(self.tokens.issuer)
        host, port = api.hostname or self.host_ip, api.port or 443
        self.service_env = {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": str(port)}


class Pod:
    """One pod on this node; `obj` is its newest state."""

    def __init__(self, node: Node, obj: Object) -> None:
        self.node, self.obj = node, obj
        self.folder = node.root / "pods" / obj["metadata"]["uid"]
        self.tokens = TokenCache(node.tokens)
        self.volumes = Volumes(node.store, self.tokens, obj, self.folder, node.root)

    @property
    def spec(self) -> Object:
        return dict(self.obj["spec"])

    @property
    def uid(self) -> str:
        return str(self.obj["metadata"]["uid"])

    @property
    def key(self) -> tuple[str, str]:
        """Its namespace and name."""
        return self.obj["metadata"]["namespace"], self.obj["metadata"]["name"]

    @property
    def full_name(self) -> str:
        """As the kubelet's messages have it."""
        namespace, name = self.key
        return f"{name}_{namespace}({self.uid})"

    @property
    def hostname(self) -> str:
        return str(self.spec.get("hostname") or self.key[1])[:63].rstrip("-.")

    @property
    def grace_seconds(self) -> int:
        seconds = self.spec.get("terminationGracePeriodSeconds")
        return 30 if seconds is None else int(seconds)

    def event(self, kind: str, reason: str, message: str, field: str = "") -> None:
        """Record an event; one more or less is no reason to stop (its namespace may be going).

        `field` is the part of the pod that it is about (`spec.containers{base}`); none: all of it.
        """
        with contextlib.suppress(NotFound):
            events.record(self.node.store, self.obj, kind, reason, message, "kubelet", field)
