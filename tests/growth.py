"""How work grows with its input: sizes are compared in one run, so that a busy machine changes nothing."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

# Work in proportion to its input takes twice the time for twice of it, quadratic work four times.
LINEAR = 3
_ROUNDS, _ATTEMPTS = 3, 3


def cpu_seconds(work: Callable[[], object]) -> float:
    """Return the CPU time of this process that `work` takes: the least of some rounds."""
    rounds = []
    for _ in range(_ROUNDS):
        begin = time.process_time()
        work()
        rounds.append(time.process_time() - begin)
    return min(rounds)


def doubling(work: Callable[[int], object], size: int) -> float:
    """Return how many times the CPU time of `work(size)` the work of twice that size takes.

    `size` has to take some milliseconds at least, or chance decides. What grows faster does so each time, while a
    machine that is busy with others makes it look so now and then: the least of some attempts counts.
    """
    work(size)  # what only the first call does
    ratio = math.inf
    for _ in range(_ATTEMPTS):
        once = cpu_seconds(lambda: work(size))
        ratio = min(ratio, cpu_seconds(lambda: work(2 * size)) / once)
        if ratio < LINEAR:
            break
    return ratio
