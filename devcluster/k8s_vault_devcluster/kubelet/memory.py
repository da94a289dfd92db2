"""The memory limit of a container: what its processes hold, looked at five times a second.

A cgroup would kill at once; making one needs rights that an ordinary user of this machine has not. RLIMIT_AS and
RLIMIT_DATA are no stand-ins: Go programs (the Vault agent) map far more than they use.
Kinder than a cluster in three ways: what several processes take together and give back within a fifth of a second
is not seen (what one takes is: Linux notes its peak), and neither what exec'd commands hold nor files in memory
(emptyDir) are counted.

Needed by the fault tests: an agent that is out of memory.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

from airflow_k8s_vault import quantity
from k8s_vault_devcluster.store import Object

_PERIOD_SECONDS = 0.2
_KILOBYTES = re.compile(r"^(VmHWM|RssAnon|RssFile|RssShmem):\s+(\d+) kB$", re.MULTILINE)


def limit_bytes(container: Object) -> int | None:
    """Return `resources.limits.memory` in bytes; None where there is no limit."""
    limit = ((container.get("resources") or {}).get("limits") or {}).get("memory")
    amount = None if limit is None else quantity.parse(limit)
    return None if amount is None else int(amount)


async def exceeded(pid: int, limit: int) -> int:
    """Return once the processes of the container with this PID 1 hold more than `limit` bytes; never otherwise.

    What it returns is the process that held most at one time, which the kernel would kill first.
    """
    while True:
        members = {member: _own_bytes(member) for member in _tree(pid)}
        largest = max(members, key=lambda member: members[member][1])
        if members[largest][1] > limit or sum(now for now, _ in members.values()) > limit:
            return largest
        await asyncio.sleep(_PERIOD_SECONDS)


def _own_bytes(pid: int) -> tuple[int, int]:
    """Return the bytes in memory that are a process's alone: now, and at most so far."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0, 0  # it has ended
    size = {name: int(kilobytes) * 1024 for name, kilobytes in _KILOBYTES.findall(status)}
    now = size.get("RssAnon", 0)
    # The peak is of all its pages: those of files, which are shared and can be given back, are taken off.
    return now, max(now, size.get("VmHWM", 0) - size.get("RssFile", 0) - size.get("RssShmem", 0))


def _tree(pid: int) -> Iterator[int]:
    """PID 1 of a namespace adopts its orphans, so that this is everything that the container started."""
    yield pid
    for thread in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = thread.read_text().split()
        except OSError:
            continue
        for child in children:
            yield from _tree(int(child))
