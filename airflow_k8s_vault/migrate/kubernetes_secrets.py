"""Kubernetes Secrets in a pod, and CSI volumes of secrets: what the task asks Vault for instead."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from airflow_k8s_vault.migrate.draft import Draft
from airflow_k8s_vault.migrate.mounted_files import MountedFiles, octal_mode
from airflow_k8s_vault.migrate.needed import TODO, Needed
from airflow_k8s_vault.migrate.origins import RAW, Origin, Origins, ProviderClass, VaultValue
from airflow_k8s_vault.migrate.vault_values import Held, Wish, files, of_value, placed, variables
from airflow_k8s_vault.policy import FieldPath
from airflow_k8s_vault.vault_file import DIRECTORY

_CSI = "secrets-store.csi.k8s.io"
_WHY = "by vault_secrets: {}"
_PATH_OF = "the Vault path of what the Secret '{}' holds"
_ANY_KEY, _ANY_FILE = f"{TODO}_key", f"{TODO}.file"


def take(draft: Draft, origins: Origins, namespace: str) -> None:
    """Take all Secrets out of the draft, and say what the task needs in their place.

    origins: what fills them. namespace: of the pod, "" where it is not known.
    """
    _Taking(draft, origins, namespace).all()


class _Taking:
    def __init__(self, draft: Draft, origins: Origins, namespace: str) -> None:
        self.draft = draft
        self.origins = origins
        self.namespace = namespace

    def all(self) -> None:
        for path, container in list(self.draft.containers()):
            self.variables(path, container)
            self.sources(path, container)
        for volume in list(self.draft.spec.get("volumes") or ()):
            self.volume(volume)

    def origin(self, secret: str) -> Origin | str:
        return self.origins.secret(secret, self.namespace)

    def held(self, secret: str, *more: str, unknown: str = "") -> Held:
        origin = self.origin(secret)
        by = origin.name if isinstance(origin, Origin) else ""
        return Held(secret, by, unknown or _PATH_OF.format(secret), more)

    def wishes(self, secret: str, keys: Mapping[str, str]) -> dict[str, Wish]:
        """Return what these names held. keys: name to key of the Secret."""
        origin = self.origin(secret)
        return {
            name: Wish(key, origin if isinstance(origin, str) else origin.source(key))
            for name, key in keys.items()
        }

    def variables(self, path: FieldPath, container: Mapping[str, Any]) -> None:
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
            what = f"key '{reference.get('key')}' of Secret '{secret}'"
            self.draft.take((*path, "env", name), "VaultSecret", _WHY.format(what))
        for secret, env in by_secret.items():
            more = []
            if secret in optional:
                more += _optional(", ".join(optional[secret]), {"optional": True})
            self.draft.needed += variables(self.wishes(secret, env), self.held(secret, *more), path[2])

    def sources(self, path: FieldPath, container: dict[str, Any]) -> None:
        given = container.get("envFrom") or []
        secrets = [source for source in given if source.get("secretRef") is not None]
        if not secrets:
            return
        names = [str(source["secretRef"].get("name")) for source in secrets]
        for name, source in zip(names, secrets, strict=True):
            more = _optional(f"Secret '{name}'", source["secretRef"])
            self.draft.needed += self.all_variables(name, str(source.get("prefix") or ""), path[2], *more)
        why = _WHY.format(f"all keys of Secret {', '.join(repr(name) for name in names)}")
        kept = [source for source in given if source.get("secretRef") is None]
        if kept:
            container["envFrom"] = kept
            self.draft.tell((*path, "envFrom"), "VaultSecret", f"{why}; the others are kept")
        else:
            self.draft.take((*path, "envFrom"), "VaultSecret", why)

    def all_variables(self, secret: str, prefix: str, container: str, *more: str) -> Iterator[Needed]:
        origin = self.origin(secret)
        known = _all_keys(origin)
        wishes = self.wishes(secret, {f"{prefix}{key}": key for key in known})
        yield from variables(wishes, self.held(secret, *more), container)
        if not isinstance(origin, Origin) or origin.rest is not None or not known:
            arguments = {"env": [f"{TODO}_KEY"], **({"prefix": prefix} if prefix else {}), "container": container}
            yield _keys_to_fill_in(secret, origin, arguments, "the keys that the program reads", *more)

    def volume(self, volume: dict[str, Any]) -> None:
        name = str(volume.get("name"))
        if volume.get("secret") is not None:
            secret = volume["secret"]
            self.files(name, str(secret.get("secretName")), secret)
        elif (volume.get("csi") or {}).get("driver") == _CSI:
            attributes = volume["csi"].get("volumeAttributes") or {}
            self.provided(name, str(attributes.get("secretProviderClass")))
        elif volume.get("projected") is not None:
            self.projected(name, volume["projected"])

    def files(self, volume: str, secret: str, given: Mapping[str, Any]) -> None:
        more = _optional(f"Secret '{secret}'", given)
        for path, mount in self.mounts(volume):
            files_of = MountedFiles(secret, given.get("items") or (), given.get("defaultMode"), path[2], mount)
            self.draft.needed += self.mounted(files_of, *more)
            self.take_mount(path, mount, f"Secret '{secret}'")
        self.draft.take(("spec", "volumes", volume), "VaultSecret", _WHY.format(f"files of Secret '{secret}'"))

    def mounted(self, given: MountedFiles, *more: str) -> Iterator[Needed]:
        """Yield the files that a container had of a Secret: at a directory, or one of them at its own path."""
        origin = self.origin(given.secret)
        keys = given.keys() or {key: key for key in _all_keys(origin)}
        held = self.held(given.secret, *given.comments, *more)
        for directory, names in given.by_directory(keys).items():
            yield from files(self.wishes(given.secret, names), held, given.container, directory, given.modes)
        is_whole = not given.keys()
        if is_whole and (not isinstance(origin, Origin) or origin.rest is not None or not keys):
            mode = {"mode": octal} if (octal := octal_mode(given.mode)) else {}
            what = "which keys are which files"
            needed = _keys_to_fill_in(given.secret, origin, {"files": {_ANY_FILE: _ANY_KEY}, **mode}, what, *more)
            yield placed(needed, given.at, given.container)

    def provided(self, volume: str, name: str) -> None:
        """Take a CSI volume, with the files that its SecretProviderClass names."""
        known = self.origins.provider_class(name, self.namespace)
        what = f"SecretProviderClass '{name}'"
        if isinstance(known, ProviderClass) and known.role:
            self.draft.team.setdefault("vault_role", known.role)
        for path, mount in self.mounts(volume):
            self.draft.needed += self.provided_files(name, known, path[2], mount)
            self.take_mount(path, mount, what)
        self.draft.take(("spec", "volumes", volume), "VaultSecret", _WHY.format(what))

    def provided_files(
        self, name: str, known: ProviderClass | str, container: str, mount: Mapping[str, Any]
    ) -> Iterator[Needed]:
        reason = known if isinstance(known, str) else known.reason
        if reason or isinstance(known, str):
            where = f": {reason}" if reason else " (objects: secretPath, secretKey)"
            comment = f"TODO: path and keys are in the SecretProviderClass '{name}'{where}."
            needed = Needed(f"{TODO}/{name}", {"files": {_ANY_FILE: _ANY_KEY}}, (comment,))
            yield placed(needed, str(mount.get("mountPath")).rstrip("/"), container)
            return
        given = MountedFiles(name, [{"path": file, "key": file} for file in known.files], None, container, mount)
        held = Held(name, f"SecretProviderClass {name}", f"path and key, which SecretProviderClass '{name}' has")
        for directory, names in given.by_directory(given.keys()).items():
            missing = f"'{name}' has no such object"
            wishes = {file: Wish(key, known.files.get(key, missing)) for file, key in names.items()}
            modes = {file: octal_mode(known.modes.get(key)) for file, key in names.items()}
            held = held._replace(more=tuple(given.comments))
            yield from files(wishes, held, container, directory, modes)

    def projected(self, volume: str, projected: dict[str, Any]) -> None:
        """Take the Secrets out of a projected volume; where it keeps other sources, its files go beside it."""
        sources = projected.get("sources") or []
        secrets = [source["secret"] for source in sources if source.get("secret") is not None]
        if not secrets:
            return
        names = ", ".join(f"'{secret.get('name')}'" for secret in secrets)
        kept = [source for source in sources if source.get("secret") is None]
        mounts = list(self.mounts(volume))
        for path, mount in mounts:
            at = mount.get("mountPath")
            for secret in secrets:
                where = {"mountPath": DIRECTORY} if kept else mount
                moved = [f"TODO: the program looked in {at}: tell it the new place."] if kept else []
                mode = projected.get("defaultMode")
                given = MountedFiles(str(secret.get("name")), secret.get("items") or (), mode, path[2], where)
                more = _optional(f"Secret '{secret.get('name')}'", secret)
                self.draft.needed += self.mounted(given, *moved, *more)
        if kept:
            projected["sources"] = kept
            why = _WHY.format(f"Secret {names}; the other sources are kept")
            self.draft.tell(("spec", "volumes", volume, "projected", "sources"), "VaultSecret", why)
            return
        for path, mount in mounts:
            self.take_mount(path, mount, f"Secret {names}")
        self.draft.take(("spec", "volumes", volume), "VaultSecret", _WHY.format(f"Secret {names}"))

    def take_mount(self, path: FieldPath, mount: Mapping[str, Any], what: str) -> None:
        at = (*path, "volumeMounts", str(mount.get("mountPath")))
        self.draft.take(at, "VaultSecret", _WHY.format(what))

    def mounts(self, volume: str) -> Iterator[tuple[FieldPath, dict[str, Any]]]:
        for path, container in list(self.draft.containers()):
            for mount in list(container.get("volumeMounts") or ()):
                if mount.get("name") == volume:
                    yield path, mount


def _optional(what: str, reference: Mapping[str, Any]) -> list[str]:
    """Return the comment for what a pod could start without."""
    return [f"{what} was optional: a secret of Vault has to be there."] if reference.get("optional") else []


def _all_keys(origin: Origin | str) -> list[str]:
    """Return the keys of a Secret that are known one by one."""
    return [key for key in origin.keys if key != RAW] if isinstance(origin, Origin) else []


def _keys_to_fill_in(
    secret: str, origin: Origin | str, arguments: Mapping[str, Any], what: str, *more: str
) -> Needed:
    """Return the secret of which all is requested, and whose keys are not known."""
    rest = origin.rest if isinstance(origin, Origin) else origin
    if isinstance(origin, Origin) and isinstance(rest, VaultValue):
        comments = (f"As {origin.name} has it.", f"TODO: {what}, of {rest.path}.", *more)
        return of_value(rest, arguments, comments)
    reason = f": {rest}" if rest else ""
    comment = f"TODO: {_PATH_OF.format(secret)}, and {what}{reason}."
    return Needed(f"{TODO}/{secret}", dict(arguments), (comment, *more))
