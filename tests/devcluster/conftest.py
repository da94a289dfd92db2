"""A devcluster for the whole session; each test gets a namespace of its own."""

from __future__ import annotations

import base64
import json
import ssl
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from k8s_vault_devcluster.server import DevCluster

from tests.conftest import HOST
from tests.devcluster.mishaps import MishapCluster

GATE = {"schedulingGates": [{"name": "test/hold"}]}


class Api:
    """Raw requests as one user: paths below the API's address, plain data in and out."""

    def __init__(self, address: str, ca: str, token: str | None) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        context = ssl.create_default_context(cadata=ca)
        self.ca = ca
        self.client = httpx.Client(base_url=address, verify=context, headers=headers, timeout=20)

    def as_user(self, token: str | None) -> Api:
        return Api(str(self.client.base_url), self.ca, token)

    def __call__(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        """Return the answer's JSON."""
        return self.response(method, path, body, **options).json()

    def response(
        self, method: str, path: str, body: Any = None, kind: str | None = None, **query: Any
    ) -> httpx.Response:
        headers = {"Content-Type": kind or "application/json"}
        content = json.dumps(body) if body is not None else None
        return self.client.request(method, path, content=content, headers=headers, params=query)


@pytest.fixture(scope="session")
def devcluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevCluster]:
    cluster = MishapCluster(tmp_path_factory.mktemp("devcluster"), host=HOST)
    yield cluster
    cluster.stop()


@pytest.fixture(scope="session")
def api(devcluster: DevCluster) -> Iterator[Api]:
    """The API as its administrator."""
    config = json.loads(devcluster.kubeconfig.read_text())
    ca = base64.b64decode(config["clusters"][0]["cluster"]["certificate-authority-data"]).decode()
    api = Api(devcluster.address, ca, config["users"][0]["user"]["token"])
    yield api
    api.client.close()


@pytest.fixture
def namespace(api: Api) -> Iterator[str]:
    name = f"test-{uuid.uuid4().hex[:8]}"
    api("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    yield name
    api("DELETE", f"/api/v1/namespaces/{name}")


@pytest.fixture
def space(namespace: str) -> str:
    """The path of the test's namespace."""
    return f"/api/v1/namespaces/{namespace}"


def pod(name: str = "a", **spec: Any) -> dict[str, Any]:
    """A pod that is held back by a gate: what is tested here ends before it would run."""
    containers = [{"name": "base", "image": "python:3.12-slim", "command": ["true"]}]
    return {"metadata": {"name": name}, "spec": {"containers": containers, **GATE, **spec}}
