"""One case: a task with secrets, what happens to it, and what has to be true when it is over."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from k8s_vault_devcluster.openbao import VaultAdmin

from tests.faults.fault_environment import FaultEnvironment
from tests.faults.row import Row
from tests.faults.worker import Process, WatchedOperator, resume, run, trigger

# What a case does with an operator; it returns how the task ended.
Script = Callable[[FaultEnvironment, WatchedOperator], tuple[str, Any]]


@dataclass(frozen=True)
class Case:
    """`script` runs the task. ends: what its outcome has to hold, "" for success.

    pods, logins, leases: how many there have to be over all tries; None: not counted (a fault made more).
    ran: whether the main process has to have run; None: either. within_seconds: until when no more is left than
    `leaves` says, which is something only where the docs say so. only_devcluster, only_own_vault: why a cluster in
    KUBECONFIG, or a Vault in VAULT_ADDR, cannot run it.
    """

    name: str
    delivery: str
    script: Script
    mode: str = "sync"
    ends: str = ""
    pods: int | None = 1
    logins: int | None = 1
    leases: int | None = 1
    ran: bool | None = True
    # Less than any TTL but those that a case makes short.
    within_seconds: float = 60
    leaves: str = "nothing"
    slow: bool = False
    only_devcluster: str = ""
    only_own_vault: str = ""
    operator: dict[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return f"{self.name}, {self.delivery}, {self.mode}"

    @property
    def skipped(self) -> str:
        """Why it cannot run here; empty where it can."""
        foreign_cluster, foreign_vault = "KUBECONFIG" in os.environ, VaultAdmin.from_environment() is not None
        return (foreign_cluster and self.only_devcluster) or (foreign_vault and self.only_own_vault) or ""

    def run(self, environment: FaultEnvironment) -> Row:
        """Do it; the row says what was wrong."""
        if self.skipped:
            return Row(self.name, self.delivery, self.mode, f"not run: {self.skipped}", 0, 0, 0, "", 0)
        environment.begin()
        settings = {"delivery": self.delivery, "deferrable": self.mode == "deferrable", **self.operator}
        operator = environment.operator(**settings)
        try:
            state, message = self.script(environment, operator)
            traces = environment.traces(self.within_seconds, self.leaves)
            row = Row(
                self.name,
                self.delivery,
                self.mode,
                _short(state, message),
                len(environment.pods_of(operator)),
                environment.logins(),
                environment.leases(),
                str(traces),
                traces.waited_seconds,
            )
            row.errors = [*self._errors(row, f"{state} {message}"), *self._ran(environment.started(operator))]
            return row
        finally:
            environment.vault.reset()
            environment.kube.reset()
            environment.clean()

    def _errors(self, row: Row, ended: str) -> list[str]:
        errors = [] if row.left == self.leaves else [f"left after {self.within_seconds:g} s: {row.left}"]
        if self.ends not in ended or (not self.ends and not ended.startswith("ok")):
            errors.append(f"ended as {ended!r}")
        for what in ("pods", "logins", "leases"):
            expected, counted = getattr(self, what), getattr(row, what)
            if expected is not None and counted != expected:
                errors.append(f"{counted} {what}, not {expected}")
        return errors

    def _ran(self, started: bool) -> list[str]:
        if self.ran is None or self.ran == started:
            return []
        return ["the main process ran" if started else "the main process never ran"]


def finish(operator: WatchedOperator, process: Process, try_number: int = 1) -> tuple[str, Any]:
    """Return how the task ended: the worker's outcome, or, deferred, what came of trigger and re-entry."""
    state, message = process.outcome()
    if state != "ok" or not operator.deferrable:
        return state, message
    return after(operator, trigger(message), try_number)


def after(operator: WatchedOperator, watching: Process, try_number: int = 1) -> tuple[str, Any]:
    """Return how a deferred task ended; where its trigger gave up early the task is deferred again."""
    while True:
        state, message = watching.outcome()
        if state == "ok":
            state, message = resume(operator, message, try_number).outcome()
        if state != "ok" or not isinstance(message, tuple):
            return state, message
        watching = trigger(message)


def whole(environment: FaultEnvironment, operator: WatchedOperator) -> tuple[str, Any]:
    """Run the task to its end."""
    return finish(operator, run(operator))


def _short(state: str, reason: Any) -> str:
    if state == "ok":
        return "succeeds"
    text = str(reason).splitlines()[0] if state == "failed" else f"killed by signal {reason}"
    return text if len(text) <= 110 else f"{text[:107]}…"
