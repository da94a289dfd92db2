"""Which container gets which variables and files, and what is in their way: alike in all deliveries."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations
from typing import Any

from airflow_k8s_vault import config
from airflow_k8s_vault.delivery import references
from airflow_k8s_vault.errors import DeliveryRefused
from airflow_k8s_vault.neighbours import openings
from airflow_k8s_vault.vault_file import DIRECTORY, VaultFile
from airflow_k8s_vault.vault_secret import VaultSecret

# The volumes of both deliveries: a template that counts on them would give a container what it was not given.
_OWN_VOLUME = re.compile(r"vault-(agent|env|token|files-[0-9]+)")


def conflicts(secrets: Iterable[VaultSecret], base_container: str) -> list[str]:
    """Return a sentence for each variable or file that two secrets would give to one container."""
    errors, taken = [], dict[tuple[str, str], VaultSecret]()
    secrets = list(secrets)
    for secret in secrets:
        container = secret.container or base_container
        names = [f"variable {name}" for name in secret.variables]
        for name in [*names, *(f"file {_shown(file)}" for file in secret.outputs)]:
            if (container, name) in taken:
                other = taken[container, name].path
                errors.append(f"{name} of container '{container}' comes from both '{other}' and '{secret.path}'.")
            taken[container, name] = secret
    for container, of_container in by_container(secrets, base_container).items():
        for one, other in combinations(sorted(directories(of_container)), 2):
            if _overlap(one, other):
                errors.append(
                    f"files of container '{container}' go to both '{one}' and '{other}', one in the other."
                )
    return errors


def _shown(file: VaultFile) -> str:
    return file.name if file.directory == DIRECTORY else file.path


def directories(secrets: Iterable[VaultSecret]) -> dict[str, list[tuple[VaultSecret, VaultFile]]]:
    """Return the files of these secrets by the directory in which they lie."""
    result: dict[str, list[tuple[VaultSecret, VaultFile]]] = {}
    for secret in secrets:
        for file in secret.outputs:
            result.setdefault(file.directory, []).append((secret, file))
    return result


def mount_files(container: dict[str, Any], volume: str, directory: str) -> None:
    """Let a container have a volume of its files, which nobody can change, at a directory."""
    mount = {"name": volume, "mountPath": directory, "readOnly": True}
    container["volumeMounts"] = [*(container.get("volumeMounts") or ()), mount]


def by_container(secrets: Iterable[VaultSecret], base: str) -> dict[str, list[VaultSecret]]:
    """Return the secrets of each container, by its name; `base` is the one of those that name none."""
    expected: dict[str, list[VaultSecret]] = {}
    for secret in secrets:
        expected.setdefault(secret.container or base, []).append(secret)
    return expected


def refuse_clashes(
    pod: dict[str, Any], expected: dict[str, list[VaultSecret]], others: Iterable[str] = ()
) -> None:
    """Raise DeliveryRefused, with all errors (`others` among them), where a secret has no safe place to go."""
    spec = pod["spec"]
    containers = {c["name"]: c for c in [*(spec.get("initContainers") or ()), *spec["containers"]]}
    variables = {name: {v for secret in secrets for v in secret.variables} for name, secrets in expected.items()}
    with_secrets = {
        section: [_with_variables(c, variables.get(c["name"], ())) for c in spec.get(section) or ()]
        for section in ("initContainers", "containers")
    }
    messages = [*others, *(f"the pod template's {sentence}." for sentence in openings(pod, variables))]
    messages += [*_of_own_volumes(spec, containers.values()), *_of_logins(spec, containers, expected)]
    for name, secrets in expected.items():
        if name not in containers:
            messages.append(f"there is no container '{name}'; the pod has: {', '.join(containers)}.")
            continue
        own = {variable["name"] for variable in containers[name].get("env", [])}
        for variable in sorted(own & {v for secret in secrets for v in secret.variables}):
            messages.append(f"container '{name}' sets {variable} itself, and a VaultSecret does too.")
        taken = [m["mountPath"] for m in containers[name].get("volumeMounts", [])]
        # The kubelet mounts a file of its own there.
        taken += filter(None, [containers[name].get("terminationMessagePath")])
        messages += [
            f"container '{name}' mounts a volume of its own over {directory}."
            for directory in directories(secrets)
            if any(_overlap(path, directory) for path in taken)
        ]
    messages += references.errors({"spec": with_secrets})
    if messages:
        raise DeliveryRefused("\n  - ".join(["The secrets cannot be delivered:", *messages]))


def _of_own_volumes(spec: Mapping[str, Any], containers: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    theirs = {volume.get("name") for volume in spec.get("volumes") or ()}
    for container in containers:
        for name in sorted(set(_volumes_of(container)) - theirs):
            if _OWN_VOLUME.fullmatch(name):
                yield (
                    f"container '{container['name']}' refers to volume '{name}', which the pod template does not "
                    "have: it is the delivery's. What a container gets is said by VaultSecret(container=)."
                )


def _of_logins(
    spec: Mapping[str, Any], containers: Mapping[str, Mapping[str, Any]], expected: Mapping[str, Any]
) -> Iterator[str]:
    audience = config.get("vault_token_audience")
    tokens = {
        volume.get("name")
        for volume in spec.get("volumes") or ()
        for source in (volume.get("projected") or {}).get("sources") or ()
        if (source.get("serviceAccountToken") or {}).get("audience") == audience
    }
    for name, container in containers.items():
        if name not in expected and not tokens.isdisjoint(_volumes_of(container)):
            yield (
                f"container '{name}' mounts a token of Vault's audience, '{audience}': it could log in as the "
                "pod, and read what it was not given."
            )


def _volumes_of(container: Mapping[str, Any]) -> Iterator[str]:
    for key in ("volumeMounts", "volumeDevices"):
        yield from (str(mount.get("name")) for mount in container.get(key) or ())
    for variable in container.get("env") or ():
        if reference := (variable.get("valueFrom") or {}).get("fileKeyRef"):
            yield str(reference.get("volumeName"))


def add_variables(container: dict[str, Any], variables: Iterable[dict[str, Any]]) -> None:
    """Give a container its secrets' variables: first, so that those of template and DAG can refer to them."""
    container["env"] = [*variables, *(container.get("env") or ())]


def _with_variables(container: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    result = dict(container)
    add_variables(result, [{"name": name, "valueFrom": {"secretKeyRef": {}}} for name in names])
    return result


def _overlap(one: str, other: str) -> bool:
    # As the kubelet reads them: from the root, without steps that lead nowhere.
    one, other = (posixpath.normpath(f"/{path.lstrip('/')}").rstrip("/") + "/" for path in (one, other))
    return one.startswith(other) or other.startswith(one)
