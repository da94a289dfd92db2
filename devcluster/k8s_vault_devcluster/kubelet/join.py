"""Start a command in a container that runs: pods/exec, and lifecycle hooks (pkg/kubelet/lifecycle/handlers.go).

Needed by delivery `agent`, whose postStart hook holds the main process back, and `kubectl exec`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import uuid
from collections.abc import Sequence

from airflow_k8s_vault.errors import K8sVaultError
from k8s_vault_devcluster.kubelet import enter
from k8s_vault_devcluster.kubelet.sandbox import CHILD, Sandbox, memory_file
from k8s_vault_devcluster.store import Object


class ExecFailed(K8sVaultError):
    """The command could not be started; worded as containerd and runc word it."""


class HookFailed(K8sVaultError):
    """A hook's command could not run or ended with another status than 0."""


async def join(sandbox: Sandbox, command: Sequence[str], *, stdin: bool = False) -> asyncio.subprocess.Process:
    """Return the command as a process whose output is on pipes, once it has been executed; raise ExecFailed."""
    why_read, why_write = os.pipe()
    spec = sandbox.spec
    task = {
        "pid": sandbox.pid,
        "env": spec.env,
        "cwd": spec.working_dir,
        "command": list(command),
        "why": why_write,
    }
    try:
        with memory_file(json.dumps(task).encode()) as descriptor:
            process = await asyncio.create_subprocess_exec(
                *[sys.executable, "-I", "-S", enter.__file__, str(descriptor)],
                stdin=asyncio.subprocess.PIPE if stdin else asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                pass_fds=[descriptor, why_write],
                **CHILD,
            )
    finally:
        os.close(why_write)
    try:
        why = await _all(why_read)
    except asyncio.CancelledError:
        process.kill()
        raise
    if not why:
        return process
    await process.communicate()
    name = f"{uuid.uuid4().hex}{uuid.uuid4().hex}"
    raise ExecFailed(f'failed to exec in container: failed to start exec "{name}": {why}')


async def _all(descriptor: int) -> str:
    """Read a pipe to its end, which comes when the last that holds it has executed a command or ended."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, "rb")
    )
    try:
        return (await reader.read()).decode(errors="replace")
    finally:
        transport.close()


async def run_hook(sandbox: Sandbox, handler: Object) -> None:
    """Run one handler to its end; raise HookFailed. Cancelled, it takes its command with it."""
    if handler.get("sleep"):
        await asyncio.sleep(handler["sleep"]["seconds"])
        return
    command = handler["exec"]["command"]
    try:
        process = await join(sandbox, command)
    except ExecFailed as error:
        raise HookFailed(str(error)) from error
    try:
        out, err = await process.communicate()
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
    if process.returncode:
        message = (out + err).decode(errors="replace")
        raise HookFailed(f"command '{' '.join(command)}' exited with {process.returncode}: {message}")
