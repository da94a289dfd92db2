"""The triggerer's way to a cluster: one client, and one watch, for all triggers of a connection."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import AsyncIterator
from typing import Any

from airflow.providers.cncf.kubernetes.hooks.kubernetes import AsyncKubernetesHook
from kubernetes_asyncio.client import ApiClient, Configuration

from airflow_k8s_vault.watching import Cluster


class SharedKubernetesHook(AsyncKubernetesHook):
    """AsyncKubernetesHook that makes no client of its own for each request.

    A client costs up to 37 ms of the event loop, where the system's CAs are read, and a TLS handshake.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._settings = settings

    @property
    def cluster(self) -> Cluster:
        """Return the client and the watches that all triggers of this connection share."""
        # As a digest: a task's config_file may hold a credential.
        settings = json.dumps(self._settings, sort_keys=True, default=str)
        return Cluster.shared(hashlib.sha256(settings.encode()).digest(), self._loaded)

    async def _loaded(self) -> Configuration:
        # By a hook of its own each time: a hook reads a connection and a kubeconfig once.
        hook = AsyncKubernetesHook(**self._settings)
        await hook._load_config()  # type: ignore[no-untyped-call]
        assert hook.client_configuration is not None  # noqa: S101 - it is what _load_config makes
        return hook.client_configuration

    @contextlib.asynccontextmanager
    async def get_conn(self) -> AsyncIterator[ApiClient]:
        async with self.cluster.api() as client:
            yield client
