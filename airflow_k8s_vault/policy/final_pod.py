"""The last check before a pod is created: is it still the pod that the platform meant?"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from airflow_k8s_vault.errors import PolicyError, error_list
from airflow_k8s_vault.policy import (
    changes,
    credentials,
    images,
    literal_fields,
    literals,
    pod_security,
    pod_shape,
)
from airflow_k8s_vault.policy.arguments import is_open
from airflow_k8s_vault.policy.expected import Expected
from airflow_k8s_vault.policy.manifest import FieldPath, Flat, containers, flatten, shown_path
from airflow_k8s_vault.teams import ALLOW_LITERALS, Team, dotted

_ASCII_NAME = re.compile(r"[\x21-\x7e]+")
# Never shown in a message: their values may be what should not be there.
_NOT_SHOWN = ("value", "command", "args", "data")
_OWN_IMAGES = "[k8s_vault] vault_agent_image, or for XCom by the Kubernetes connection"
LITERAL_WAY_OUT = (
    "put it in Vault and name it in vault_secrets, or set allow_literals where it is none and the team opens that"
)
_UNIQUE = (("env", "name"), ("volumeMounts", "mountPath"), ("volumeDevices", "devicePath"))


def check(pod: dict[str, Any], team: Team, expected: Expected, requested: Collection[str] = ()) -> None:
    """Raise PolicyError, with everything that is wrong, unless the pod is one that the team may have.

    pod: the manifest to be created, after pod_mutation_hook. requested: the names of the KubernetesPodOperator
    arguments that the DAG set, so that the message can say where a value came from.
    """
    pod = _as_sent(pod)
    # The shape first: what follows reads the manifest as a v1 Pod.
    matches = [f"{dotted(path)} {message}" for path, message in pod_shape.shape_mistakes(pod)]
    matches = matches or list(_violations(pod, team, expected, frozenset(requested)))
    if matches:
        raise PolicyError(
            error_list(f"The pod is not one that team '{team.name}' may run:", dict.fromkeys(matches))
        )


def _as_sent(pod: dict[str, Any]) -> dict[str, Any]:
    """Return the manifest as the cluster will read it: text that only claims to be equal to other text is not."""
    try:
        sent: dict[str, Any] = json.loads(json.dumps(pod, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise PolicyError(f"The pod cannot be written as JSON: {error}.") from error
    return sent


def _violations(pod: dict[str, Any], team: Team, expected: Expected, requested: frozenset[str]) -> Iterator[str]:
    final = flatten(pod)
    yield from _identity(final, team)
    yield from _names(pod)
    for change in changes.refused(expected, final, team):
        yield _sentence(change, expected, team, requested)
    for path, image in images.named_images(pod):
        # The package's own images are the platform's choice, within the limits that the platform sets for all.
        is_own = path[2] in expected.own_containers
        mistakes = images.platform_image_mistakes if is_own else images.image_mistakes
        for message in mistakes(str(image), team):
            yield f"{shown_path(path)} is {image!r}, {_who(path, image, expected, requested)}; {message}"
    for path, container in containers(pod):
        if path[-1] not in expected.own_containers:
            yield from _guarded_mounts(path, container, expected)
    yield from credentials.violations(pod, expected)
    yield from pod_security.pod_security_violations(pod, team.pod_security)  # type: ignore[arg-type]
    if ALLOW_LITERALS not in requested or not is_open(team, ALLOW_LITERALS):
        yield from literals_in(pod, expected.own_containers)


def _identity(final: Flat, team: Team) -> Iterator[str]:
    expected: tuple[tuple[FieldPath, str, str], ...] = (
        (("metadata", "namespace"), team.namespace, "namespace"),
        (("spec", "serviceAccountName"), team.service_account, "service_account"),
    )
    for path, value, key in expected:
        if final.get(path) != value:
            yield f"{shown_path(path)} is {final.get(path)!r}; allowed is '{value}' ({team.where(key)})."
    former = final.get(("spec", "serviceAccount"), team.service_account)
    if former != team.service_account:
        yield f"spec.serviceAccount is {former!r}; it is a former name of serviceAccountName."
    if final.get(("spec", "ephemeralContainers")) or any(path[1:2] == ("ephemeralContainers",) for path in final):
        yield "spec.ephemeralContainers is set; a task's pod has none."


def _names(pod: dict[str, Any]) -> Iterator[str]:
    """Yield names that are there twice, or that are written with look-alikes: they could hide a second one."""
    spec = pod.get("spec") or {}
    lists: list[tuple[str, str, Any]] = [("spec.volumes", "name", spec.get("volumes"))]
    everyone = [container for _, container in containers(pod)]
    lists.append(("spec.containers and spec.initContainers", "name", everyone))
    for path, container in containers(pod):
        lists += [(f"{shown_path(path)}.{key}", name, container.get(key)) for key, name in _UNIQUE]
    for where, key, items in lists:
        named = Counter(str(item.get(key)) for item in items or ())
        for name, times in named.items():
            if times > 1:
                yield f"{where} has {name!r} {times} times; each {key} may be there once."
            if not _ASCII_NAME.fullmatch(name):
                yield f"{where} has {name!r}; a {key} is plain ASCII here."


def _guarded_mounts(path: FieldPath, container: Mapping[str, Any], expected: Expected) -> Iterator[str]:
    known = expected.containers.get(path, {})
    intended = list(known.get("volumeMounts") or ())
    for mount in container.get("volumeMounts") or ():
        where = f"{shown_path(path)}.volumeMounts[{mount.get('mountPath')}]"
        if mount.get("name") in expected.guarded_volumes and mount not in intended:
            yield (
                f"{where} mounts volume '{mount.get('name')}', which holds credentials or belongs to the package; "
                "only the containers that were given it may, and only so."
            )
        for other in intended:
            guarded = other["name"] in expected.guarded_volumes and mount not in intended
            if guarded and _overlap(str(mount.get("mountPath")), other["mountPath"]):
                yield f"{where} lies over {other['mountPath']}, where credentials are; choose another path."


def _overlap(one: str, other: str) -> bool:
    first, second = _segments(one), _segments(other)
    shorter = min(len(first), len(second))
    return first[:shorter] == second[:shorter] or ".." in first


def _segments(path: str) -> list[str]:
    return [segment for segment in path.split("/") if segment not in ("", ".")]


def literals_in(pod: dict[str, Any], own_containers: Collection[str]) -> Iterator[str]:
    """Yield a sentence, without the value, for each literal that looks like a credential."""
    for path, container in containers(pod):
        if path[-1] in own_containers:
            # Equal to what the package made, or refused already.
            continue
        for variable in container.get("env") or ():
            what = literals.kind_of_variable(str(variable.get("name")), str(variable.get("value") or ""))
            if what:
                yield _hidden(f"{shown_path(path)}.env[{variable.get('name')}].value", what)
        command, args = ([str(word) for word in container.get(key) or ()] for key in ("command", "args"))
        if what := literals.kind_of_words(command):
            yield _hidden(f"{shown_path(path)}.command", what)
        elif what := literals.kind_of_words([*command, *args]):
            yield _hidden(f"{shown_path(path)}.args", what)
    for path, value in flatten(pod).items():
        if path[1:2] in (("containers",), ("initContainers",)) and path[2:3] and path[2] in own_containers:
            continue
        if path[3:] in (("command",), ("args",)):
            # As one line, above.
            continue
        if what := literal_fields.kind_of_field(path, value) or literals.kind_of_text(path[-1]):
            yield _hidden(shown_path(path[:-1] if literals.kind_of_text(path[-1]) else path), what)


def _hidden(field: str, what: str) -> str:
    return f"{field} looks like {what} (not shown); {LITERAL_WAY_OUT}."


def _sentence(change: changes.Change, expected: Expected, team: Team, requested: frozenset[str]) -> str:
    path, intended, result = change
    hidden = any(step in _NOT_SHOWN for step in path[2:]) or literals.kind_of_text(str(result)) is not None
    value = "not set any more" if result is None else "set (not shown)" if hidden else _short(result)
    allowed = "nothing" if intended is None else "what the template has" if hidden else _short(intended)
    openers = [item.name for item in changes.arguments_for(path) if item.rule == "team"]
    way = f" Opened by: overridable {', '.join(openers)} ({team.where('overridable')})." if openers else ""
    field = shown_path(path[:-1] if literals.kind_of_text(path[-1]) else path)
    return f"{field} is {value}, {_who(path, result, expected, requested)}; allowed is {allowed}.{way}"


def _who(path: FieldPath, actual: Any, expected: Expected, requested: frozenset[str]) -> str:
    if path in expected.flat and expected.flat[path] == actual:
        is_own = path[2:3] and path[2] in expected.own_containers
        return f"set by {_OWN_IMAGES if is_own else expected.source}"
    named = [item.name for item in changes.arguments_for(path) if item.name in requested]
    if named:
        return f"set by the task's {', '.join(named)}"
    return "set by pod_mutation_hook, a callback, or code that changed the task"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}…"
