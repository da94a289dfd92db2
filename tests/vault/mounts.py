"""KV mounts that are ready when they are returned."""

from __future__ import annotations

import time

from k8s_vault_devcluster.openbao import OpenBao

from airflow_k8s_vault.errors import VaultError


def mount_kv(server: OpenBao, mount: str, version: int = 2, namespace: str = "") -> None:
    """Mount a KV engine. Version 2 sets itself up after it is mounted, and answers 400 until it has."""
    prefix = f"{namespace}/" if namespace else ""
    server.request("POST", f"{prefix}sys/mounts/{mount}", {"type": "kv", "options": {"version": str(version)}})
    for _ in range(100 if version == 2 else 0):
        try:
            server.request("GET", f"{prefix}{mount}/config")
        except VaultError:
            time.sleep(0.02)
        else:
            return
