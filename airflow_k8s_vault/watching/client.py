"""Requests to one API server: one client for its whole life, JSON as bytes, credentials read again in time."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import aiohttp
from kubernetes_asyncio.client import ApiClient, Configuration

from airflow_k8s_vault.watching.failures import ApiError

Load = Callable[[], Awaitable[Configuration]]

CONNECT_SECONDS = 10
_REQUEST_SECONDS = 60
# A server sends a bookmark each minute. What stays silent for longer may be a connection that nobody is behind.
SILENCE_SECONDS = 90
# How old credentials may be when a request begins; Kubernetes' own client reads its token file as often.
_CREDENTIALS_SECONDS = 60
# When a line is this long it is none: an object has 1.5 MiB at most.
_LONGEST_LINE = 16 * 2**20
_CHUNK_BYTES, _ERROR_BYTES = 2**16, 2**16
_NEVER = float("-inf")
# Probes that find out, within half a minute, that the other side of a silent watch is cut off.
_KEEP_ALIVE = {"TCP_KEEPIDLE": 15, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}


class _LimitedApiClient(ApiClient):
    """Ends requests that have no limit of their own: with nobody behind the connection they wait for ever."""

    async def call_api(self, *args: Any, **kwargs: Any) -> Any:
        kwargs["_request_timeout"] = kwargs.get("_request_timeout") or _REQUEST_SECONDS
        return await super().call_api(*args, **kwargs)


class Client:
    """load: returns the configuration, with credentials as they are now; called again before they are old."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._api: ApiClient | None = None
        self._loaded_at = _NEVER
        self._is_distrusted = False
        self._lock = asyncio.Lock()

    async def api(self) -> ApiClient:
        """Return the Kubernetes client, with credentials that are not old. It is not the caller's to close."""
        async with self._lock:
            if self._api is None or time.monotonic() - self._loaded_at > _CREDENTIALS_SECONDS:
                self._api = await self._with_credentials(self._api)
            return self._api

    async def close(self) -> None:
        if self._api is not None:
            await self._api.close()

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> bytes:
        """Return the body of the answer. Raises ApiError."""
        limits = aiohttp.ClientTimeout(total=_REQUEST_SECONDS, sock_connect=CONNECT_SECONDS)
        async with self._answer(path, query or {}, limits) as answer:
            return await answer.read()

    async def lines(self, path: str, query: Mapping[str, str]) -> AsyncGenerator[bytes, None]:
        """Yield each whole line of the answer, until it ends. Raises ApiError, also for one that is cut."""
        limits = aiohttp.ClientTimeout(sock_connect=CONNECT_SECONDS, sock_read=SILENCE_SECONDS)
        async with self._answer(path, query, limits) as answer:
            _keep_alive(answer)
            begun = b""
            async for chunk in answer.content.iter_chunked(_CHUNK_BYTES):
                *whole, begun = (begun + chunk).split(b"\n")
                for line in filter(None, whole):
                    yield line
                if len(begun) > _LONGEST_LINE:
                    raise ApiError(0, "The API server sent a line without an end.")

    @contextlib.asynccontextmanager
    async def _answer(
        self, path: str, query: Mapping[str, str], limits: aiohttp.ClientTimeout
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        try:
            async with await self._sent(path, query, limits) as answer:
                if answer.status != 200:
                    content = await answer.content.read(_ERROR_BYTES)
                    raise ApiError.of(content, answer.status, answer.headers.get("Retry-After"))
                yield answer
        except (aiohttp.ClientError, TimeoutError, OSError) as broken:
            if isinstance(broken, aiohttp.ClientSSLError):
                # The server may have a new CA, in the same file.
                self._loaded_at, self._is_distrusted = _NEVER, True
            raise ApiError(0, f"{type(broken).__name__}: {broken}") from broken

    async def _sent(
        self, path: str, query: Mapping[str, str], limits: aiohttp.ClientTimeout
    ) -> aiohttp.ClientResponse:
        """Send the request; where the credentials are refused, once more with ones that are read again."""
        for again in (False, True):
            api = await self.api()
            answer: aiohttp.ClientResponse = await api.call_api(
                path,
                "GET",
                query_params=list(query.items()),
                header_params={"Accept": "application/json"},
                auth_settings=["BearerToken"],
                _preload_content=False,
                _request_timeout=limits,
            )
            # What Kubernetes' client remembers of its last answer is of no use here, and may be a page of pods.
            vars(api).pop("last_response", None)
            if answer.status != 401 or again:
                break
            answer.release()
            self._loaded_at = _NEVER
        return answer

    async def _with_credentials(self, before: ApiClient | None) -> ApiClient:
        configuration = await self._load()
        self._loaded_at = time.monotonic()
        same = before is not None and _place(before.configuration) == _place(configuration)
        if before is not None and same and not self._is_distrusted:
            before.configuration.api_key = configuration.api_key
            before.configuration.refresh_api_key_hook = configuration.refresh_api_key_hook
            return before
        # Each watch keeps a connection of its own: with a limit, one would wait for another's end.
        configuration.connection_pool_maxsize = 0
        self._is_distrusted = False
        if before is not None:
            await before.close()
        return _LimitedApiClient(configuration)


def _place(configuration: Configuration) -> tuple[Any, ...]:
    """Return what a client is made for: with all of this the same, a new token is put into the one there is."""
    names = ("host", "ssl_ca_cert", "cert_file", "key_file", "verify_ssl", "tls_server_name", "proxy")
    return tuple(getattr(configuration, name, None) for name in names)


def _keep_alive(answer: aiohttp.ClientResponse) -> None:
    transport = answer.connection.transport if answer.connection else None
    result = transport.get_extra_info("socket") if transport else None
    if result is None:
        return
    result.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEP_ALIVE.items():
        if hasattr(socket, name):
            result.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
