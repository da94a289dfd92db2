"""The life of a token: fetched once, renewed at two thirds, replaced when it is refused."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from airflow_k8s_vault.secret_value import SecretValue

RENEW_AFTER = 2 / 3
# A renewal that gives back less than this part of the first life ran into the token's maximum: log in instead.
WORTH_RENEWING = 1 / 2


@dataclass(frozen=True)
class Token:
    """A token and what is known of its life. value=None: an agent on the way adds its own.

    lease_seconds: 0 if it does not end; None if nobody has asked yet. uses: 0 if unlimited.
    first_lease_seconds: what the login gave, before renewals. born: monotonic seconds of this lease's begin,
    fetched: of the login. role: what Vault calls the role, for messages.
    """

    value: SecretValue[str] | None
    lease_seconds: int | None = None
    renewable: bool = False
    uses: int = 0
    role: str | None = None
    first_lease_seconds: int = 0
    born: float = field(default_factory=lambda: time.monotonic())
    fetched: float = field(default_factory=lambda: time.monotonic())

    @classmethod
    def from_login(cls, answer: dict[str, Any]) -> Token:
        """Read the `auth` part of a login's answer. Raises KeyError where there is none."""
        auth = answer["auth"]
        lease = int(auth.get("lease_duration") or 0)
        return cls(
            SecretValue(auth["client_token"]),
            lease,
            bool(auth.get("renewable")),
            int(auth.get("num_uses") or 0),
            (auth.get("metadata") or {}).get("role_name") or (auth.get("metadata") or {}).get("role"),
            lease,
        )

    def ended(self) -> bool:
        return bool(self.lease_seconds) and self.age_seconds() >= (self.lease_seconds or 0)

    def due(self) -> bool:
        """Whether two thirds of its life are over."""
        return bool(self.lease_seconds) and self.age_seconds() >= (self.lease_seconds or 0) * RENEW_AFTER

    def age_seconds(self) -> float:
        return time.monotonic() - self.born

    def since_login_seconds(self) -> float:
        return time.monotonic() - self.fetched

    def renewed(self, answer: dict[str, Any]) -> Token | None:
        """Return the token after a renewal; None where the renewal gave too little to be worth it."""
        lease = int(answer["auth"].get("lease_duration") or 0)
        # Vault rounds: what is left of a second may come as 1, or as 0, which elsewhere means without end.
        if self.first_lease_seconds and lease <= self.first_lease_seconds * WORTH_RENEWING:
            return None
        return self._with(lease, bool(answer["auth"].get("renewable")))

    def looked_up(self, answer: dict[str, Any]) -> Token:
        """Return the token with what lookup-self said of it."""
        data = answer.get("data") or {}
        return self._with(int(data.get("ttl") or 0), bool(data.get("renewable")))

    def _with(self, lease: int, renewable: bool) -> Token:
        first = self.first_lease_seconds or lease
        return Token(self.value, lease, renewable, self.uses, self.role, first, fetched=self.fetched)
