"""Files as a Secret could have them and a VaultSecret cannot: told here, before the DAG is refused for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from airflow_k8s_vault.migrate.draft import Draft
from airflow_k8s_vault.migrate.needed import TODO, Needed


def check(draft: Draft) -> None:
    """Put files beside those in whose directory theirs would lie, and say which need the container's user."""
    draft.needed = [_with_user(draft, _beside(one, draft.needed)) for one in draft.needed]


def _beside(one: Needed, all_needed: Sequence[Needed]) -> Needed:
    directory = str(one.arguments.get("directory", ""))
    above = [other for other in _directories(one, all_needed) if directory.startswith(f"{other}/")]
    if not above:
        return one
    arguments = {key: value for key, value in one.arguments.items() if key != "directory"}
    comment = f"{TODO}: the program looked in {directory}, which lies in {above[0]}: tell it the new place."
    return one._replace(arguments=arguments, comments=(*one.comments, comment))


def _directories(one: Needed, all_needed: Sequence[Needed]) -> Iterator[str]:
    for other in all_needed:
        if other.arguments.get("container") == one.arguments.get("container") and "directory" in other.arguments:
            yield str(other.arguments["directory"])


def _with_user(draft: Draft, one: Needed) -> Needed:
    mode = str(one.arguments.get("mode", ""))
    if not mode.endswith("0"):
        return one
    container = next((c for path, c in draft.containers() if path[2] == one.arguments.get("container")), {})
    if _has(draft, container, "runAsUser") or (mode[2] != "0" and _has(draft, {}, "fsGroup")):
        return one
    comment = (
        f"{TODO}: mode {mode} needs the container's user: runAsUser in the template, or mode 0440 and fsGroup."
    )
    return one._replace(comments=(*one.comments, comment))


def _has(draft: Draft, container: Mapping[str, Any], key: str) -> bool:
    own, of_pod = (holder.get("securityContext") or {} for holder in (container, draft.spec))
    return own.get(key) is not None or of_pod.get(key) is not None
