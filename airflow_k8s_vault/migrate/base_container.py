"""Which container is the task's own: the one that a template calls `base`."""

from __future__ import annotations

from airflow_k8s_vault.errors import MigrationError, did_you_mean
from airflow_k8s_vault.migrate.draft import Draft
from airflow_k8s_vault.templates import BASE_CONTAINER

_APPARMOR = "container.apparmor.security.beta.kubernetes.io/"
_DEFAULT = "kubectl.kubernetes.io/default-container"


def rename(draft: Draft, name: str) -> None:
    """Call that container `base`, also where others name it. Raises MigrationError where another is called so."""
    names = [str(container.get("name")) for container in draft.spec["containers"]]
    for needed in draft.needed:
        if needed.arguments.get("container") == name:
            del needed.arguments["container"]
    others = [str(container.get("name")) for _, container in draft.containers()]
    if name == BASE_CONTAINER:
        return
    if BASE_CONTAINER in others:
        raise MigrationError(
            f"{draft.name}: '{name}' cannot become '{BASE_CONTAINER}': there is a container of that name already."
        )
    index = names.index(name)
    draft.spec["containers"][index]["name"] = BASE_CONTAINER
    draft.renamed[BASE_CONTAINER] = name
    draft.tell(("spec", "containers", name, "name"), "changed", f"'{BASE_CONTAINER}', as the task's own is called")
    _in_annotations(draft, name)
    _in_resource_fields(draft, name)


def chosen(draft: Draft, requested: str | None) -> str:
    """Return the name of the container that the task runs in. Raises MigrationError where it is not clear."""
    names = [str(container.get("name")) for container in draft.spec["containers"]]
    if requested:
        if requested in names:
            return requested
        raise MigrationError(
            f"{draft.name} has no container '{requested}' (--base).\n"
            f"  It has: {', '.join(names)}.{did_you_mean(requested, names)}"
        )
    if BASE_CONTAINER in names:
        return BASE_CONTAINER
    if len(names) == 1:
        return names[0]
    raise MigrationError(
        f"{draft.name} has several containers, and none is called '{BASE_CONTAINER}': {', '.join(names)}.\n"
        f"  Say in which the task runs: --base {names[0]}."
    )


def _in_annotations(draft: Draft, name: str) -> None:
    annotations = draft.metadata.get("annotations") or {}
    if annotations.get(_DEFAULT) == name:
        annotations[_DEFAULT] = BASE_CONTAINER
        draft.tell(("metadata", "annotations", _DEFAULT), "changed", f"names '{BASE_CONTAINER}' now")
    if f"{_APPARMOR}{name}" in annotations:
        annotations[f"{_APPARMOR}{BASE_CONTAINER}"] = annotations.pop(f"{_APPARMOR}{name}")
        draft.tell(("metadata", "annotations", f"{_APPARMOR}{name}"), "changed", f"names '{BASE_CONTAINER}' now")


def _in_resource_fields(draft: Draft, name: str) -> None:
    for path, container in draft.containers():
        for variable in container.get("env") or ():
            field = (variable.get("valueFrom") or {}).get("resourceFieldRef") or {}
            if field.get("containerName") == name:
                field["containerName"] = BASE_CONTAINER
                at = (path[0], path[1], name if path[2] == BASE_CONTAINER else path[2])
                where = (*at, "env", str(variable.get("name")), "valueFrom", "resourceFieldRef", "containerName")
                draft.tell(where, "changed", f"names '{BASE_CONTAINER}' now")
    for volume in draft.spec.get("volumes") or ():
        own = volume.get("downwardAPI") or {}
        projected = [
            source.get("downwardAPI") or {} for source in (volume.get("projected") or {}).get("sources") or ()
        ]
        items = [item for source in (own, *projected) for item in source.get("items") or ()]
        for field in [item.get("resourceFieldRef") or {} for item in items]:
            if field.get("containerName") == name:
                field["containerName"] = BASE_CONTAINER
                kind = ("downwardAPI", "items") if own else ("projected", "sources")
                field_of = ("spec", "volumes", str(volume.get("name")), *kind)
                draft.tell(field_of, "changed", f"names '{BASE_CONTAINER}' now")
