"""pods/exec over websockets: the subprotocols v4.channel.k8s.io and v5.channel.k8s.io.

Each message starts with its channel's number. Source: apimachinery, pkg/util/remotecommand/constants.go.

Needed by `kubectl exec`, and by KubernetesPodOperator, which fetches a task's XCom so.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Sequence

from starlette.datastructures import QueryParams
from starlette.websockets import WebSocket, WebSocketDisconnect

from airflow_k8s_vault.errors import K8sVaultError
from k8s_vault_devcluster.api import policies
from k8s_vault_devcluster.api.context import Context, RequestInfo, flag
from k8s_vault_devcluster.api.pods import container_of, running_pod
from k8s_vault_devcluster.api.status import ApiError, bad_request
from k8s_vault_devcluster.kubelet import ExecFailed
from k8s_vault_devcluster.store import Object

PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
_STDIN, _STDOUT, _STDERR, _ERROR, _RESIZE, _CLOSE = 0, 1, 2, 3, 4, 255
_CHUNK_BYTES = 32 * 1024
# Commands whose client has gone; asyncio itself does not keep its tasks.
_left: set[asyncio.Future[None]] = set()


def protocol_of(offered: list[str]) -> str:
    """Return the newest subprotocol that both sides speak; raise ApiError 400."""
    for protocol in PROTOCOLS:
        if protocol in offered:
            return protocol
    raise bad_request(f"unable to upgrade: none of the subprotocols {offered} is one of {list(PROTOCOLS)}")


async def start(
    context: Context, requested: RequestInfo, socket: WebSocket
) -> asyncio.subprocess.Process | Object:
    """Start the command that the query asks for; raise ApiError before anything is accepted.

    Returns the process, or the Status for the error channel where the container has no such program: the
    connection stands by then (kubelet, remotecommand/exec.go).
    """
    query = socket.query_params
    if not any(flag(query, name) for name in ("stdin", "stdout", "stderr")):
        raise bad_request("you must specify at least 1 of stdin, stdout, stderr")
    command = query.getlist("command")
    if not command:
        raise bad_request("you must specify a command for the container")
    policies.admit(context.store, requested, "CONNECT", _options(query, command))
    container = container_of(running_pod(context, requested), query.get("container", ""))
    try:
        return await context.kubelet.exec(
            requested.namespace,
            requested.name,
            container,
            command,
            stdin=flag(query, "stdin"),
            tty=flag(query, "tty"),
        )
    except ExecFailed as error:
        return _internal_error(f"error executing command in container: {error}")
    except ApiError:
        raise
    except K8sVaultError as error:
        raise ApiError(500, "InternalError", str(error)) from error


def _options(query: QueryParams, command: Sequence[str]) -> Object:
    """PodExecOptions, which an admission policy sees."""
    flags = {name: True for name in ("stdin", "stdout", "stderr", "tty") if flag(query, name)}
    named = {"container": query["container"]} if query.get("container") else {}
    return {"apiVersion": "v1", "kind": "PodExecOptions", **flags, **named, "command": list(command)}


def _internal_error(why: str) -> Object:
    """NewInternalError of apimachinery, pkg/api/errors/errors.go."""
    causes = [{"message": why}]
    return ApiError(500, "InternalError", f"Internal error occurred: {why}", causes=causes).status


async def serve(socket: WebSocket, started: asyncio.subprocess.Process | Object, protocol: str) -> None:
    """Carry the streams until the command ends, or the client goes away."""
    await socket.accept(subprotocol=protocol)
    # Tells the client that the connection stands, as Kubernetes does.
    await socket.send_bytes(bytes([_STDOUT]))
    if isinstance(started, dict):
        await socket.send_bytes(bytes([_ERROR]) + json.dumps(started).encode())
        await socket.close(1000)
    else:
        await _carry(socket, started)


async def _carry(socket: WebSocket, process: asyncio.subprocess.Process) -> None:
    streams = ((_STDOUT, "stdout", process.stdout), (_STDERR, "stderr", process.stderr))
    outputs = [
        # What was not asked for is read all the same: a full pipe would stop the command.
        asyncio.ensure_future(
            _send(socket, channel, stream) if flag(socket.query_params, name) else _drain(stream)
        )
        for channel, name, stream in streams
        if stream
    ]
    incoming = asyncio.ensure_future(_receive(socket, process))
    ended = asyncio.ensure_future(_end(process, outputs))
    try:
        await asyncio.wait([incoming, ended], return_when=asyncio.FIRST_COMPLETED)
        if ended.done():
            await socket.send_bytes(bytes([_ERROR]) + json.dumps(outcome(ended.result())).encode())
            await socket.close(1000)
    except (WebSocketDisconnect, RuntimeError):
        pass  # the client did not wait for the end
    finally:
        tasks = [incoming, ended, *outputs]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        _leave(process)


async def _end(process: asyncio.subprocess.Process, outputs: Sequence[asyncio.Future[None]]) -> int:
    """Return the exit code once everything the command wrote has been sent."""
    await asyncio.gather(*outputs)
    return await process.wait()


def _leave(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        left = asyncio.ensure_future(_finish(process))
        _left.add(left)
        left.add_done_callback(_left.discard)


async def _finish(process: asyncio.subprocess.Process) -> None:
    """Let a command whose client has gone run on, as container runtimes do, with no input and no reader."""
    if process.stdin:
        process.stdin.close()
    await asyncio.gather(*(_drain(stream) for stream in (process.stdout, process.stderr) if stream))
    await process.wait()


async def _drain(stream: asyncio.StreamReader) -> None:
    while await stream.read(_CHUNK_BYTES):
        pass


async def _send(socket: WebSocket, channel: int, stream: asyncio.StreamReader) -> None:
    while chunk := await stream.read(_CHUNK_BYTES):
        await socket.send_bytes(bytes([channel]) + chunk)


async def _receive(socket: WebSocket, process: asyncio.subprocess.Process) -> None:
    """Feed stdin until the client disconnects."""
    while (message := await socket.receive())["type"] == "websocket.receive":
        data = message.get("bytes") or (message.get("text") or "").encode()
        if not data or process.stdin is None:
            continue
        if data[0] == _STDIN:
            with contextlib.suppress(ConnectionError):
                process.stdin.write(data[1:])
                await process.stdin.drain()
        elif data[0] == _CLOSE and data[1:2] == bytes([_STDIN]):
            process.stdin.close()


def outcome(exit_code: int) -> Object:
    """Return the Status of the error channel."""
    if exit_code == 0:
        return {"metadata": {}, "status": "Success"}
    # Killed by a signal: what a shell, and so every container runtime, reports.
    code = exit_code if exit_code > 0 else 128 - exit_code
    message = f"command terminated with non-zero exit code: command terminated with exit code {code}"
    details = {"causes": [{"reason": "ExitCode", "message": str(code)}]}
    failure = {"status": "Failure", "message": message, "reason": "NonZeroExitCode", "details": details}
    return {"metadata": {}, **failure}
