"""The memory limit of a container: what its processes hold, looked at five times a second.

A cgroup would kill at once; making one needs rights that an ordinary user of this machine has not. RLIMIT_AS and
RLIMIT_DATA are no stand-ins: Go programs (the Vault agent) map far more than they use.
Kinder than a cluster in three ways: what is taken and given back within a fifth of a second is not seen, and
neither what exec'd commands hold nor files in memory (emptyDir) are counted.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

from k8s_vault_devcluster.api import quantity
from k8s_vault_devcluster.store import Object

_PERIOD_SECONDS = 0.2
_ANONYMOUS = re.compile(r"^RssAnon:\s+(\d+) kB$", re.MULTILINE)


def limit_bytes(container: Object) -> int | None:
    """Return `resources.limits.memory` in bytes; None where there is no limit."""
    limit = ((container.get("resources") or {}).get("limits") or {}).get("memory")
    amount = None if limit is None else quantity.parse(limit)
    return None if amount is None else int(amount)


async def exceeded(pid: int, limit: int) -> None:
    """Return once the processes of the container with this PID 1 hold more than `limit` bytes; never otherwise."""
    while used_bytes(pid) <= limit:  # noqa: ASYNC110 - /proc tells only who asks
        await asyncio.sleep(_PERIOD_SECONDS)


def used_bytes(pid: int) -> int:
    """Return the bytes of a process and all its descendants that are theirs alone and in memory."""
    return sum(_own_bytes(member) for member in _tree(pid))


def largest(pid: int) -> int:
    """Return the one of them that holds most, which the kernel kills first."""
    return max(_tree(pid), key=_own_bytes)


def _own_bytes(pid: int) -> int:
    try:
        match = _ANONYMOUS.search(Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0  # it has ended
    return int(match[1]) * 1024 if match else 0


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
