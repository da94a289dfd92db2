"""A container's environment, command and user, as kubelet_pods.go (makeEnvironmentVariables) makes them.

Errors are CreateContainerConfigError in the kubelet's words; it tries again, for the object may come.

Needed by every container, and by the tests that no variable of another gets in.
"""

from __future__ import annotations

import base64
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airflow_k8s_vault.errors import K8sVaultError
from k8s_vault_devcluster.kubelet import env_file, fields, inside
from k8s_vault_devcluster.kubelet.images import Profile
from k8s_vault_devcluster.store import NotFound, Object, Store

_log = logging.getLogger(__name__)
_REFERENCE = re.compile(r"\$(?:\$|\(([^)]*)\))")
# What Kubernetes lets a variable be named since 1.32 (RelaxedEnvironmentVariableValidation).
_NAME = re.compile(r"[ -<>-~]+")
# Limits of the alpha (KEP-3721); where a newer kubelet has dropped them, this one is the stricter.
_FILE_KEY_CHARACTERS, _FILE_VALUE_BYTES = 128, 32 * 1024
# More than any file that holds a value within the limit can usefully have.
_FILE_BYTES = 1024 * 1024


class ConfigError(K8sVaultError):
    """A container's configuration cannot be made now (CreateContainerConfigError)."""


def expand(text: str, values: Mapping[str, str]) -> str:
    """Replace $(NAME); an unknown name stays as it is, and $$ is one $.

    >>> expand("$(A) $(B) $$(A)", {"A": "1"})
    '1 $(B) $(A)'
    """

    def value(match: re.Match[str]) -> str:
        return "$" if match[1] is None else values.get(match[1], match[0])

    return _REFERENCE.sub(value, text)


def environment(
    store: Store, pod: Object, container: Object, volumes: Mapping[str, Path], service: Mapping[str, str]
) -> dict[str, str]:
    """Return the variables of a container, `service` (those of the API's service) lowest; raise ConfigError.

    `volumes` are the folders of the pod's volumes by name, for fileKeyRef.
    """
    values: dict[str, str] = {}
    for source in container.get("envFrom") or []:
        values |= _from(store, pod, source)
    for variable in container.get("env") or []:
        if variable.get("valueFrom"):
            result = _value_from(store, pod, variable["valueFrom"], volumes)
            if result is not None:
                values[variable["name"]] = result
        else:
            values[variable["name"]] = expand(variable.get("value") or "", {**service, **values})
    return {**service, **values}


def _from(store: Store, pod: Object, source: Object) -> dict[str, str]:
    return {name: value for name, value in _named(store, pod, source).items() if _NAME.fullmatch(name)}


def invalid_names(store: Store, pod: Object, source: Object) -> list[str]:
    """Return the keys of an envFrom source that cannot be variables; the kubelet skips them with an event."""
    return sorted(name for name in _named(store, pod, source) if not _NAME.fullmatch(name))


def _named(store: Store, pod: Object, source: Object) -> dict[str, str]:
    kind, read = ("configMapRef", _config_map) if source.get("configMapRef") else ("secretRef", _secret)
    data = read(store, pod, source[kind]["name"], bool(source[kind].get("optional")))
    return {(source.get("prefix") or "") + key: value for key, value in data.items()}


def _config_map(store: Store, pod: Object, name: str, optional: bool) -> dict[str, str]:
    try:
        return dict(store.get("configmaps", pod["metadata"]["namespace"], name).get("data") or {})
    except NotFound:
        if optional:
            return {}
        raise ConfigError(f'configmap "{name}" not found') from None


def _secret(store: Store, pod: Object, name: str, optional: bool) -> dict[str, str]:
    try:
        data = store.get("secrets", pod["metadata"]["namespace"], name).get("data") or {}
    except NotFound:
        if optional:
            return {}
        raise ConfigError(f'secret "{name}" not found') from None
    return {key: base64.b64decode(value).decode(errors="surrogateescape") for key, value in data.items()}


def _value_from(store: Store, pod: Object, source: Object, volumes: Mapping[str, Path]) -> str | None:
    """Return the value, or None where an optional reference finds nothing."""
    if source.get("fieldRef"):
        return fields.field(pod, source["fieldRef"]["fieldPath"])
    if source.get("fileKeyRef"):
        return _file_key(pod, source["fileKeyRef"], volumes)
    kind, read, noun = ("secretKeyRef", _secret, "Secret")
    if source.get("configMapKeyRef"):
        kind, read, noun = ("configMapKeyRef", _config_map, "ConfigMap")
    reference = source[kind]
    optional = bool(reference.get("optional"))
    data = read(store, pod, reference["name"], optional)
    if reference["key"] not in data and not optional:
        where = f"{pod['metadata']['namespace']}/{reference['name']}"
        raise ConfigError(f"couldn't find key {reference['key']} in {noun} {where}")
    return data.get(reference["key"])


def _file_key(pod: Object, reference: Object, volumes: Mapping[str, Path]) -> str | None:
    """An empty value counts as a missing key, and a missing file is an error even where it is optional.

    As makeEnvironmentVariables has it; there too any kind of container may use it.
    """
    key, volume = reference["key"], reference["volumeName"]
    if volume not in volumes:
        raise ConfigError(f'cannot find the volume "{volume}" referenced by FileKeyRef')
    if len(key) > _FILE_KEY_CHARACTERS:
        raise ConfigError(f"environment variable key exceeds maximum length of {_FILE_KEY_CHARACTERS} characters")
    try:
        value = env_file.value_of(key, inside.read_inside(volumes[volume], reference["path"], _FILE_BYTES))
    except (OSError, env_file.EnvFileError) as error:
        # The kubelet keeps the cause to its own log; the file's content is in neither.
        _log.warning("Failed to parse env file %s of volume %s: %s", reference["path"], volume, error)
        raise ConfigError("couldn't parse env file") from error
    if len(value.encode(errors="surrogateescape")) > _FILE_VALUE_BYTES:
        raise ConfigError("environment variable value exceeds maximum size of 32KB")
    if value or reference.get("optional"):
        return value or None
    raise ConfigError(f'environment variable key "{key}" not found in file "{_as_on_a_node(pod, reference)}"')


def _as_on_a_node(pod: Object, reference: Object) -> str:
    """Where a kubelet has the file; this machine's own path is nobody's business."""
    folder = f"/var/lib/kubelet/pods/{pod['metadata']['uid']}/volumes/kubernetes.io~empty-dir"
    return f"{folder}/{reference['volumeName']}/{reference['path']}"


def command(container: Object, profile: Profile, env: Mapping[str, str]) -> list[str]:
    """Return what PID 1 is: `command` with `args`, else `args` alone, else the image's own."""
    given = [expand(word, env) for word in container.get("command") or []]
    arguments = [expand(word, env) for word in container.get("args") or []]
    if given:
        return given + arguments
    return arguments or list(profile.cmd)


def user(pod: Object, container: Object, profile: Profile) -> tuple[int, int]:
    """Return (uid, gid); raise ConfigError as verifyRunAsNonRoot does (kuberuntime/security_context.go)."""
    uid = _setting(pod, container, "runAsUser")
    meta = pod["metadata"]
    where = f'(pod: "{meta["name"]}_{meta["namespace"]}({meta["uid"]})", container: {container["name"]})'
    if _setting(pod, container, "runAsNonRoot"):
        if uid == 0:
            raise ConfigError(f"container's runAsUser breaks non-root policy {where}")
        if uid is None and profile.uid == 0:
            raise ConfigError(f"container has runAsNonRoot and image will run as root {where}")
        if uid is None:
            raise ConfigError(
                f"container has runAsNonRoot and image has non-numeric user ({profile.user}), "
                f"cannot verify user is non-root {where}"
            )
    gid = _setting(pod, container, "runAsGroup")
    if gid is None:
        # The image's group goes with the image's user; another user without an entry in its passwd is in group 0.
        gid = profile.gid if uid in (None, profile.uid) else 0
    return (profile.uid if uid is None else int(uid)), int(gid)


def _setting(pod: Object, container: Object, name: str) -> Any:
    own = (container.get("securityContext") or {}).get(name)
    return own if own is not None else (pod["spec"].get("securityContext") or {}).get(name)
