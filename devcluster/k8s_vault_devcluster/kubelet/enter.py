"""Run one command inside a container that runs, for pods/exec and exec hooks: a program of its own.

util-linux' `nsenter` is not on every machine and cannot enter the two nested user namespaces that bubblewrap makes
where the container's user has another number. This does, and leaves the command what the container's own process
has: its namespaces, root, environment, folder and user, and no capability.

    python -I -S enter.py FD

FD holds {"pid", "env", "cwd", "command", "why"} as JSON: arguments are public in /proc.

It ends with the command's exit status, 128+n for a signal. Where the command cannot be started, it writes the
reason to the descriptor `why`; where that is closed without a word, the command runs.

Needed by the agent's hook and `kubectl exec`.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import signal
import sys
from typing import Any

_NS_GET_USERNS = 0xB701
_CLONE_NEWUSER = 0x10000000
_PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS, _PR_SET_PDEATHSIG = 24, 38, 1
_LAST_CAPABILITY = 63
_libc = ctypes.CDLL(None, use_errno=True)


def _setns(descriptor: int) -> None:
    if _libc.setns(descriptor, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _enter(pid: int) -> None:
    """Enter all namespaces of a process, its outer user namespace first: only that one owns the others."""
    folder = f"/proc/{pid}/ns"
    opened = {name: os.open(f"{folder}/{name}", os.O_RDONLY) for name in ("mnt", "pid", "ipc", "uts", "user")}
    root = os.open(f"/proc/{pid}/root", os.O_PATH)
    owner = fcntl.ioctl(opened["mnt"], _NS_GET_USERNS)
    own = os.stat(opened["user"]).st_ino
    _setns(owner)
    for name in ("pid", "ipc", "uts", "mnt"):
        _setns(opened[name])
    if os.fstat(owner).st_ino != own:
        _setns(opened["user"])
    os.fchdir(root)
    os.chroot(".")
    for descriptor in (*opened.values(), owner, root):
        os.close(descriptor)


def _drop_capabilities() -> None:
    """With an empty bounding set, exec gives none to any user, user 0 included."""
    _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    for capability in range(_LAST_CAPABILITY + 1):
        _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)


def _execute(task: dict[str, Any]) -> None:
    """Become the command; return only where that fails.

    Nothing may be imported any more: the files are the container's now, and we still have rights in its
    namespaces. That is why os.execvpe, which imports, does not look for the command.
    """
    command, env = task["command"], task["env"]
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    _drop_capabilities()
    name, why = command[0], ""
    folders = [""] if "/" in name else [f"{folder}/" for folder in env.get("PATH", "/usr/bin:/bin").split(":")]
    try:
        os.chdir(str(task["cwd"]))
        for folder in folders:
            try:
                os.execve(folder + name, command, env)  # noqa: S606 - the command is what was asked for
            except PermissionError:
                why = "permission denied"
            except OSError as error:
                why = why or (f"stat {name}: {str(error.strerror).lower()}" if "/" in name else "")
    except OSError as error:
        why = f"chdir to cwd: {str(error.strerror).lower()}"
    message = f'exec: "{name}": {why or "executable file not found in $PATH"}'
    _tell(task, f"unable to start container process: {message}")
    os._exit(127)


def _tell(task: dict[str, Any], why: str) -> None:
    os.write(task["why"], f"OCI runtime exec failed: exec failed: {why}".encode())


def main(descriptor: int) -> int:
    with os.fdopen(descriptor, "rb") as file:
        task = json.load(file)
    # The command must not inherit it: that it is closed by the execution is the message.
    os.set_inheritable(task["why"], False)
    try:
        _enter(task["pid"])
        child = os.fork()
    except OSError as error:
        _tell(task, f"cannot enter the container: {error.strerror}")
        return 126
    if child == 0:
        _execute(task)
    os.close(task["why"])
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda received, _: _pass_on(child, received))
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)


def _pass_on(child: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, number)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
