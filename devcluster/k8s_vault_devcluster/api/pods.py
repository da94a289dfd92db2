"""What pods have beside the common verbs: logs, and the choice of a container.

Needed by `kubectl logs`, and by every task's log.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping

from starlette.responses import StreamingResponse

from airflow_k8s_vault.errors import K8sVaultError
from k8s_vault_devcluster.api import verbs
from k8s_vault_devcluster.api.context import Context, RequestInfo, flag, number
from k8s_vault_devcluster.api.defaults import containers
from k8s_vault_devcluster.api.rules import absent, check, not_negative, within
from k8s_vault_devcluster.api.status import ApiError, bad_request, invalid
from k8s_vault_devcluster.kubelet.logs import LogOptions
from k8s_vault_devcluster.store import NotFound, Object

# A log that is there, or an error, shows within this time; a follower of a silent container should not
# wait longer for the answer's headers.
_FIRST_CHUNK_SECONDS = 0.2


_POSITIVE = within(1, 2**63, "must be greater than 0")
_COUNTS = {"sinceSeconds": _POSITIVE, "tailLines": not_negative, "limitBytes": _POSITIVE}


def container_of(pod: Object, requested: str) -> str:
    """Return the container's name, the only one where none is asked for; raise ApiError 400."""
    name = pod["metadata"]["name"]
    if requested:
        if any(container["name"] == requested for container in containers(pod["spec"])):
            return requested
        raise bad_request(f"container {requested} is not valid for pod {name}")
    known = [container["name"] for container in pod["spec"]["containers"]]
    initial = [container["name"] for container in pod["spec"].get("initContainers", [])]
    if len(known) == 1 and not initial:
        return str(known[0])
    message = f"a container name must be specified for pod {name}, choose one of: [{' '.join(known)}]"
    if initial:
        message += f" or one of the init containers: [{' '.join(initial)}]"
    raise bad_request(message)


def running_pod(context: Context, requested: RequestInfo) -> Object:
    """Return the pod; raise ApiError 404, or 400 where it is on no node."""
    pod = verbs.read(context.store, requested)
    if not pod["spec"].get("nodeName"):
        raise bad_request(f"pod {requested.name} does not have a host assigned")
    return pod


async def logs(context: Context, requested: RequestInfo, query: Mapping[str, str]) -> StreamingResponse:
    """Answer pods/log: text, streamed; with follow until the container ends."""
    pod = running_pod(context, requested)
    container = container_of(pod, query.get("container", ""))
    _check_log_options(query)
    options = LogOptions(
        follow=flag(query, "follow"),
        timestamps=flag(query, "timestamps"),
        since_seconds=number(query, "sinceSeconds"),
        since_time=query.get("sinceTime") or None,
        tail_lines=number(query, "tailLines"),
        limit_bytes=number(query, "limitBytes"),
    )
    previous = flag(query, "previous")
    chunks = context.kubelet.logs(requested.namespace, requested.name, container, options, previous=previous)
    first: asyncio.Future[bytes] = asyncio.ensure_future(anext(chunks, b""))
    await asyncio.wait([first], timeout=_FIRST_CHUNK_SECONDS)
    if first.done() and first.exception():
        raise _log_error(first.exception(), requested)
    return StreamingResponse(_chained(first, chunks), media_type="text/plain")


async def _chained(first: asyncio.Future[bytes], rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    try:
        yield await first
        async for chunk in rest:
            yield chunk
    finally:
        first.cancel()


def _log_error(error: BaseException | None, requested: RequestInfo) -> BaseException:
    if isinstance(error, NotFound):
        return ApiError(404, "NotFound", str(error))
    if isinstance(error, K8sVaultError):
        return bad_request(str(error))
    return error or AssertionError(requested.name)


def _check_log_options(query: Mapping[str, str]) -> None:
    options = {name: number(query, name) for name in _COUNTS}
    both = bool(query.get("sinceSeconds") and query.get("sinceTime"))
    causes = list(check(_COUNTS, options))
    causes += absent("at most one of `sinceTime` or `sinceSeconds` may be specified")(both, "")
    causes += absent("devcluster only serves both streams together")(query.get("stream", "All") != "All", "stream")
    if causes:
        raise invalid("PodLogOptions", "", "", causes)
