"""What is kept of a pod, and how it is read from the API server's bytes.

The names are those of the Kubernetes client's models (`pod.status.container_statuses[0].state.running`), so that
code which reads a V1Pod reads this too, as far as it goes. A whole pod as such a model costs thirty times the CPU
and many times the memory: public measurements found half of a hub's CPU there.
"""

from __future__ import annotations

from msgspec import Raw, Struct
from msgspec.json import Decoder


class _Part(Struct, frozen=True, rename="camel", gc=False):
    """A part of an object: fields that it does not name are skipped as they are read."""


class Waiting(_Part, frozen=True):
    """Why a container does not run yet."""

    reason: str | None = None
    message: str | None = None


class Running(_Part, frozen=True):
    """Since when a container runs, as Kubernetes writes it (RFC 3339)."""

    started_at: str | None = None


class Terminated(_Part, frozen=True):
    """How a container ended. started_at: None where it never ran."""

    exit_code: int = 0
    reason: str | None = None
    message: str | None = None
    started_at: str | None = None
    finished_at: str | None = None


class ContainerState(_Part, frozen=True):
    """At most one of the three; none of them means that the container waits."""

    waiting: Waiting | None = None
    running: Running | None = None
    terminated: Terminated | None = None


class ContainerStatus(_Part, frozen=True):
    """A container's present state, and the last one before it was started again."""

    name: str
    state: ContainerState = ContainerState()
    last_state: ContainerState | None = None


class Condition(_Part, frozen=True):
    """PodScheduled, Ready and the like; status is "True", "False" or "Unknown"."""

    type: str
    status: str
    reason: str | None = None


class PodStatus(_Part, frozen=True):
    """The lists are None until the kubelet has reported them."""

    phase: str | None = None
    reason: str | None = None
    message: str | None = None
    conditions: tuple[Condition, ...] | None = None
    init_container_statuses: tuple[ContainerStatus, ...] | None = None
    container_statuses: tuple[ContainerStatus, ...] | None = None


class PodMeta(_Part, frozen=True):
    """deletion_timestamp: set once somebody deleted the pod; its containers then have their grace period left."""

    name: str
    uid: str
    namespace: str = ""
    resource_version: str = ""
    deletion_timestamp: str | None = None


class PodSpec(_Part, frozen=True):
    """The account that the pod runs as, for messages."""

    service_account_name: str | None = None


class Pod(_Part, frozen=True):
    """A pod at one moment."""

    metadata: PodMeta
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()

    @property
    def is_finished(self) -> bool:
        """Whether no container of the pod will ever run again."""
        return self.status.phase in ("Succeeded", "Failed")

    def differs(self, other: Pod | None) -> bool:
        """Whether anything that is kept changed; versions count up for what is not kept, too."""
        return (
            other is None
            or self.status != other.status
            or self.metadata.deletion_timestamp != other.metadata.deletion_timestamp
        )


class _Labelled(_Part, frozen=True):
    class Meta(_Part, frozen=True):
        labels: dict[str, str] | None = None

    metadata: Meta


_POD, _LABELLED = Decoder(Pod), Decoder(_Labelled)


def pod(content: bytes | Raw) -> Pod:
    """Return what is kept of a v1 Pod in JSON. Raises msgspec.DecodeError where it is none."""
    return _POD.decode(content)


def labels(content: bytes) -> dict[str, str]:
    """Return the labels of an object in JSON."""
    return _LABELLED.decode(content).metadata.labels or {}
