"""Kubernetes Secrets in a pod, and CSI volumes of secrets: what the task asks Vault for instead."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from airflow_k8s_vault.migrate.draft import Draft
from airflow_k8s_vault.migrate.needed import TODO, Needed
from airflow_k8s_vault.policy import FieldPath
from airflow_k8s_vault.vault_file import DIRECTORY, MODES

_CSI = "secrets-store.csi.k8s.io"
_WHY = "by vault_secrets: {}"
_PATH_OF = "TODO: the Vault path of what the Secret '{}' holds."


def take(draft: Draft) -> None:
    """Take all Secrets out of the draft, and say what the task needs in their place."""
    for path, container in list(draft.containers()):
        _variables(draft, path, container)
        _sources(draft, path, container)
    for volume in list(draft.spec.get("volumes") or ()):
        _volume(draft, volume)


def _variables(draft: Draft, path: FieldPath, container: Mapping[str, Any]) -> None:
    by_secret: dict[str, dict[str, str]] = {}
    optional: dict[str, list[str]] = {}
    for variable in list(container.get("env") or ()):
        reference = (variable.get("valueFrom") or {}).get("secretKeyRef")
        if reference is None:
            continue
        secret, name = str(reference.get("name")), str(variable.get("name"))
        by_secret.setdefault(secret, {})[name] = str(reference.get("key"))
        if reference.get("optional"):
            optional.setdefault(secret, []).append(name)
        draft.take(
            (*path, "env", name), "VaultSecret", _WHY.format(f"key '{reference.get('key')}' of Secret '{secret}'")
        )
    for secret, env in by_secret.items():
        comments = [_PATH_OF.format(secret)]
        if secret in optional:
            comments.append(f"{', '.join(optional[secret])} was optional: a secret of Vault has to be there.")
        draft.needed.append(Needed(f"{TODO}/{secret}", {"env": env, "container": path[2]}, tuple(comments)))


def _sources(draft: Draft, path: FieldPath, container: dict[str, Any]) -> None:
    given = container.get("envFrom") or []
    secrets = [source for source in given if source.get("secretRef") is not None]
    if not secrets:
        return
    names = []
    for source in secrets:
        name = str(source["secretRef"].get("name"))
        names.append(name)
        arguments: dict[str, Any] = {"env": [f"{TODO}_KEY"]}
        if source.get("prefix"):
            arguments["prefix"] = source["prefix"]
        comment = f"TODO: the Vault path of what the Secret '{name}' holds, and the keys that the program reads."
        draft.needed.append(Needed(f"{TODO}/{name}", {**arguments, "container": path[2]}, (comment,)))
    why = _WHY.format(f"all keys of Secret {', '.join(repr(name) for name in names)}")
    kept = [source for source in given if source.get("secretRef") is None]
    if kept:
        container["envFrom"] = kept
        draft.tell((*path, "envFrom"), "VaultSecret", f"{why}; the others are kept")
    else:
        draft.take((*path, "envFrom"), "VaultSecret", why)


def _volume(draft: Draft, volume: dict[str, Any]) -> None:
    name = str(volume.get("name"))
    if volume.get("secret") is not None:
        secret = volume["secret"]
        _files(draft, name, str(secret.get("secretName")), secret.get("items"), secret.get("defaultMode"))
    elif (volume.get("csi") or {}).get("driver") == _CSI:
        provider = str((volume["csi"].get("volumeAttributes") or {}).get("secretProviderClass"))
        _csi(draft, name, provider)
    elif volume.get("projected") is not None:
        _projected(draft, name, volume["projected"])


def _files(draft: Draft, volume: str, secret: str, items: Any, mode: Any) -> None:
    for path, mount in _mounts(draft, volume):
        draft.needed.append(_file_secret(secret, items or (), mode, path[2], mount))
        draft.take(
            (*path, "volumeMounts", str(mount.get("mountPath"))), "VaultSecret", _WHY.format(f"Secret '{secret}'")
        )
    draft.take(("spec", "volumes", volume), "VaultSecret", _WHY.format(f"files of Secret '{secret}'"))


def _file_secret(secret: str, items: Any, mode: Any, container: str, mount: Mapping[str, Any]) -> Needed:
    """Return the files that a container had from a Secret: at a directory, or one of them at a path of its own."""
    at, sub_path = str(mount.get("mountPath")).rstrip("/"), mount.get("subPath")
    keys = {str(item.get("path")): str(item.get("key")) for item in items}
    comments = [_PATH_OF.format(secret)]
    if sub_path:
        directory, _, file = at.rpartition("/")
        files = {file: keys.get(str(sub_path), str(sub_path))}
        comments.append(f"It hides what else the image has in {directory}, which a subPath does not.")
    else:
        directory, files = at, {file: key for file, key in keys.items() if "/" not in file}
    if not files:
        files = {f"{TODO}.file": f"{TODO}_key"}
        comments[0] = f"TODO: the Vault path of what the Secret '{secret}' holds, and which keys are which files."
    arguments: dict[str, Any] = {"files": files}
    if octal := _octal(mode):
        arguments["mode"] = octal
    return placed(f"{TODO}/{secret}", arguments, directory, container, comments)


def placed(
    path: str, arguments: Mapping[str, Any], directory: str, container: str | None, comments: list[str]
) -> Needed:
    """Return the secret with its files where the program looks for them, if a mount can be there."""
    where = {"container": container} if container else {}
    needed = Needed(path, {**arguments, "directory": directory, **where}, tuple(comments))
    if directory == DIRECTORY or needed.errors():
        moved = (
            () if directory == DIRECTORY else (f"TODO: the program looked in {directory}, where no files can be.",)
        )
        return Needed(path, {**arguments, **where}, (*comments, *moved))
    return needed


def _octal(mode: Any) -> str | None:
    """Return the nearest mode of a VaultFile that gives no more than this; None for what everybody may read."""
    if not isinstance(mode, int) or mode & 0o004:
        return None
    text = f"{mode & 0o555:04o}"
    return text if text in MODES else "0400"


def _csi(draft: Draft, volume: str, provider: str) -> None:
    what = f"SecretProviderClass '{provider}'"
    for path, mount in _mounts(draft, volume):
        comment = f"TODO: path and keys are in the {what} (objects: secretPath, secretKey)."
        arguments = {"files": {f"{TODO}.file": f"{TODO}_key"}}
        at = str(mount.get("mountPath")).rstrip("/")
        draft.needed.append(placed(f"{TODO}/{provider}", arguments, at, path[2], [comment]))
        draft.take((*path, "volumeMounts", str(mount.get("mountPath"))), "VaultSecret", _WHY.format(what))
    draft.take(("spec", "volumes", volume), "VaultSecret", _WHY.format(what))


def _projected(draft: Draft, volume: str, projected: dict[str, Any]) -> None:
    """Take the Secrets out of a projected volume, which keeps the rest; its files go beside it."""
    sources = projected.get("sources") or []
    secrets = [source["secret"] for source in sources if source.get("secret") is not None]
    if not secrets:
        return
    names = ", ".join(f"'{secret.get('name')}'" for secret in secrets)
    mounts = list(_mounts(draft, volume))
    for path, mount in mounts:
        for secret in secrets:
            items = {str(item.get("path")): str(item.get("key")) for item in secret.get("items") or ()}
            comments = [_PATH_OF.format(secret.get("name"))]
            comments.append(f"TODO: the program looked in {mount.get('mountPath')}: tell it the new place.")
            arguments = {"files": items or {f"{TODO}.file": f"{TODO}_key"}}
            draft.needed.append(placed(f"{TODO}/{secret.get('name')}", arguments, DIRECTORY, path[2], comments))
    kept = [source for source in sources if source.get("secret") is None]
    if kept:
        projected["sources"] = kept
        why = _WHY.format(f"Secret {names}; the other sources are kept")
        draft.tell(("spec", "volumes", volume, "projected", "sources"), "VaultSecret", why)
        return
    for path, mount in mounts:
        at = (*path, "volumeMounts", str(mount.get("mountPath")))
        draft.take(at, "VaultSecret", _WHY.format(f"Secret {names}"))
    draft.take(("spec", "volumes", volume), "VaultSecret", _WHY.format(f"Secret {names}"))


def _mounts(draft: Draft, volume: str) -> Iterator[tuple[FieldPath, dict[str, Any]]]:
    for path, container in list(draft.containers()):
        for mount in list(container.get("volumeMounts") or ()):
            if mount.get("name") == volume:
                yield path, mount
