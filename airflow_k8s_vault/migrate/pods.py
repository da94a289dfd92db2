"""The pods in what people have: pod templates, live pods, Lists of kubectl, and objects that make pods."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from airflow_k8s_vault.errors import MigrationError
from airflow_k8s_vault.migrate.documents import read
from airflow_k8s_vault.migrate.origins import mapping, name_of, tells_paths

# Where the pod stands in objects that make pods: https://kubernetes.io/docs/concepts/workloads/
_TEMPLATES = {
    "Deployment": ("spec", "template"),
    "ReplicaSet": ("spec", "template"),
    "ReplicationController": ("spec", "template"),
    "StatefulSet": ("spec", "template"),
    "DaemonSet": ("spec", "template"),
    "Job": ("spec", "template"),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
    "PodTemplate": ("template",),
}


_ANY_TEMPLATE = ("spec", "template")
_FILES = (".yaml", ".yml", ".json")


class InputPod(NamedTuple):
    """One pod as it was given. name: where it stands; live: a cluster, or an operator, filled in its defaults.

    base: the task's container, where the input says it; from_dag: its Jinja is Airflow's.
    """

    name: str
    pod: dict[str, Any]
    live: bool
    base: str | None = None
    from_dag: bool = False


class Inputs(NamedTuple):
    """The pods of all files. others: a sentence for each document that is none.

    objects: those of them that say where in Vault something is (origins).
    """

    pods: list[InputPod]
    others: list[str]
    objects: list[Mapping[str, Any]]


def of_documents(documents: Sequence[Any], name: str) -> Inputs:
    """Return the pods of a file's documents, and what tells of paths.

    Raises MigrationError where there is neither, or a pod without containers.
    """
    objects = list(_objects(documents, name))
    pods, others, origins = [], [], []
    for where, item in objects:
        if tells_paths(item):
            origins.append(item)
            continue
        pod = _pod(item, _path(item))
        if pod is None:
            others.append(f"{where} is no pod, and none is made of it: {_kind(item)}.")
        else:
            _require_containers(pod, where)
            pods.append(InputPod(where, pod, _is_live(item)))
    if origins:
        others.append(f"{name} was read for its paths of Vault: {', '.join(map(name_of, origins))}.")
    if not pods and not origins:
        actual = ", ".join(dict.fromkeys(_kind(item) for _, item in objects)) or "nothing"
        raise MigrationError(
            f"{name} has no pod.\n  Found: {actual}.\n"
            f"  Takes: Pod, List, {', '.join(_TEMPLATES)}, ConfigMap with pod templates."
        )
    return Inputs(pods, others, origins)


def _objects(documents: Sequence[Any], name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for number, document in enumerate(documents, 1):
        where = name if len(documents) == 1 else f"{name} (document {number})"
        if not isinstance(document, Mapping):
            raise MigrationError(
                f"{where} is no object of Kubernetes: it has to be a mapping with apiVersion and kind."
            )
        items = document.get("items")
        if str(document.get("kind", "")).endswith("List") and isinstance(items, list):
            for at, item in enumerate(items, 1):
                if isinstance(item, Mapping):
                    # A PodList leaves out what its items are.
                    kind = {"kind": str(document["kind"]).removesuffix("List")} if "kind" not in item else {}
                    yield f"{where} (item {at})", {**kind, **item}
        elif document.get("kind") == "ConfigMap":
            yield from _files(where, document)
        else:
            yield where, document


def _files(where: str, config_map: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the pods that are files of a ConfigMap, as Airflow's chart has its pod_template_file; or else it."""
    is_any = False
    for name, content in mapping(config_map, "data").items():
        if name.endswith(_FILES) and isinstance(content, str):
            with contextlib.suppress(MigrationError):
                for document in read(content, f"{where} ({name})"):
                    if isinstance(document, Mapping) and "containers" in mapping(document, "spec"):
                        is_any = True
                        yield f"{where} ({name})", document
    if not is_any:
        yield where, config_map


def _kind(item: Mapping[str, Any]) -> str:
    metadata = item.get("metadata")
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    return f"{item.get('kind') or 'a mapping without kind'}{f' {name}' if name else ''}"


def _path(item: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Return where an object has its pod; None where it is one, or has none."""
    known = _TEMPLATES.get(str(item.get("kind")))
    if known is None and "containers" in mapping(item, *_ANY_TEMPLATE, "spec"):
        # Others make pods in the same way: Rollout of Argo, Service of Knative, DeploymentConfig of OpenShift.
        return _ANY_TEMPLATE
    return known


def _pod(item: Mapping[str, Any], path: tuple[str, ...] | None) -> dict[str, Any] | None:
    if path is None:
        spec = item.get("spec")
        has_containers = isinstance(spec, Mapping) and "containers" in spec
        # Airflow takes pod templates without kind.
        is_pod = item.get("kind") == "Pod" or ("kind" not in item and has_containers)
        return {**item, "apiVersion": "v1", "kind": "Pod"} if is_pod else None
    inner: Any = item
    for key in path:
        inner = inner.get(key) if isinstance(inner, Mapping) else None
    if not isinstance(inner, Mapping):
        return None
    pod = {"apiVersion": "v1", "kind": "Pod", **inner}
    metadata = item.get("metadata")
    namespace = metadata.get("namespace") if isinstance(metadata, Mapping) else None
    if namespace and isinstance(pod.get("metadata"), Mapping | None):
        pod["metadata"] = {"namespace": namespace, **(pod.get("metadata") or {})}
    return pod


def _require_containers(pod: Mapping[str, Any], where: str) -> None:
    spec = pod.get("spec")
    containers = spec.get("containers") if isinstance(spec, Mapping) else None
    if not isinstance(containers, list) or not containers or not all(isinstance(c, Mapping) for c in containers):
        raise MigrationError(f"{where}: spec.containers is missing, empty, or no list of containers.")


def _is_live(item: Mapping[str, Any]) -> bool:
    metadata = item.get("metadata")
    return bool(item.get("status")) or (isinstance(metadata, Mapping) and bool(metadata.get("uid")))
