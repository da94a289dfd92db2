"""What is looked for: every secret that went to or came from Vault, as the proxy before it saw them."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping

Exchanges = Iterable[tuple[str, bytes, bytes]]


def in_play(exchanges: Exchanges, canary: str) -> Mapping[str, set[str]]:
    """Return the values by kind: the KV value, dynamic passwords, Vault tokens, service-account tokens."""
    passwords, logins, accounts, keys, stores = set(), set(), set(), set(), set()
    for request, sent, answered in exchanges:
        answer = json.loads(answered) if answered.startswith(b"{") else {}
        if request.endswith("/login"):
            # Also where the login was refused, or its answer lost.
            accounts.add(json.loads(sent)["jwt"])
            logins.add((answer.get("auth") or {}).get("client_token"))
        if "/serviceaccounts/" in request and request.endswith("/token"):
            accounts.add((answer.get("status") or {}).get("token"))
        if "/creds/" in request:
            passwords.add((answer.get("data") or {}).get("password"))
        if "/issue/" in request:
            # A line of its PEM: how one ends is written in many ways.
            keys |= set(str((answer.get("data") or {}).get("private_key", "")).splitlines()[1:2])
        if "/secret/data/payments/store" in request:
            encoded = ((answer.get("data") or {}).get("data") or {}).get("bytes", "")
            stores |= {encoded, base64.b64decode(encoded).decode()}
    return {
        "KV value": {canary},
        "dynamic password": passwords - {None},
        "issued private key": keys,
        "decoded bytes": stores - {""},
        "Vault token": logins - {None},
        "service-account token": accounts - {None},
    }
