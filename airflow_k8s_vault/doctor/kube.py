"""The cluster as a task's worker reaches it: Airflow's own Kubernetes connection, answers as plain JSON."""

from __future__ import annotations

import contextlib
from functools import cached_property
from typing import Any

from kubernetes.client import ApiException
from urllib3.exceptions import HTTPError

from airflow_k8s_vault import json_text
from airflow_k8s_vault.errors import DeliveryUnavailable, K8sVaultError

TIMEOUT_SECONDS = 10
DEFAULT_CONNECTION = "kubernetes_default"


class Unreachable(DeliveryUnavailable):
    """The cluster did not answer."""


class Answer(K8sVaultError):
    """The API server answered with an error. `status` is HTTP's."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Kube:
    """One connection of Airflow's. Requests are made one after the other, each within 10 s."""

    def __init__(self, conn_id: str = DEFAULT_CONNECTION, acting_as: str = "") -> None:
        self.conn_id, self._acting_as = conn_id, acting_as

    @cached_property
    def _client(self) -> Any:
        from airflow.providers.cncf.kubernetes.hooks.kubernetes import KubernetesHook

        client = KubernetesHook(conn_id=self.conn_id).api_client
        # Its pool is made already, and would try three times.
        client.rest_client.pool_manager.connection_pool_kw["retries"] = False
        return client

    @cached_property
    def user(self) -> str:
        """Who asks, as the API server knows it: "system:serviceaccount:airflow:airflow-worker"."""
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        made = self.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", review)
        return str(made["status"]["userInfo"].get("username", ""))

    def acting_as(self, user: str) -> Kube:
        """Return the same connection as that user: itself, or by the right to impersonate it (`kubectl --as`)."""
        if user == self.user:
            return self
        other = Kube(self.conn_id, user)
        other.__dict__["_client"] = self._client
        return other

    @property
    def host(self) -> str:
        return str(self._client.configuration.host)

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        """Return the object or list at that path of the API. Raises Unreachable, and Answer for an error."""
        return self._request("GET", path, None, query)

    def post(self, path: str, body: dict[str, Any], **query: Any) -> dict[str, Any]:
        """Create the object, or with dryRun="All" only ask whether it would be created."""
        return self._request("POST", path, body, query)

    def delete(self, path: str) -> dict[str, Any]:
        return self._request("DELETE", path, {"gracePeriodSeconds": 0}, {})

    def _request(self, method: str, path: str, body: Any, query: dict[str, Any]) -> dict[str, Any]:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        headers |= {"Impersonate-User": self._acting_as} if self._acting_as else {}
        try:
            response = self._client.call_api(
                path,
                method,
                query_params=list(query.items()),
                header_params=headers,
                body=body,
                auth_settings=["BearerToken"],
                _preload_content=False,
                _return_http_data_only=True,
                _request_timeout=TIMEOUT_SECONDS,
            )
        except ApiException as error:
            raise Answer(error.status or 0, _message(error)) from None
        except (HTTPError, OSError) as error:
            kind = type(getattr(error, "reason", None) or error).__name__
            raise Unreachable(f"{self.host} did not answer within {TIMEOUT_SECONDS} s ({kind}).") from None
        with contextlib.suppress(ValueError):
            return dict(json_text.read(response.data or b"{}"))
        # Cut off on its way. Not chained to the parser's exception, which holds the whole text: it may be a token.
        raise Unreachable(f"{self.host} answered with something that is no JSON.")


def _message(error: ApiException) -> str:
    try:
        return str(json_text.read(error.body or "")["message"])
    except (ValueError, KeyError, TypeError):
        return f"{error.status} {error.reason}"
