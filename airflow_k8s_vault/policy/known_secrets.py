"""Secrets that somebody knows to be some, in a pod's manifest: known by what masks them in logs; never shown."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

from airflow_k8s_vault.policy.manifest import FieldPath, flatten, shown_path
from airflow_k8s_vault.policy.secret_names import looks_random

# Where a value of the DAG's, or of the template's variables, can end up as text.
_PLACES = frozenset(
    (
        *("value", "command", "args", "labels", "annotations", "nodeSelector", "hostname", "subdomain"),
        *("workingDir", "subPath", "subPathExpr"),
    )
)


def known_secret_errors(
    pod: Mapping[str, Any],
    secrets_in: Callable[[str], Iterable[str]],
    *,
    harmless: str,
    written: str,
    left_out: Collection[FieldPath] = (),
) -> Iterator[str]:
    """Yield a sentence, without the value, for each field that holds a known secret.

    secrets_in: returns the known secrets that stand in a text. A password may be a word that stands there for
    another reason: one that is in `harmless`, text of the platform's, is none; one that is in `written`, what the
    DAG's file says itself, only if it looks made by a generator. left_out: fields that are not looked at.
    """
    for path, value in flatten(pod).items():
        if not _PLACES.intersection(path) or any(path[: len(other)] == other for other in left_out):
            continue
        for text in value if isinstance(value, list) else [value]:
            secrets = [s for s in secrets_in(str(text)) if s not in harmless]
            if any(secret not in written or looks_random(secret) for secret in secrets):
                yield f"{shown_path(path)} holds a secret of Airflow's (not shown)"
                break
