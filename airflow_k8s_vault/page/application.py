"""The page's FastAPI application: routes, headers and what an error looks like. No route changes anything."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import Any

from airflow.api_fastapi.core_api.security import get_user
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response

from airflow_k8s_vault.errors import K8sVaultError
from airflow_k8s_vault.page import html, routes

# Everything comes from this server, nothing runs that stands in the HTML itself, and only Airflow frames it.
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}


@lru_cache(maxsize=1)
def application() -> FastAPI:
    """Return the application; one for each process."""
    # Every route asks who it is, the files of the page included; routes then ask what that user may see.
    app = FastAPI(
        title="Pods and Vault",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        dependencies=[Depends(get_user)],
    )
    app.include_router(routes.router)
    app.middleware("http")(_with_headers)
    app.exception_handler(HTTPException)(_refused)
    app.exception_handler(K8sVaultError)(_broken)
    return app


async def _with_headers(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    response = await call_next(request)
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    return response


async def _refused(request: Request, error: Any) -> Response:
    if error.status_code == 401:
        message = "You are not logged in, or no longer: log in to Airflow and open this page again."
    else:
        message = str(error.detail)
    return _error(request, error.status_code, message)


async def _broken(request: Request, error: Any) -> Response:
    return _error(request, 404, str(error))


def _error(request: Request, status: int, message: str) -> Response:
    if request.url.path.endswith((".json", ".csv")):
        return JSONResponse({"error": message}, status)
    return HTMLResponse(html.page("error.html", request, title="Not to be seen", message=message), status)
