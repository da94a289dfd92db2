"""The files of secret, configMap, downwardAPI and projected volumes, as plain data: path to (content, mode).

Sources: pkg/volume/secret, configmap, downwardapi, projected. Errors are worded as theirs, for FailedMount events.

Needed by both deliveries: projected tokens and the items of Secrets, with their modes.
"""

from __future__ import annotations

import base64
import datetime
from collections.abc import Mapping

from airflow_k8s_vault.errors import K8sVaultError
from k8s_vault_devcluster.kubelet import fields
from k8s_vault_devcluster.store import NotFound, Object, Store
from k8s_vault_devcluster.tokens import Tokens

Files = dict[str, tuple[bytes, int]]
KINDS = ("secret", "configMap", "downwardAPI", "projected")
_DEFAULT_MODE = 0o644
_TOKEN_SECONDS = 3600


class MountFailed(K8sVaultError):
    """A volume cannot be set up now (FailedMount); it is tried again."""


class TokenCache:
    """The tokens of one pod, each minted again after 80 % of its life, as pkg/kubelet/token does."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self._kept: dict[tuple[str, int], tuple[str, datetime.datetime]] = {}

    def get(self, pod: Object, source: Object) -> str:
        audience, seconds = source.get("audience") or "", source.get("expirationSeconds") or _TOKEN_SECONDS
        kept = self._kept.get((audience, seconds))
        if kept and datetime.datetime.now(datetime.UTC) < kept[1]:
            return kept[0]
        meta = pod["metadata"]
        bound = {"kind": "Pod", "name": meta["name"], "uid": meta["uid"]}
        account = pod["spec"].get("serviceAccountName") or "default"
        audiences = [audience] if audience else []
        try:
            token, _ = self._tokens.mint(meta["namespace"], account, audiences, seconds, bound)
        except NotFound as error:
            raise MountFailed(f"failed to fetch token: {error}") from error
        renewal = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds * 0.8)
        self._kept[audience, seconds] = (token, renewal)
        return token

    def next_renewal(self) -> datetime.datetime | None:
        """Return when the first of them is due; None where there are none."""
        return min((renewal for _, renewal in self._kept.values()), default=None)


def files(store: Store, tokens: TokenCache, pod: Object, volume: Object) -> Files:
    """Return the files of one volume of the pod; raise MountFailed."""
    for kind in KINDS:
        if volume.get(kind) is not None:
            mode = volume[kind].get("defaultMode")
            return _read(store, tokens, pod, kind, volume[kind], _DEFAULT_MODE if mode is None else mode)
    raise AssertionError(f"no source of files: {volume}")


def _read(store: Store, tokens: TokenCache, pod: Object, kind: str, source: Object, mode: int) -> Files:
    if kind == "secret":
        return _keys(_secret(store, pod, source), source, mode, "secret")
    if kind == "configMap":
        return _keys(_config_map(store, pod, source), source, mode, "config")
    if kind == "downwardAPI":
        return _downward(pod, source, mode)
    if kind == "serviceAccountToken":
        return {source["path"]: (tokens.get(pod, source).encode(), mode)}
    merged: Files = {}
    for item in source.get("sources") or []:
        for part, content in item.items():
            if content is not None:
                merged |= _read(store, tokens, pod, part, content, mode)
    return merged


def _secret(store: Store, pod: Object, source: Object) -> dict[str, bytes] | None:
    # `secretName` in a volume, `name` in a projection.
    name = source.get("secretName") or source.get("name")
    data = _data_of(store, pod, "secrets", "secret", str(name), source)
    return (
        None if data is None else {key: base64.b64decode(value) for key, value in (data.get("data") or {}).items()}
    )


def _config_map(store: Store, pod: Object, source: Object) -> dict[str, bytes] | None:
    data = _data_of(store, pod, "configmaps", "configmap", source["name"], source)
    if data is None:
        return None
    binary = {key: base64.b64decode(value) for key, value in (data.get("binaryData") or {}).items()}
    return {key: value.encode() for key, value in (data.get("data") or {}).items()} | binary


def _data_of(store: Store, pod: Object, plural: str, noun: str, name: str, source: Object) -> Object | None:
    """Return the object, or None where it is optional and not there."""
    try:
        return store.get(plural, pod["metadata"]["namespace"], name)
    except NotFound:
        if source.get("optional"):
            return None
        raise MountFailed(f'{noun} "{name}" not found') from None


def _keys(data: Mapping[str, bytes] | None, source: Object, mode: int, noun: str) -> Files:
    if data is None:
        return {}
    if not source.get("items"):
        return {key: (value, mode) for key, value in data.items()}
    chosen: Files = {}
    for item in source["items"]:
        if item["key"] in data:
            own = item.get("mode")
            chosen[item["path"]] = (data[item["key"]], mode if own is None else own)
        elif not source.get("optional"):
            raise MountFailed(f"references non-existent {noun} key: {item['key']}")
    return chosen


def _downward(pod: Object, source: Object, mode: int) -> Files:
    chosen: Files = {}
    for item in source.get("items") or []:
        own = item.get("mode")
        value = fields.field(pod, item["fieldRef"]["fieldPath"]).encode()
        chosen[item["path"]] = (value, mode if own is None else own)
    return chosen
