"""Keeps the one token of a client: fetches it, renews it, and replaces it when Vault refuses it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_k8s_vault.errors import VaultRefused, VaultUnavailable
from airflow_k8s_vault.vault import logins
from airflow_k8s_vault.vault.connection import Connection
from airflow_k8s_vault.vault.deadline import Deadline
from airflow_k8s_vault.vault.identity import auth_mount, who_asks
from airflow_k8s_vault.vault.rejected import Rejected
from airflow_k8s_vault.vault.settings import Settings
from airflow_k8s_vault.vault.token import Token

if TYPE_CHECKING:
    from airflow_k8s_vault.vault.requesting import Requests

# A path that is refused with a valid token is tried with a new one only if the login is older than this: a role
# may have got a policy since. Without a limit every look-up of a forbidden name would log in.
LOGIN_AGAIN_AFTER_SECONDS = 60


class TokenKeeper:
    """Safe under threads: one of them logs in or renews, the others wait for it or go on with the old token.

    logins: how many logins have fetched a token, so that others see that there was one.
    """

    def __init__(self, settings: Settings, connection: Connection) -> None:
        self.logins = 0
        self.kept_in_children = True
        self._settings = settings
        self._method = logins.METHODS[settings.auth_type]
        self._connection = connection
        self._token: Token | None = None
        self._used = False
        self._lock = threading.RLock()

    def after_fork(self) -> None:
        """The child keeps the token (docs/decisions/0002), unless its uses are limited or it is a team's."""
        self._lock = threading.RLock()
        if self._token is not None and (self._token.uses or not self.kept_in_children):
            self._token = None
        # A task that looks up one name does not ask how long the token lives, either.
        self._used = self._token is not None and self._token.lease_seconds is not None

    def current(self, deadline: Deadline) -> Token:
        """Return the token for the next request: the one at hand, looked after first where that is due."""
        token = self._token
        if token is not None and not token.due() and (token.lease_seconds is not None or not self._used):
            self._used = True
            return token
        with self._locked(deadline):
            self._token = self._looked_after(self._token, deadline)
            return self._token

    def replacement(self, old: Token | None, deadline: Deadline) -> Token:
        """Log in, unless another thread did since `old` was handed out."""
        with self._locked(deadline):
            if self._token is old or self._token is None:
                self._token = self._logged_in(deadline)
            return self._token

    def may_help_to_replace(self, token: Token, deadline: Deadline) -> bool:
        """After a 403: whether it was the token that Vault refused, or the path.

        Vault answers both alike, so the token is asked about itself.
        """
        if self._settings.auth_type == "agent":
            return False
        if self._method.login is None:
            return logins.static_token(self._settings) != token.value
        if token.since_login_seconds() > LOGIN_AGAIN_AFTER_SECONDS:
            return True
        try:
            self._requests(deadline, token).get("/v1/auth/token/lookup-self")
        except Rejected:
            return True
        return False

    def _looked_after(self, token: Token | None, deadline: Deadline) -> Token:
        # A given token is renewed to the last: there is no other, and Vault counts in whole seconds.
        if token is None or (token.ended() and self._method.login):
            return self._logged_in(deadline)
        if token.lease_seconds is None:
            return self._learned(token, deadline) if self._used else token
        if token.due():
            return self._renewed(token, deadline) or self._logged_in(deadline)
        return token

    def _logged_in(self, deadline: Deadline) -> Token:
        self._used = True
        if self._method.login is None:
            # An agent's token is not ours to know; of a given one nobody has asked yet how long it lives.
            return Token(logins.static_token(self._settings), None if self._settings.auth_type == "token" else 0)
        try:
            answer = self._method.login(
                self._settings, self._connection.requests(deadline, None), auth_mount(self._settings)
            )
            token, refused = Token.from_login(answer), ""
        except Rejected as rejected:
            refused = str(rejected)
        except (KeyError, TypeError):
            refused = "the answer holds no token; is a second factor wanted?"
        if refused:
            # Outside of `except`: the frames of the request hold the credential.
            raise VaultRefused(
                f"Vault at {self._settings.url} refused the login ({refused}).\n  {who_asks(self._settings, None)}"
            )
        self.logins += 1
        return token

    def _renewed(self, token: Token, deadline: Deadline) -> Token | None:
        """Return the renewed token, or None where it has to be replaced by a login."""
        renewed = None
        if token.renewable:
            try:
                answer = self._requests(deadline.without_retries(), token).post("/v1/auth/token/renew-self")
            except Rejected:
                token = replace(token, renewable=False)
            except VaultUnavailable as unavailable:
                # It still lives: the request that follows, with all its tries, says whether Vault is there.
                return self._replaced(token, deadline) if unavailable.status == 500 else token
            else:
                renewed = token.renewed(answer)
                token = replace(token, renewable=renewed is not None)
        if renewed or self._method.login:
            return renewed
        # A given token is used as it is, or as its file holds it now.
        value = logins.static_token(self._settings)
        return token if value == token.value else Token(value)

    def _replaced(self, token: Token, deadline: Deadline) -> Token:
        """Return a new login's token, or the old one where Vault does not answer that either.

        500 may be an outage. It is also what OpenBao answers to the renewal of a token past its maximum.
        """
        if not self._method.login:
            return token
        try:
            return self._logged_in(deadline.without_retries())
        except VaultUnavailable:
            return token

    def _learned(self, token: Token, deadline: Deadline) -> Token:
        """Ask how long a given token lives: before its second request, so that a process that looks up one name
        pays nothing for it."""
        try:
            answer = self._requests(deadline.without_retries(), token).get("/v1/auth/token/lookup-self")
        except (Rejected, VaultUnavailable):
            return Token(token.value, 0)
        return token.looked_up(answer)

    def _requests(self, deadline: Deadline, token: Token) -> Requests:
        return self._connection.requests(deadline, token.value)

    @contextmanager
    def _locked(self, deadline: Deadline) -> Iterator[None]:
        """Hold the lock. A signal between two of these lines may leave it held; its own thread still gets in."""
        limit = deadline.at_most(0)
        lock = self._lock
        if not lock.acquire(timeout=-1 if limit is None else limit):
            raise VaultUnavailable(
                f"Vault at {self._settings.url} did not answer: another thread's login waits for it."
            )
        try:
            yield
        finally:
            lock.release()
