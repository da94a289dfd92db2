"""A Vault with an approle, and a proxy before it that counts and breaks."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from k8s_vault_devcluster.openbao import OpenBao

from airflow_k8s_vault.vault import VaultClient, breaker
from tests.vault.proxy import FaultyProxy


@dataclass
class AppRole:
    """What logs in, and what it may read: everything in `mount`."""

    name: str
    role_id: str
    secret_id: str
    mount: str

    @property
    def settings(self) -> dict[str, Any]:
        return {"auth_type": "approle", "role_id": self.role_id, "secret_id": self.secret_id}


def make_approle(server: OpenBao, mount: str, **role: Any) -> AppRole:
    """A role of its own, with a policy for `mount` (KV 2); `role` as auth/approle/role takes it."""
    name = f"airflow-{uuid.uuid4().hex[:6]}"
    if "approle/" not in server.request("GET", "sys/auth")["data"]:
        server.request("POST", "sys/auth/approle", {"type": "approle"})
    rule = f'path "{mount}/*" {{ capabilities = ["read"] }}'
    server.request("PUT", f"sys/policies/acl/{name}", {"policy": rule})
    server.request("POST", f"auth/approle/role/{name}", {"token_policies": [name], **role})
    role_id = server.request("GET", f"auth/approle/role/{name}/role-id")["data"]["role_id"]
    secret_id = server.request("POST", f"auth/approle/role/{name}/secret-id", {})["data"]["secret_id"]
    return AppRole(name, role_id, secret_id, mount)


@pytest.fixture
def approle(openbao: OpenBao, kv_mount: str) -> AppRole:
    return make_approle(openbao, kv_mount)


@pytest.fixture
def proxy(openbao: OpenBao, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyProxy]:
    # The address may be one that another test's proxy had a moment ago, and did not answer at.
    monkeypatch.setattr(breaker, "_by_address", {})
    made = FaultyProxy(openbao.address)
    yield made
    made.stop()


@pytest.fixture
def put(openbao: OpenBao, kv_mount: str) -> Callable[..., str]:
    """Write a secret to the test's own mount; returns its API path."""

    def write(path: str, **data: Any) -> str:
        openbao.request("POST", f"{kv_mount}/data/{path}", {"data": data})
        return f"{kv_mount}/data/{path}"

    return write


@pytest.fixture
def client(proxy: FaultyProxy, approle: AppRole) -> VaultClient:
    return VaultClient.from_settings(url=proxy.address, **approle.settings, retry_delay_seconds=0.02)
