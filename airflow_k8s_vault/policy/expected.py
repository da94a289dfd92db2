"""What the platform meant a pod to be: the template's manifest, the delivery's additions, the XCom sidecar."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from airflow_k8s_vault.policy.manifest import FieldPath, Flat, containers, flatten, volume_kinds

# A volume of these kinds holds nothing that the team's namespace does not leave to any of its pods.
PLAIN_VOLUMES = frozenset({"emptyDir", "configMap", "downwardAPI", "persistentVolumeClaim"})
# As KubernetesPodOperator names them (cncf.kubernetes.utils.xcom_sidecar.PodDefaults).
_XCOM_VOLUME: dict[str, Any] = {"name": "xcom", "emptyDir": {}}
_XCOM_MOUNT = {"name": "xcom", "mountPath": "/airflow/xcom"}


@dataclass(frozen=True)
class Hooked:
    """The manifest as pod_mutation_hook got it, and as it left it."""

    before: dict[str, Any]
    after: dict[str, Any]

    @cached_property
    def flat_before(self) -> Flat:
        return flatten(self.before)

    @cached_property
    def flat_after(self) -> Flat:
        return flatten(self.after)


@dataclass(frozen=True)
class Expected:
    """What the final pod is compared with.

    rendered: what the template gave. attached: the same after the delivery wired the secrets in.
    source: the template's file, for messages. xcom_sidecar: the manifest of the container that
    KubernetesPodOperator adds for `do_xcom_push`, None where it adds none. hooked: what pod_mutation_hook did,
    None where that was not seen: nothing is then open to it.
    """

    rendered: dict[str, Any]
    attached: dict[str, Any]
    source: str
    xcom_sidecar: dict[str, Any] | None = None
    base_container: str = "base"
    hooked: Hooked | None = None

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """The whole pod as it should be, before anything that a DAG may set."""
        if self.xcom_sidecar is None:
            return self.attached
        pod = copy.deepcopy(self.attached)
        spec = pod["spec"]
        for container in spec["containers"]:
            if container["name"] == self.base_container:
                container["volumeMounts"] = [*(container.get("volumeMounts") or ()), _XCOM_MOUNT]
        spec["containers"] = [*spec["containers"], self.xcom_sidecar]
        spec["volumes"] = [*(spec.get("volumes") or ()), _XCOM_VOLUME]
        return pod

    @cached_property
    def flat(self) -> Flat:
        return flatten(self.manifest)

    @cached_property
    def parts(self) -> frozenset[FieldPath]:
        """The path of every field, and of all that holds one."""
        return frozenset(path[:end] for path in self.flat for end in range(len(path) + 1))

    @cached_property
    def added(self) -> frozenset[FieldPath]:
        """The paths of what the package adds to the template's pod: nobody changes that, whatever is open."""
        rendered = flatten(self.rendered)
        return frozenset(self._whole(path) for path, value in self.flat.items() if rendered.get(path) != value)

    def _whole(self, path: FieldPath) -> FieldPath:
        """Return the path of the whole volume, container, variable or mount that a field belongs to."""
        if path[1:2] == ("volumes",) or (path[2:3] and path[2] in self.own_containers):
            return path[:3]
        return path[:5] if path[3:4] in (("env",), ("volumeMounts",)) else path

    def is_added(self, path: FieldPath) -> bool:
        """Whether the path is of what the package adds, or within it."""
        return any(path[:end] in self.added for end in range(1, len(path) + 1))

    @cached_property
    def containers(self) -> dict[FieldPath, Mapping[str, Any]]:
        return dict(containers(self.manifest))

    @cached_property
    def own_containers(self) -> frozenset[str]:
        """Names of the containers that the package adds: nobody else changes or joins them."""
        theirs = {path[-1] for path, _ in containers(self.rendered)}
        return frozenset(path[-1] for path in self.containers if path[-1] not in theirs)

    @cached_property
    def volumes(self) -> dict[str, Mapping[str, Any]]:
        return {volume["name"]: volume for volume in self.manifest["spec"].get("volumes") or ()}

    @cached_property
    def guarded_volumes(self) -> frozenset[str]:
        """Names of the volumes that only the containers expected to may mount."""
        plain = {
            volume["name"]
            for volume in self.rendered["spec"].get("volumes") or ()
            if volume_kinds(volume) <= PLAIN_VOLUMES
        }
        return frozenset(self.volumes) - plain
