"""One rule of an admission policy, and the names that all rules use."""

from __future__ import annotations

from typing import NamedTuple


class Rule(NamedTuple):
    """An expression that has to be true, and what the API server says where it is not."""

    expression: str
    message: str


# Of the policy: name to expression. Each may use those before it.
VARIABLES = {
    # Somebody's controller may change a label of a pod that was admitted under older rules.
    "unchanged": 'request.operation == "UPDATE" && object.spec == oldObject.spec',
    "inits": "has(object.spec.initContainers) ? object.spec.initContainers : []",
    "containers": "object.spec.containers + variables.inits",
    "volumes": "has(object.spec.volumes) ? object.spec.volumes : []",
    "labels": "has(object.metadata.labels) ? object.metadata.labels : {}",
    "annotations": "has(object.metadata.annotations) ? object.metadata.annotations : {}",
}
