"""Which container gets which variables and files, and what is in their way: alike in all deliveries."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations
from typing import Any

from airflow_k8s_vault.delivery import references
from airflow_k8s_vault.errors import DeliveryRefused
from airflow_k8s_vault.neighbours import openings
from airflow_k8s_vault.vault_file import DIRECTORY, VaultFile
from airflow_k8s_vault.vault_secret import VaultSecret


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
    for name, secrets in expected.items():
        if name not in containers:
            messages.append(f"there is no container '{name}'; the pod has: {', '.join(containers)}.")
            continue
        own = {variable["name"] for variable in containers[name].get("env", [])}
        for variable in sorted(own & {v for secret in secrets for v in secret.variables}):
            messages.append(f"container '{name}' sets {variable} itself, and a VaultSecret does too.")
        taken = [m["mountPath"] for m in containers[name].get("volumeMounts", [])]
        messages += [
            f"container '{name}' mounts a volume of its own over {directory}."
            for directory in directories(secrets)
            if any(_overlap(path, directory) for path in taken)
        ]
    messages += references.errors({"spec": with_secrets})
    if messages:
        raise DeliveryRefused("\n  - ".join(["The secrets cannot be delivered:", *messages]))


def add_variables(container: dict[str, Any], variables: Iterable[dict[str, Any]]) -> None:
    """Give a container its secrets' variables: first, so that those of template and DAG can refer to them."""
    container["env"] = [*variables, *(container.get("env") or ())]


def _with_variables(container: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    result = dict(container)
    add_variables(result, [{"name": name, "valueFrom": {"secretKeyRef": {}}} for name in names])
    return result


def _overlap(one: str, other: str) -> bool:
    one, other = one.rstrip("/") + "/", other.rstrip("/") + "/"
    return one.startswith(other) or other.startswith(one)
