"""Ctrl-C at any line of `doctor --leases` leaves no token and no password in the frames of its traceback."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Callable
from typing import Any

from k8s_vault_devcluster.demo.environment import Environment

from tests.doctor.world import World
from tests.frames import PACKAGE, Strike, Struck, shown

# `make faults` strikes at each line.
EVERY = int(os.environ.get("K8S_VAULT_TEST_STRIKE_EVERY", "9"))
# Where a token, or what it reads, is in a variable.
HOLDERS = tuple(f"{PACKAGE}/{name}" for name in ("doctor/vault", "doctor/reads"))
# A token of Vault, one of Kubernetes, a password that a database engine made.
SOUGHT = re.compile(r"\bs\.[A-Za-z0-9]{20}|\beyJ[\w-]+\.eyJ|[A-Za-z0-9]{3,}-[A-Za-z0-9]{12,}[A-Z]")


def leaked(error: BaseException, root_token: str) -> list[str]:
    return [text for text in shown(error) if root_token in text or SOUGHT.search(text)]


def struck(work: Callable[[], Any], root_token: str) -> tuple[int, list[tuple[str, str]]]:
    """Do the work again and again, struck at another line each time; return at how many, and what was leaked."""
    strikes, leaks = 0, []
    for number in itertools.count(0, EVERY):
        with Strike(number, lambda name: name.startswith(HOLDERS)) as strike:
            try:
                work()
            except Struck as error:
                strikes += 1
                leaks += [(strike.lines[-1], text) for text in leaked(error, root_token)]
        if len(strike.lines) <= number:
            break
    return strikes, leaks


def test_an_interrupt_at_any_line_of_doctor_leaves_no_credential_in_the_frames(
    world: World, examine: Callable[..., dict[str, Any]], servers: Environment
) -> None:
    strikes, leaks = struck(lambda: examine(dags=str(world.dags), leases=True), servers.vault.token)

    assert leaks == []
    assert strikes > 50 / EVERY
