"""What leaves a guarded function has no value in its frames, whatever was raised, and wherever it was."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from airflow_k8s_vault.errors import DeliveryUnavailable, VaultRefused
from airflow_k8s_vault.traceback_guard import traceback_guard
from tests.frames import Strike, Struck, shown

VALUE = "hunter2-" + "x" * 16
# A module of its own, as code of the package is: frames of tests are not looked at.
CODE = """
import contextlib, json

def reads(answer):
    password = "".join(answer)
    return sum(len(part) for part in generated(password))

def generated(text):
    for part in (text, text):
        yield part

@contextlib.contextmanager
def holding(text):
    held = text
    try:
        yield held
    finally:
        del text

def chained(answer):
    text = "".join(answer)
    try:
        json.loads(text)
    except ValueError as error:
        raise ValueError(text) from error

def in_a_context(answer):
    with holding("".join(answer)) as text:
        try:
            raise KeyError(text)
        except KeyError:
            raise refused("Vault said no")

def grouped(answer):
    raise ExceptionGroup("several", [ValueError(answer), KeyError("".join(answer))])

def caused(answer):
    try:
        raise refused("the first")
    except Exception as error:
        kept = "".join(answer)
        raise refused("the second") from error

def timed_out(answer):
    try:
        json.loads("".join(answer))
    except ValueError:
        text = "".join(answer)
        raise KeyboardInterrupt

async def waits(answer):
    text = "".join(answer)
    await sleep(30)
"""
made: dict[str, Any] = {"refused": VaultRefused, "sleep": asyncio.sleep}
exec(compile(CODE, "/elsewhere/code.py", "exec"), made)
guard = traceback_guard(unexpected=DeliveryUnavailable)


def raised_by(call: Callable[[], Any]) -> BaseException | None:
    try:
        call()
    except BaseException as error:
        return error
    return None


@pytest.mark.parametrize("name", ["chained", "in_a_context", "grouped", "caused", "timed_out"])
def test_no_value_is_in_what_is_raised(name: str) -> None:
    error = raised_by(lambda: guard(made[name])(list(VALUE)))
    unguarded = raised_by(lambda: made[name](list(VALUE)))

    assert error is not None
    assert [text for text in shown(error) if VALUE in text] == []
    assert unguarded is not None
    assert [text for text in shown(unguarded) if VALUE in text] != []


def test_an_interrupt_stays_what_it_is() -> None:
    error = raised_by(lambda: guard(made["timed_out"])(list(VALUE)))

    assert type(error) is KeyboardInterrupt


def test_our_own_errors_keep_their_words_and_their_cause() -> None:
    error = raised_by(lambda: guard(made["caused"])(list(VALUE)))

    assert type(error) is VaultRefused
    assert ("the second", "the first") == (str(error), str(error.__cause__))


def test_another_exception_is_named_by_its_class_and_its_place_alone() -> None:
    error = raised_by(lambda: guard(made["chained"])(list(VALUE)))

    assert type(error) is DeliveryUnavailable
    assert str(error) == "ValueError at /elsewhere/code.py, line 25 (not shown further: it could hold a value)."


@pytest.mark.parametrize("name", ["reads", "chained", "in_a_context", "caused", "timed_out"])
def test_a_strike_at_any_line_of_function_and_guard_leaves_no_value(name: str) -> None:
    def within(file: str) -> bool:
        return file == "/elsewhere/code.py" or file.endswith("k8s_vault/traceback_guard.py")

    guarded, number, struck, result = guard(made[name]), 0, 0, []
    while True:
        with Strike(number, within) as strike:
            error = raised_by(lambda: guarded(list(VALUE)))
        if len(strike.lines) <= number:
            break
        struck += isinstance(error, Struck)
        result += [(strike.lines[-1], text) for text in shown(error) if VALUE in text] if error else []
        number += 1

    assert result == []
    assert struck >= 4, strike.lines


def test_a_coroutine_that_is_cancelled_leaves_no_value() -> None:
    async def cancelled() -> BaseException | None:
        task = asyncio.ensure_future(guard(made["waits"])(list(VALUE)))
        await asyncio.sleep(0)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError as error:
            return error
        return None

    error = asyncio.run(cancelled())

    assert error is not None
    assert [text for text in shown(error) if VALUE in text] == []


def test_what_a_guarded_function_returns_is_returned() -> None:
    assert guard(json.loads)("[1]") == [1]
