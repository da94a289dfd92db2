"""What must not survive a fork: connections, locks that another thread held, values the child did not ask for."""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet


class ForkAware(Protocol):
    def after_fork(self) -> None:
        """Called in the child, where only the forking thread lives on. Must not block."""


_living: WeakSet[ForkAware] = WeakSet()


def reset_in_children(thing: ForkAware) -> None:
    """Have `thing.after_fork()` called in every child that this process forks, as long as `thing` lives."""
    _living.add(thing)


def _reset_all() -> None:
    for thing in list(_living):
        thing.after_fork()


os.register_at_fork(after_in_child=_reset_all)
