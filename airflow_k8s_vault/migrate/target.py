"""Where an import goes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath

from airflow_k8s_vault.migrate.origins import Origins
from airflow_k8s_vault.policy import FieldPath

# What a template leaves to its team's file.
OF_TEAM: tuple[FieldPath, ...] = (("metadata", "namespace"), ("spec", "serviceAccountName"))


@dataclass(frozen=True)
class Target:
    """Where the template goes. base: the container that the task runs in; images: old to new.

    paths: name of a Kubernetes Secret, or of another TODO, to the path in Vault that has it. origins: what fills
    the Secrets, as far as it was given. namespace: of a pod that names none, "" where it is not known.
    """

    folder: FilePath
    team: str
    name: str
    base: str | None = None
    images: Mapping[str, str] = field(default_factory=dict)
    paths: Mapping[str, str] = field(default_factory=dict)
    origins: Origins = field(default_factory=Origins)
    namespace: str = ""
