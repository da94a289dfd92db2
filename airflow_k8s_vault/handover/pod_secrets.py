"""The requests to Kubernetes of delivery `secret`: a token for the pod, its Secrets, its gate.

No request or answer here goes through the Kubernetes client's own decoding: at log level DEBUG that writes whole
answers into the task's log, and these hold tokens and values.
"""

from __future__ import annotations

import base64
import contextlib
from typing import Any

from kubernetes.client import ApiException, CoreV1Api
from urllib3.exceptions import ProtocolError

from airflow_k8s_vault import json_text
from airflow_k8s_vault.delivery import REQUEST_ANNOTATION, REQUEST_SECONDS, attempt, unless_gone
from airflow_k8s_vault.delivery.secret import GATE, LABEL, LABEL_VALUE, LABEL_VALUE_ENDED, login_name, secret_name
from airflow_k8s_vault.errors import DeliveryRefused
from airflow_k8s_vault.secret_value import SecretValue

_RAW: dict[str, Any] = {"_preload_content": False, "_request_timeout": REQUEST_SECONDS}
_TOKEN_KEY = "token"  # noqa: S105 - a name
# The shortest life that Kubernetes grants; Vault looks at it once, at the login.
_POD_TOKEN_SECONDS = 600


class PodSecrets:
    """What belongs to one pod (V1Pod, as the API returned it) and goes when the pod does.

    Their names come from an annotation, which whoever may make pods sets. So a Secret is the pod's
    only where it was made here, or where its owner is this very pod.
    """

    def __init__(self, core: CoreV1Api, pod: Any) -> None:
        self._core, self.pod = core, pod
        # Whether the Secrets of that name are known to be the pod's.
        self._are_its_own = False
        self.namespace: str = pod.metadata.namespace
        request = (pod.metadata.annotations or {}).get(REQUEST_ANNOTATION, "")
        self.name, self.login_name = secret_name(request), login_name(request)

    def pod_token(self, audience: str) -> SecretValue[str]:
        """Return a token of the pod's service account that is bound to the pod, and ends with it."""
        account, meta = self.pod.spec.service_account_name, self.pod.metadata
        bound = {"kind": "Pod", "apiVersion": "v1", "name": meta.name, "uid": meta.uid}
        spec = {"audiences": [audience], "expirationSeconds": _POD_TOKEN_SECONDS, "boundObjectRef": bound}
        answer = attempt(
            f"make a token for service account {self.namespace}/{account}",
            lambda: _decoded(
                self._core.create_namespaced_service_account_token(account, self.namespace, {"spec": spec}, **_RAW)
            ),
        )
        return SecretValue(answer.reveal()["status"]["token"])

    def keep_login(self, token: SecretValue[str]) -> None:
        """Write the login's token down, so that whoever sees the end of the pod can revoke it."""
        self._create(self.login_name, SecretValue({_TOKEN_KEY: token.reveal()}))

    def kept_login(self) -> SecretValue[str] | None:
        """Return that token, None where it was not written down or has gone with the pod."""
        result = unless_gone(
            f"read Secret {self.namespace}/{self.login_name}",
            lambda: _decoded(self._core.read_namespaced_secret(self.login_name, self.namespace, **_RAW)),
        )
        self._are_its_own = result is not None and self._owns(result)
        return kept_token(result) if result and self._are_its_own else None

    def create(self, values: SecretValue[dict[str, str | bytes]]) -> None:
        self._create(self.name, values)

    def open_gate(self) -> None:
        """Take our gate off, and only ours, of this very pod."""
        names = [gate.name for gate in self.pod.spec.scheduling_gates or ()]
        at = f"/spec/schedulingGates/{names.index(GATE)}"
        patch = [
            {"op": "test", "path": "/metadata/uid", "value": self.pod.metadata.uid},
            {"op": "test", "path": f"{at}/name", "value": GATE},
            {"op": "remove", "path": at},
        ]
        name = self.pod.metadata.name
        attempt(
            f"remove the scheduling gate of pod {self.namespace}/{name}",
            lambda: bool(
                self._core.patch_namespaced_pod(name, self.namespace, patch, _request_timeout=REQUEST_SECONDS)
            ),
            already=self._is_open,
        )

    def delete(self) -> None:
        """Delete the Secrets; needed where the pod stays, for otherwise they go with it.

        The login's last: by its owner, somebody who comes later knows that the other one is this pod's as well.
        """
        for name in (self.name, self.login_name) if self._are_its_own else ():
            unless_gone(
                f"delete Secret {self.namespace}/{name}",
                lambda name=name: self._core.delete_namespaced_secret(name, self.namespace, **_RAW),  # type: ignore[misc]
            )

    def mark_ended(self) -> None:
        """Write on this very pod that nothing of it is left, so that nobody looks at it again; nothing if gone."""
        name = self.pod.metadata.name
        patch = [
            {"op": "test", "path": "/metadata/uid", "value": self.pod.metadata.uid},
            {"op": "replace", "path": f"/metadata/labels/{LABEL}", "value": LABEL_VALUE_ENDED},
        ]
        unless_gone(
            f"label pod {self.namespace}/{name}",
            lambda: self._core.patch_namespaced_pod(name, self.namespace, patch, _request_timeout=REQUEST_SECONDS),
        )

    def delete_pod(self) -> None:
        """Delete this very pod, at once where it never ran; nothing where it is gone."""
        meta = self.pod.metadata
        body = {"preconditions": {"uid": meta.uid}}
        unless_gone(
            f"delete pod {meta.namespace}/{meta.name}",
            lambda: self._core.delete_namespaced_pod(
                meta.name, meta.namespace, body=body, _request_timeout=REQUEST_SECONDS
            ),
        )

    def _is_open(self) -> bool | None:
        result = self._core.read_namespaced_pod(self.pod.metadata.name, self.namespace)
        if result.metadata.uid != self.pod.metadata.uid:
            raise DeliveryRefused(f"Pod {self.namespace}/{result.metadata.name} is another one by now.")
        return True if not any(gate.name == GATE for gate in result.spec.scheduling_gates or ()) else None

    def _create(self, name: str, values: SecretValue[dict[str, str | bytes]]) -> None:
        meta = self.pod.metadata
        owner = {"apiVersion": "v1", "kind": "Pod", "name": meta.name, "uid": meta.uid}
        head = {"name": name, "labels": {LABEL: LABEL_VALUE}, "ownerReferences": [owner]}

        def send() -> bool:
            body = {"metadata": head, "immutable": True, "type": "Opaque", **_data(values)}
            _decoded(self._core.create_namespaced_secret(self.namespace, body, **_RAW))
            return True

        attempt(
            f"create Secret {self.namespace}/{name}", send, already=lambda: self._is_what_was_sent(name, values)
        )
        self._are_its_own = True

    def _is_what_was_sent(self, name: str, values: SecretValue[dict[str, str | bytes]]) -> bool:
        """Return True where an earlier request made the Secret; somebody else may have put another one there."""
        result = _decoded(self._core.read_namespaced_secret(name, self.namespace, **_RAW))
        if not self._owns(result) or result.reveal().get("data", {}) != _coded(values).reveal():
            raise DeliveryRefused(f"There is a Secret {self.namespace}/{name} that is not this pod's.")
        return True

    def _owns(self, secret: SecretValue[dict[str, Any]]) -> bool:
        return owner_uids(secret) == [self.pod.metadata.uid]


def _data(values: SecretValue[dict[str, str | bytes]]) -> dict[str, dict[str, str]]:
    """Return the values as a Secret has them: text as it is, bytes in base64."""
    text = {name: value for name, value in values.reveal().items() if isinstance(value, str)}
    coded = {
        name: base64.b64encode(value).decode()
        for name, value in values.reveal().items()
        if isinstance(value, bytes)
    }
    return {"stringData": text, "data": coded}


def _coded(values: SecretValue[dict[str, str | bytes]]) -> SecretValue[dict[str, str]]:
    """Return the values as the API server returns them: all in base64."""
    return SecretValue(
        {
            name: base64.b64encode(value if isinstance(value, bytes) else value.encode()).decode()
            for name, value in values.reveal().items()
        }
    )


def owner_uids(secret: SecretValue[dict[str, Any]]) -> list[str]:
    return [owner["uid"] for owner in secret.reveal()["metadata"].get("ownerReferences", [])]


def kept_token(secret: SecretValue[dict[str, Any]]) -> SecretValue[str] | None:
    """Return the token in a Secret that `keep_login` made."""
    text = (secret.reveal().get("data") or {}).get(_TOKEN_KEY)
    return SecretValue(base64.b64decode(text).decode()) if text else None


def _decoded(answer: Any) -> SecretValue[dict[str, Any]]:
    """Return the JSON of a raw answer. Raises ApiException without the body, which may repeat the request."""
    if not 200 <= answer.status <= 299:
        raise ApiException(status=answer.status, reason=answer.reason)
    with contextlib.suppress(ValueError):
        return SecretValue(json_text.read(answer.data))
    # Cut off on its way. Not chained to the parser's exception, which holds the whole text.
    raise ProtocolError("the answer is no JSON")
