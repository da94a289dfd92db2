"""The ASGI application: every request through authentication, authorization and its verb.

Needed by everything: kubectl, the Kubernetes clients of Airflow's worker and triggerer, and Vault.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace

from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from k8s_vault_devcluster.api import apply, body, discovery, exec, options, pods, reviews, verbs
from k8s_vault_devcluster.api.authentication import authenticate, authorize, impersonated
from k8s_vault_devcluster.api.context import Context, RequestInfo, parse
from k8s_vault_devcluster.api.representation import Representation
from k8s_vault_devcluster.api.status import (
    ApiError,
    bad_request,
    method_not_allowed,
    no_such_path,
    success,
    unauthorized,
)
from k8s_vault_devcluster.api.watches import Watch
from k8s_vault_devcluster.rbac import ANONYMOUS
from k8s_vault_devcluster.store import Object

log = logging.getLogger(__name__)

_REVIEWED = ("authentication.k8s.io", "authorization.k8s.io")


def application(context: Context) -> Starlette:
    """Return the API server of one cluster."""
    server = Server(context)
    routes = [
        WebSocketRoute("/{path:path}", server.websocket),
        Route("/{path:path}", server.http, methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]),
    ]
    return Starlette(routes=routes)


class Server:
    """Answers requests out of one Context."""

    def __init__(self, context: Context) -> None:
        self.context = context

    async def http(self, request: Request) -> Response:
        try:
            return await self._answer(request, self._admitted(request, request.method))
        except ApiError as error:
            return JSONResponse(error.status, error.code)
        except Exception:
            log.exception("%s %s", request.method, request.url.path)
            failure = ApiError(500, "InternalError", "Internal error occurred: see the log of devcluster")
            return JSONResponse(failure.status, failure.code)

    async def websocket(self, socket: WebSocket) -> None:
        try:
            requested = self._admitted(socket, "GET")
            if requested.subresource != "exec":
                raise bad_request("only pods/exec is served over websockets")
            # Since Kubernetes 1.35 a websocket needs the same permission as a POST.
            authorize(self.context, requested.user, requested, verb="create")
            protocol = exec.protocol_of(socket.scope.get("subprotocols", []))
            started = await exec.start(self.context, requested, socket)
        except ApiError as error:
            await socket.send_denial_response(JSONResponse(error.status, error.code))
            return
        await exec.serve(socket, started, protocol)

    def _admitted(self, connection: HTTPConnection, method: str) -> RequestInfo:
        """Who asks comes first: strangers do not learn what is served."""
        user = authenticate(self.context, connection.headers.get("authorization", ""))
        try:
            requested = parse(method, connection.url.path, connection.query_params)
        except ApiError:
            if user is ANONYMOUS:
                raise unauthorized() from None
            raise
        user = impersonated(self.context, user, connection.headers)
        authorize(self.context, user, requested)
        return replace(requested, user=user)

    async def _answer(self, request: Request, requested: RequestInfo) -> Response:
        if requested.resource is None:
            return self._document(requested.path, requested.verb)
        query = request.query_params
        if requested.subresource:
            return await self._subresource(request, requested)
        shown = Representation(requested, request.headers.get("accept", ""))
        if requested.verb == "watch":
            watch = Watch(self.context.store, requested, query, shown.of_one)
            return StreamingResponse(watch.lines(), media_type="application/json")
        if requested.verb == "list":
            objects = options.listed(self.context.store, requested, query)
            return JSONResponse(shown.of_list(objects, self.context.store.version))
        if requested.verb == "get":
            return JSONResponse(shown.of_one(verbs.read(self.context.store, requested)))
        status, obj = await self._changed(request, requested, query)
        warns = requested.target.warning if requested.verb in ("create", "update", "patch") else ""
        headers = {"Warning": f'299 - "{warns}"'} if warns else {}
        return JSONResponse(shown.of_one(obj) if obj.get("kind") != "Status" else obj, status, headers)

    async def _changed(
        self, request: Request, requested: RequestInfo, query: Mapping[str, str]
    ) -> tuple[int, Object]:
        """Carry out a verb that writes; return the HTTP status and what answers it."""
        content, header = await request.body(), request.headers.get("content-type", "")
        resource = requested.target
        if requested.verb in ("delete", "deletecollection"):
            how = options.delete_options(_delete_body(content, header), query)
            if requested.verb == "delete":
                return 200, verbs.delete(self.context, requested, how)
            deleted = verbs.delete_collection(self.context, requested, how, query)
            return 200, Representation(requested, "").of_list(deleted, self.context.store.version)
        if requested.verb == "patch":
            change = body.parse(content, header)
            if body.media_type(header) == apply.CONTENT_TYPE:
                return verbs.apply(self.context, requested, change, query)
            return 200, verbs.patch(self.context, requested, body.media_type(header), change, query)
        obj = body.decode(content, header, resource.api_version, resource.kind)
        if resource.group in _REVIEWED:
            return 201, reviews.answer(self.context, requested.user, obj)
        if requested.verb == "update":
            return 200, verbs.update(self.context, requested, obj, query)
        return 201, verbs.create(self.context, requested, obj, query)

    async def _subresource(self, request: Request, requested: RequestInfo) -> Response:
        if requested.subresource == "log":
            return await pods.logs(self.context, requested, request.query_params)
        if requested.subresource == "exec":
            raise bad_request("Upgrade request required: devcluster serves exec over websockets only, not SPDY")
        content, header = await request.body(), request.headers.get("content-type", "")
        if requested.subresource == "token":
            expected = body.decode(content, header, "authentication.k8s.io/v1", "TokenRequest")
            return JSONResponse(reviews.request_token(self.context, requested, expected), 201)
        # Eviction, by which the fault tests end a pod as the drain of a node does.
        eviction = body.decode(content, header, "policy/v1", "Eviction")
        how = options.delete_options(eviction.get("deleteOptions", {}), request.query_params)
        verbs.delete(self.context, requested, how)
        return JSONResponse(success(requested.name, "", "pods"), 201)

    def _document(self, path: str, verb: str) -> Response:
        """Answer the paths that are no resources: health, discovery, OpenAPI, OIDC."""
        if verb != "get":
            raise method_not_allowed()
        path = path.rstrip("/")
        if path in ("/healthz", "/livez", "/readyz"):
            return PlainTextResponse("ok")
        tokens, address = self.context.tokens, self.context.address.removeprefix("https://")
        documents = {
            **discovery.documents(),
            "/api": discovery.versions(address),
            "/openid/v1/jwks": tokens.jwks(),
            "/.well-known/openid-configuration": tokens.openid_configuration(),
        }
        if path not in documents:
            raise no_such_path()
        return JSONResponse(documents[path])


def _delete_body(content: bytes, header: str) -> Object:
    if not content.strip():
        return {}
    sent = body.parse(content, header)
    api_version = sent.get("apiVersion", "v1") if isinstance(sent, dict) else "v1"
    return body.decode(content, header, str(api_version), "DeleteOptions")
