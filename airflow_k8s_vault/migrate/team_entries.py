"""What a pod says of its team: namespace, account, images and pull secrets, which go to team.yaml."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from airflow_k8s_vault.migrate.draft import Draft
from airflow_k8s_vault.policy import PodSecurityLevel, named_images, pod_security_violations
from airflow_k8s_vault.teams import POD_SECURITY

_NO_NAME = re.compile(r"[^a-z0-9]+")


def take(draft: Draft) -> None:
    """Take the namespace and the service account out of the draft, and note what else team.yaml has to say."""
    for path, key in (
        (("metadata", "namespace"), "namespace"),
        (("spec", "serviceAccountName"), "service_account"),
    ):
        if value := draft.take(path, "team.yaml", key):
            draft.team[key] = value
    names = [str(each.get("name")) for each in draft.spec.get("imagePullSecrets") or () if each.get("name")]
    if names:
        draft.team["image_pull_secrets"] = names
        draft.tell(("spec", "imagePullSecrets"), "kept", "and in team.yaml: image_pull_secrets")


def replace_images(draft: Draft, replacements: Mapping[str, str]) -> None:
    """Put other images in the place of those that --image names."""
    for path, container in draft.containers():
        image = str(container.get("image"))
        if image in replacements:
            container["image"] = replacements[image]
            draft.tell((*path, "image"), "changed", f"{replacements[image]}, by --image")


def aliases(pods: list[dict[str, Any]], known: Mapping[str, str]) -> dict[str, str]:
    """Return image to alias for all images of the pods; those that the team has keep theirs.

    >>> pod = {"spec": {"containers": [{"name": "base", "image": "registry.example.com/payments/etl:1.2"}]}}
    >>> aliases([pod], {})
    {'registry.example.com/payments/etl:1.2': 'etl'}
    """
    result = {image: alias for alias, image in known.items()}
    taken = set(known)
    for pod in pods:
        for _, image in named_images(pod):
            if isinstance(image, str) and image not in result:
                alias = _free(_stem(image), taken)
                taken.add(alias)
                result[image] = alias
    return result


def _stem(image: str) -> str:
    name = image.partition("@")[0].rpartition("/")[2].partition(":")[0]
    return _NO_NAME.sub("_", name.lower()).strip("_") or "image"


def _free(stem: str, taken: set[str]) -> str:
    stem = f"i_{stem}" if stem[0].isdigit() else stem
    names = [stem, *(f"{stem}_{number}" for number in range(2, len(taken) + 3))]
    return next(name for name in names if name not in taken)


def pod_security(pods: list[dict[str, Any]]) -> PodSecurityLevel:
    """Return the strictest Pod Security Standard that all the pods meet."""
    levels: list[Any] = list(reversed(POD_SECURITY))
    return next(level for level in levels if not any(pod_security_violations(pod, level) for pod in pods))
