"""HTTP to Vault: TCP, TLS or a unix socket, with time limits that hold for a whole answer.

urllib3 limits the time of each read from a socket, so a peer that sends a byte now and then would hold a caller
for ever. The sockets here treat their timeout as a budget for all reads until the next one is set. `requests`,
which hvac speaks through, is left out: its import costs a new process more than its first look-up does.
"""

from __future__ import annotations

import os
import socket
import ssl
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager, ProxyManager, Timeout
from urllib3.connection import HTTPConnection
from urllib3.util import make_headers
from urllib3.util.ssl_ import create_urllib3_context

from airflow_k8s_vault import cast
from airflow_k8s_vault.errors import VaultRefused
from airflow_k8s_vault.vault.settings import Settings

UNIX = "unix://"
# As many as threads may ask at once; a pool that is full throws connections away with a warning.
CONNECTIONS = 100
# A standby node of Vault sends its clients to the active one.
REDIRECTS = (301, 302, 307, 308)


class _Budget(socket.socket):
    """Mixin: the timeout is the time left for everything that is read until the next settimeout."""

    _end: float | None = None

    def settimeout(self, value: float | None) -> None:
        self._end = None if value is None else time.monotonic() + value
        super().settimeout(value)

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        if self._end is not None:
            left = self._end - time.monotonic()
            if left <= 0:
                raise TimeoutError("timed out")
            super().settimeout(left)
        return super().recv_into(*args, **kwargs)


class _BudgetSocket(_Budget):
    @classmethod
    def taking_over(cls, other: socket.socket) -> _BudgetSocket:
        timeout = other.gettimeout()
        taken = cls(other.family, other.type, other.proto, fileno=other.detach())
        taken.settimeout(timeout)
        return taken


class _BudgetTLSSocket(_Budget, ssl.SSLSocket):
    pass


class _Connection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return _BudgetSocket.taking_over(super()._new_conn())


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


@dataclass(frozen=True)
class Answer:
    """What came back, whatever its status."""

    status: int
    reason: str
    retry_after: str
    body: bytes

    def __repr__(self) -> str:
        return f"<answer {self.status}>"


class Transport:
    """Connections to the Vault of these settings, kept open between requests; none before the first."""

    def __init__(self, settings: Settings) -> None:
        url = settings.url or ""
        if url.startswith(UNIX):
            self._base = "http://localhost"
            self._pool: PoolManager | HTTPConnectionPool = _unix_pool(url.removeprefix(UNIX))
        else:
            self._base, self._pool = url.rstrip("/"), _tcp_pool(url, settings)
        self._follows = not url.startswith(UNIX)

    def send(
        self, method: str, path: str, headers: dict[str, str], body: bytes | None, timeout_seconds: float | None
    ) -> Answer:
        """Send one request; follow a redirect once. Raises urllib3's and the socket's own errors."""
        answer = self._once(method, f"{self._base}{path}", headers, body, timeout_seconds)
        if answer.status in REDIRECTS and self._follows:
            url = redirected(f"{self._base}{path}", str(answer.headers.get("Location", "")))
            answer = self._once(method, url, headers, body, timeout_seconds)
        retry_after = str(answer.headers.get("Retry-After", ""))
        return Answer(answer.status, str(answer.reason or ""), retry_after, answer.data)

    def _once(
        self, method: str, url: str, headers: dict[str, str], body: bytes | None, seconds: float | None
    ) -> Any:
        options: dict[str, Any] = {"timeout": Timeout(total=seconds), "retries": False, "redirect": False}
        return self._pool.urlopen(method, url, body=body, headers=headers, **options)


def redirected(url: str, location: str) -> str:
    """Return where a redirect leads; never from TLS to plain text, with the token in hand.

    >>> redirected("https://standby:8200/v1/x", "https://active:8200/v1/x")
    'https://active:8200/v1/x'
    """
    target = urljoin(url, location)
    if url.startswith("https:") and not target.startswith("https:"):
        raise VaultRefused(f"{url} redirects to {target}, which is not TLS: the token is not sent there.")
    return target


def _tcp_pool(url: str, settings: Settings) -> PoolManager:
    options: dict[str, Any] = {"num_pools": 4, "maxsize": CONNECTIONS}
    if url.startswith("https:"):
        options["ssl_context"] = _tls_context(settings)
        options["cert_reqs"] = "CERT_NONE" if settings.verify is False else "CERT_REQUIRED"
    proxy = _proxy_for(url, settings.proxies)
    if proxy:
        user = urlsplit(proxy)
        login = make_headers(proxy_basic_auth=f"{user.username}:{user.password or ''}") if user.username else None
        pool: PoolManager = ProxyManager(proxy, proxy_headers=login, **options)
    else:
        pool = PoolManager(**options)
    pool.pool_classes_by_scheme = {"http": _Pool, "https": HTTPSConnectionPool}
    return pool


def _unix_pool(path: str) -> HTTPConnectionPool:
    """A pool whose connections all go to one unix socket, as a Vault Agent or OpenBao Proxy listens on."""

    class Connection(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            sock = _BudgetSocket(socket.AF_UNIX)
            sock.settimeout(self.timeout)
            sock.connect(path)
            return sock

    pool = HTTPConnectionPool("localhost", maxsize=CONNECTIONS)
    pool.ConnectionCls = Connection
    return pool


def _tls_context(settings: Settings) -> ssl.SSLContext:
    """Trusts what `verify` names; else what hvac did: the bundle of `requests`' variables, or certifi's."""
    context = create_urllib3_context()
    context.sslsocket_class = _BudgetTLSSocket
    context.check_hostname = settings.verify is not False
    if settings.verify is not False:
        _trust(context, settings.verify if isinstance(settings.verify, str) else _default_bundle())
    if settings.cert:
        certificate, key = settings.cert if isinstance(settings.cert, tuple) else (settings.cert, None)
        try:
            context.load_cert_chain(certificate, key)
        except OSError as problem:
            raise VaultRefused(f"cert {settings.cert!r} cannot be read: {problem.strerror or problem}.") from None
    return context


def _trust(context: ssl.SSLContext, trusted: str) -> None:
    """Trust the CAs of a file, a folder, or of PEM text, which needs no file that somebody has to delete."""
    if cast.PEM in trusted:
        # OpenSSL takes ASCII; comments between the certificates may be anything.
        where, options = "text", {"cadata": trusted.encode("ascii", "replace").decode()}
    else:
        where, options = repr(trusted), {"capath" if os.path.isdir(trusted) else "cafile": trusted}
    try:
        context.load_verify_locations(**options)
    except OSError as problem:
        raise VaultRefused(f"verify {where} cannot be read: {problem.strerror or problem}.") from None


def _default_bundle() -> str:
    named = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
    if named:
        return named
    import certifi

    return certifi.where()


def _proxy_for(url: str, given: dict[str, Any] | None) -> str | None:
    scheme, host = urlsplit(url).scheme, urlsplit(url).hostname or ""
    proxies = given
    if proxies is None:
        proxies = {} if proxy_bypass(host) else dict(getproxies())
    proxy = proxies.get(scheme) or proxies.get("all")
    return str(proxy) if proxy else None
