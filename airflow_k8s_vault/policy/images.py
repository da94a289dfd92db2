"""Which images a team's containers may run."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from airflow_k8s_vault.policy.manifest import FieldPath, containers
from airflow_k8s_vault.teams import Team

_DIGEST = re.compile(r".+@(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})")


def named_images(pod: Mapping[str, Any]) -> Iterator[tuple[FieldPath, object]]:
    """Yield each image of the manifest, of containers and of volumes, with the path of its field."""
    for path, container in containers(pod):
        yield (*path, "image"), container.get("image")
    for volume in pod.get("spec", {}).get("volumes") or ():
        if volume.get("image") is not None:
            yield (
                ("spec", "volumes", str(volume.get("name")), "image", "reference"),
                volume["image"].get("reference"),
            )


def image_mistakes(image: object, team: Team) -> Iterator[str]:
    """Yield the rest of a sentence for each reason why the team's containers may not run the image.

    Compared letter by letter: neither a registry nor a tag is filled in, so that no look-alike passes.
    """
    if image not in team.images.values():
        allowed = ", ".join(sorted(team.images.values()))
        yield f"allowed are {allowed} ({team.where('images')})."
        return
    yield from platform_image_mistakes(str(image), team)


def platform_image_mistakes(image: str, team: Team) -> Iterator[str]:
    """Yield the rest of a sentence for each limit of the platform that an image of the team does not keep."""
    limits = team.platform
    if limits.registries is not None and not any(_is_from(image, registry) for registry in limits.registries):
        yield f"allowed are images from {', '.join(limits.registries)} ({team.platform_where('registries')})."
    if limits.digests_only and not _DIGEST.fullmatch(image):
        yield f"images are named by digest (@sha256:…) here ({team.platform_where('digests_only')})."


def _is_from(image: str, registry: str) -> bool:
    return full(image).startswith(f"{registry.rstrip('/')}/")


def full(image: str) -> str:
    """Return the reference with its registry, as container runtimes complete it.

    >>> full("python:3.12-slim"), full("registry.example.com/etl:1"), full("HOST/etl:1")
    ('docker.io/library/python:3.12-slim', 'registry.example.com/etl:1', 'HOST/etl:1')
    """
    first, separator, _ = image.partition("/")
    # No repository has a capital: https://github.com/distribution/reference/blob/main/normalize.go
    if separator and ("." in first or ":" in first or first == "localhost" or first != first.lower()):
        return image
    return f"docker.io/{image}" if separator else f"docker.io/library/{image}"
