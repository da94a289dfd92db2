"""The `secret` delivery: the worker logs in for the pod and hands the values over in a Secret that the pod owns.

`attach` and `values` are pure functions. What `attach` adds to the manifest holds names, never a value:

- a scheduling gate (KEP-3521): until somebody takes it off, the pod has a UID and nothing runs;
- references to single keys of the Secret, for the containers that asked and no other.

Who makes the Secret and takes the gate off is the package airflow_k8s_vault.handover, which knows Vault.
"""

from __future__ import annotations

import copy
import datetime
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_k8s_vault import json_text
from airflow_k8s_vault.delivery import base64_text, ownership, sizes
from airflow_k8s_vault.delivery.annotations import REQUEST_ANNOTATION
from airflow_k8s_vault.delivery.placement import add_variables, by_container, mount_files, refuse_clashes
from airflow_k8s_vault.errors import DeliveryRefused, error_list
from airflow_k8s_vault.vault_file import DEFAULT_MODE, VaultFile
from airflow_k8s_vault.vault_secret import VaultSecret

GATE = "airflow-k8s-vault/credentials"
# On each pod of this delivery, so that one that a dead worker left can be found.
LABEL, LABEL_VALUE = "airflow-k8s-vault-delivery", "secret"
# What it says once all that belonged to the pod has been looked for and ended.
LABEL_VALUE_ENDED = "ended"


@dataclass(frozen=True)
class Place:
    """One value of the Secret: its key there, where it comes from, and the variable or file that it becomes.

    key_in_vault: None for the whole secret as JSON.
    """

    key: str
    container: str
    secret: VaultSecret
    key_in_vault: str | None
    variable: str | None = None
    file: VaultFile | None = None


def secret_name(request: str) -> str:
    """Return the name of the Secret of one pod; `request` is the pod's annotation."""
    return f"vault-{request}"


def login_name(request: str) -> str:
    """Return the name of the Secret that keeps the login's token: no container mounts or refers to it."""
    return f"vault-{request}-login"


def attach(pod: dict[str, Any], secrets: Sequence[VaultSecret], base_container: str = "base") -> dict[str, Any]:
    """Return a copy of the v1 Pod manifest that waits for the Secret; as it is where there are no secrets.

    The manifest has to have the annotation REQUEST_ANNOTATION. Raises DeliveryRefused as agent.attach does.
    """
    pod = copy.deepcopy(pod)
    if not secrets:
        return pod
    spec, name = pod["spec"], secret_name(pod["metadata"]["annotations"][REQUEST_ANNOTATION])
    containers = {c["name"]: c for c in [*spec.get("initContainers", []), *spec["containers"]]}
    expected = by_container(secrets, base_container)
    refuse_clashes(pod, expected, ownership.secret_errors(pod, expected))
    matches = list(places(secrets, base_container))
    # By number: a container's name may be as long as a volume's is allowed to be.
    numbers = itertools.count()
    for container_name, container in containers.items():
        mine = [place for place in matches if place.container == container_name]
        if variables := [_variable(place, name) for place in mine if place.variable]:
            add_variables(container, variables)
        for directory in dict.fromkeys(place.file.directory for place in mine if place.file):
            volume = f"vault-files-{next(numbers)}"
            files = [_item(p.key, p.file) for p in mine if p.file and p.file.directory == directory]
            source = {"secretName": name, "defaultMode": 0o444, "items": files}
            spec["volumes"] = [*spec.get("volumes", []), {"name": volume, "secret": source}]
            mount_files(container, volume, directory)
    pod["metadata"].setdefault("labels", {})[LABEL] = LABEL_VALUE
    spec["schedulingGates"] = [*spec.get("schedulingGates", []), {"name": GATE}]
    return pod


def places(secrets: Sequence[VaultSecret], base_container: str) -> Iterator[Place]:
    """Yield where each value goes. The keys are numbers: a file's name may be as long as a key's may."""
    number = 0
    for secret in secrets:
        container = secret.container or base_container
        for variable, key in secret.variables.items():
            yield Place(f"value-{number}", container, secret, key, variable=variable)
            number += 1
        for file in secret.outputs:
            yield Place(f"value-{number}", container, secret, file.key, file=file)
            number += 1


def values(actual: Sequence[Place], data: Mapping[VaultSecret, Mapping[str, Any]]) -> dict[str, str | bytes]:
    """Return what the Secret holds: key to value, numbers and booleans as JSON, what was decoded as bytes.

    data: what Vault holds. Raises DeliveryRefused, naming keys and never values, for all that is missing or that a
    variable or a Secret cannot hold.
    """
    errors: list[str] = []
    made: dict[str, str | bytes] = {}
    for place in actual:
        mistakes = _missing(place, data[place.secret])
        if not mistakes:
            text = _text(place, data[place.secret])
            mistakes = _errors(place, text)
            made[place.key] = text if not (place.file and place.file.decode) else base64_text.decoded(text) or b""
        errors += mistakes
    errors += sizes.secret_errors({_what(place): made[place.key] for place in actual if place.key in made})
    if errors:
        # Error trackers show the variables of every frame of an exception.
        data, made, text = {}, {}, ""
        raise DeliveryRefused(error_list("Vault does not hold what the task asks for:", errors))
    return made


def _errors(place: Place, text: str) -> list[str]:
    if place.variable:
        return sizes.variable_errors(_what(place), place.variable, text)
    if place.file and place.file.decode and base64_text.decoded(text) is None:
        return [f"{_what(place)} is no base64"]
    return []


def _missing(place: Place, holds: Mapping[str, Any]) -> list[str]:
    key, path = place.key_in_vault, place.secret.path
    if key is None or holds.get(key) is not None:
        return []
    if key in holds:
        return [f"key '{key}' of '{path}' is null"]
    return [f"secret '{path}' has no key '{key}'; it has: {', '.join(sorted(holds)) or 'nothing'}"]


def _what(place: Place) -> str:
    key, secret = place.key_in_vault, place.secret
    if secret.kind:
        return f"the value of {secret.kind} '{secret.path}'"
    return f"'{secret.path}'" if key is None else f"key '{key}' of '{secret.path}'"


def is_gated(pod: Any) -> bool:
    """Whether a V1Pod still waits for its credentials."""
    return any(gate.name == GATE for gate in pod.spec.scheduling_gates or ())


def ended_at(pod: Any) -> datetime.datetime | None:
    """Return when a V1Pod ended, None while it has not."""
    status = pod.status
    if status is None or status.phase not in ("Succeeded", "Failed"):
        return None
    containers = [*(status.init_container_statuses or []), *(status.container_statuses or [])]
    ended = [container.state.terminated for container in containers if container.state]
    moments: list[datetime.datetime] = [state.finished_at for state in ended if state and state.finished_at]
    # A pod that was evicted before any container ran has a creation alone.
    return max(moments) if moments else pod.metadata.creation_timestamp


def _variable(place: Place, secret: str) -> dict[str, Any]:
    return {"name": place.variable, "valueFrom": {"secretKeyRef": {"name": secret, "key": place.key}}}


def _item(key: str, file: VaultFile | None) -> dict[str, Any]:
    item = {"key": key, "path": file.name if file else ""}
    # The mode of the volume, unless the file has another.
    return item if file is None or file.mode == DEFAULT_MODE else {**item, "mode": int(file.mode, 8)}


def _text(place: Place, holds: Mapping[str, Any]) -> str:
    value = holds if place.key_in_vault is None else holds[place.key_in_vault]
    try:
        return value if isinstance(value, str) else json_text.dumps(value)
    except ValueError as error:
        what = place.key_in_vault or "a secret"
        message = f"Not delivered: {what} is {error}. Write it as text."
    # Outside of `except`: the frames of what writes it hold the value.
    raise DeliveryRefused(message)
