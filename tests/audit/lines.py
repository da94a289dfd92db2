"""Lines of an audit file, as OpenBao 2.7 writes them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

BEGIN = datetime(2026, 1, 31, 10, tzinfo=UTC).timestamp()


def line(at: float, operation: str, path: str, token: str = "", **more: Any) -> str:
    """One response. at: seconds after BEGIN. more: auth, response, error, role, namespace, account, pod."""
    metadata = {
        "role": more.get("role", "payments"),
        "service_account_namespace": more.get("namespace", "team-payments"),
        "service_account_name": more.get("account", "airflow-payments"),
    }
    if "pod" in more:
        metadata |= {"pod_name": more["pod"], "pod_uid": f"uid-of-{more['pod']}"}
    whose = {
        "accessor": f"hmac-sha256:{token}",
        "display_name": more.get("display_name", "kubernetes"),
        "metadata": more.get("metadata", metadata),
        "policy_results": {"allowed": True, "granting_policies": [{"name": "airflow-payments", "type": "acl"}]},
    }
    mount = path.partition("/")[0]
    request = {"operation": operation, "path": path, "mount_point": f"{mount}/", "remote_address": "10.0.0.7"}
    request["mount_type"] = "kv" if mount == "secret" else mount
    made = {"time": time(at), "type": "response", "request": request, "response": more.get("response", {})}
    if path.endswith("/login"):
        made["response"] = {"auth": {**whose, "token_ttl": 600}}
    else:
        made["auth"] = whose
    return json.dumps({**made, **({"error": more["error"]} if "error" in more else {})}, separators=(",", ":"))


def time(at: float) -> str:
    return datetime.fromtimestamp(BEGIN + at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z")


def login(at: float, token: str, **more: Any) -> str:
    return line(at, "update", "auth/kubernetes/login", token, **more)


def read(at: float, token: str, path: str = "secret/data/payments/partner", **more: Any) -> str:
    data = {"data": {"k": "hmac-sha256:x"}, "metadata": {"version": 1}}
    return line(at, "read", path, token, **{"response": {"data": data}, **more})


def revoke(at: float, token: str) -> str:
    return line(at, "update", "auth/token/revoke-self", token)
