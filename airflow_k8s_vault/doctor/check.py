"""A check, what came out of it, and the walk through all of them. Plain data: it knows no cluster and no Vault."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Literal

from airflow_k8s_vault.causes import BY_CODE, CATEGORIES, Cause
from airflow_k8s_vault.errors import DeliveryUnavailable, K8sVaultError, VaultUnavailable

Result = Literal["success", "warning", "error", "unknown", "skipped"]
# Between two tries with `wait_seconds`.
_PAUSE_SECONDS = 1.0


@dataclass(frozen=True)
class Outcome:
    """What came out of a check. `message`: what was tried and found; `facts` fill the `{…}` of the hint."""

    result: Result
    message: str = ""
    facts: dict[str, str] = field(default_factory=dict)
    may_come_up: bool = False

    @classmethod
    def of(cls, errors: Sequence[str], *, warning: bool = False, **facts: str) -> Outcome:
        """Return success where there are no errors, and otherwise all of them."""
        if not errors:
            return cls("success")
        return cls("warning" if warning else "error", "\n".join(errors), facts)


@dataclass(frozen=True)
class Check:
    """One check. `about` tells it from others of its code (a team, a template); `after` names codes whose failure,
    for the same team or for none, makes this one meaningless."""

    code: str
    run: Callable[[], Outcome]
    about: str = ""
    team: str = ""
    after: tuple[str, ...] = ()

    @property
    def cause(self) -> Cause:
        return BY_CODE[self.code]


@dataclass(frozen=True)
class Done:
    """A check and its outcome."""

    check: Check
    outcome: Outcome

    @property
    def description(self) -> str:
        about = f" ({self.check.about})" if self.check.about else ""
        return self.check.cause.description + about

    @property
    def hint(self) -> str:
        """Return what to do; empty where all is well."""
        if self.outcome.result not in ("warning", "error"):
            return ""
        return self.check.cause.hint.format_map(
            {"team": self.check.team, "mount": "…", "fixed": "…"} | self.outcome.facts
        )

    def row(self) -> dict[str, Any]:
        """Return the check as `--output json` shows it."""
        return {
            "code": self.check.code,
            "description": self.description,
            "result": self.outcome.result,
            "error": self.outcome.message,
            "hint": self.hint,
        }


@dataclass(frozen=True)
class Report:
    """All checks that were walked."""

    done: list[Done]

    @property
    def success(self) -> bool:
        return all(item.outcome.result != "error" for item in self.done)

    def categories(self) -> Iterator[tuple[str, list[Done]]]:
        """Yield each category's title and checks, in order; those without checks are left out."""
        for category, title in CATEGORIES.items():
            checks = [item for item in self.done if item.check.cause.category == category]
            if checks:
                yield title, checks

    def document(self) -> dict[str, Any]:
        """Return the report for a program."""
        categories = [
            {"name": title, "checks": [item.row() for item in checks]} for title, checks in self.categories()
        ]
        return {"success": self.success, "categories": categories}


def run(
    checks: Iterable[Check],
    tell: Callable[[Done], None],
    wait_seconds: float = 0,
    while_waiting: Callable[[Check], AbstractContextManager[Any]] = lambda check: nullcontext(),
) -> Report:
    """Walk the checks in order and tell of each; what an earlier failure makes meaningless is skipped.

    wait_seconds: how long, in all, something that may still come up is looked at again. while_waiting: entered
    while a check is looked at again.
    """
    done: list[Done] = []
    deadline = time.monotonic() + wait_seconds
    for check in checks:
        if before := _failed_before(check, done):
            outcome = Outcome("skipped", f"not run: see {before.code}")
        elif (outcome := _tried(check)).may_come_up and _time_left(deadline):
            with while_waiting(check):
                outcome = _tried_again(check, outcome, deadline)
        done.append(Done(check, outcome))
        tell(done[-1])
    return Report(done)


def _failed_before(check: Check, done: list[Done]) -> Check | None:
    for item in done:
        meaningless = item.outcome.result in ("error", "skipped") and item.check.code in check.after
        if meaningless and item.check.team in ("", check.team):
            return item.check
    return None


def _time_left(deadline: float) -> bool:
    return time.monotonic() + _PAUSE_SECONDS <= deadline


def _tried_again(check: Check, outcome: Outcome, deadline: float) -> Outcome:
    while outcome.may_come_up and _time_left(deadline):
        time.sleep(_PAUSE_SECONDS)
        outcome = _tried(check)
    return outcome


def _tried(check: Check) -> Outcome:
    try:
        return check.run()
    except K8sVaultError as error:
        passing = isinstance(error, DeliveryUnavailable | VaultUnavailable)
        return Outcome("error", str(error), may_come_up=passing)
    except Exception as error:
        # Its text may hold an answer of Vault: the kind has to do.
        return Outcome("unknown", f"the check itself failed ({type(error).__name__})")
