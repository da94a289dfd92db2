"""The endpoint of a cloud's cluster: takes the cloud's tokens, and passes requests on with the cluster's own."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.faults.fault_proxy import FaultProxy
from tests.starters.certificates import Certificates
from tests.starters.clouds import context


class CloudCluster(FaultProxy):
    """accounts: the cluster's own token by who the cloud says it is, as its access entries or IAM bindings do.

    `refused` counts requests with a token that is none, or is older than `life_seconds`.
    """

    def __init__(self, target: str, accounts: Mapping[str, str], who: Callable[[str], str | None]) -> None:
        super().__init__(target)
        self.life_seconds, self.refused = 900.0, 0
        self.tokens: set[str] = set()
        self._accounts, self._who = accounts, who

    def serve_tls(self, made: Certificates) -> None:
        self._server.socket = context(made).wrap_socket(self._server.socket, server_side=True)
        self.address = self.address.replace("http:", "https:")

    def pass_on(self, request: Any, body: bytes) -> Any:
        self._make_known(request.headers)
        return super().pass_on(request, body)

    def tunnel(self, request: str, headers: Any) -> Any:
        self._make_known(headers)
        return super().tunnel(request, headers)

    def _make_known(self, headers: Any) -> None:
        """Put the cluster's own token of whoever the cloud says asks in the place of the cloud's."""
        token = str(headers.get("Authorization") or "").removeprefix("Bearer ")
        who = self._aws(token) if token.startswith("k8s-aws-v1.") else self._who(token)
        self.refused += who not in self._accounts
        self.tokens.add(token)
        del headers["Authorization"]
        headers["Authorization"] = f"Bearer {self._accounts.get(str(who), 'nobody')}"

    def _aws(self, token: str) -> str | None:
        """Return the access key that signed the request to STS which an EKS token is; None of one that is old."""
        signed = token.removeprefix("k8s-aws-v1.")
        url = urlsplit(base64.urlsafe_b64decode(signed + "=" * (-len(signed) % 4)).decode())
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        if not str(url.hostname).startswith("sts.") or "x-k8s-aws-id" not in query["X-Amz-SignedHeaders"]:
            return None
        made = datetime.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        if time.time() - made.timestamp() > self.life_seconds:
            return None
        return query["X-Amz-Credential"].partition("/")[0]
