"""What the platform and a team say of the Vault agent's container: `agent` in platform.yaml and team.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

# `run_as_user: cluster`: the container names no user, and the cluster gives it one, as OpenShift does.
BY_CLUSTER: Literal["cluster"] = "cluster"


@dataclass(frozen=True)
class AgentSettings:
    """requests, limits: resource to quantity. run_as_user None: the pod's own, or 65532 where that is root's.

    image_pull_policy, log_level "": Kubernetes' and the agent's own default. image_pull_secrets: beside the pod's.
    """

    # Half a second of a slow start is worth more than a limit that throttles it: no CPU limit.
    requests: tuple[tuple[str, str], ...] = (("cpu", "25m"), ("memory", "64Mi"))
    limits: tuple[tuple[str, str], ...] = (("memory", "192Mi"),)
    run_as_user: int | Literal["cluster"] | None = None
    image_pull_policy: str = ""
    image_pull_secrets: tuple[str, ...] = ()
    log_level: str = ""

    def with_those_of(self, data: Mapping[str, Any]) -> AgentSettings:
        """Return the settings with what a valid file says in their place, resource by resource."""
        result = data.get("agent", {})
        resources = result.get("resources", {})
        user = result.get("run_as_user", self.run_as_user)
        return AgentSettings(
            requests=_merged(self.requests, resources.get("requests", {})),
            limits=_merged(self.limits, resources.get("limits", {})),
            run_as_user=user if user in (None, BY_CLUSTER) else int(user),
            image_pull_policy=result.get("image_pull_policy", self.image_pull_policy),
            image_pull_secrets=tuple(result.get("image_pull_secrets", self.image_pull_secrets)),
            log_level=result.get("log_level", self.log_level),
        )

    def resources(self) -> dict[str, dict[str, str]]:
        """Return the container's `resources`."""
        return {"requests": dict(self.requests), "limits": dict(self.limits)}


def _merged(before: tuple[tuple[str, str], ...], given: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple({**dict(before), **{name: str(value) for name, value in given.items()}}.items())
