"""Lifecycle hooks, postStart and preStop, with exec and sleep handlers (pkg/kubelet/lifecycle/handlers.go).

Needed by delivery `agent`: its postStart hook holds the main process back until the files are there.
"""

from __future__ import annotations

import asyncio
import contextlib

from airflow_k8s_vault.errors import K8sVaultError
from k8s_vault_devcluster.kubelet.join import ExecFailed, join
from k8s_vault_devcluster.kubelet.sandbox import Sandbox
from k8s_vault_devcluster.store import Object


class HookFailed(K8sVaultError):
    """A hook's command could not run or ended with another status than 0."""


async def run(sandbox: Sandbox, handler: Object) -> None:
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
