"""No value in a traceback: what a function raises comes out of it with the frames below it emptied.

Error trackers send the variables of every frame of an exception, and of those that it is chained to. A signal
(`execution_timeout`, a user who ends the task) raises at any line, also where a value is in a variable just then;
and a library's exception may hold what it could not read: JSONDecodeError has the whole document.
"""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, ParamSpec, TypeVar, cast

from airflow_k8s_vault.errors import K8sVaultError

P = ParamSpec("P")
R = TypeVar("R")

_ROOT = Path(__file__).parents[1]


def traceback_guard(
    unexpected: Callable[[str], Exception], passes: tuple[type[Exception], ...] = (K8sVaultError,)
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Return a decorator for the outermost functions, or coroutine functions, of code that handles values.

    What such a function raises keeps the lines of its traceback, without their variables. An exception that is no
    Exception (a timeout, an interrupt, a deferral) stays the one it is, and so do those of a class in `passes`,
    whose words and attributes hold no value; what they are chained to stays where that is one of `passes`. Every
    other exception is replaced by `unexpected(sentence)`; the sentence names its class and place alone.

    The function's own arguments stay in its caller's frames: let them be a SecretValue where they are one.

    >>> @traceback_guard(unexpected=RuntimeError)
    ... def read(answer):
    ...     return answer["token"]
    >>> read({"tok": "hunter2"})  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    RuntimeError: KeyError at <doctest ...>, line 3 (not shown further: it could hold a value).
    """

    def guard(function: Callable[P, R]) -> Callable[P, R]:
        # Each catches twice: where a signal strikes in the inner handler, the exception there is its context.
        @functools.wraps(function)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            error: BaseException | None = None
            try:
                try:
                    return function(*args, **kwargs)
                except BaseException as raised:
                    error = _bare(raised, unexpected, passes)
                raise error
            except BaseException as raised:
                if raised is not error:
                    error = _bare(raised, unexpected, passes)
            # Outside of `except`: the exception is chained to nothing.
            try:
                raise error
            finally:
                del error

        @functools.wraps(function)
        async def guarded_coroutine(*args: P.args, **kwargs: P.kwargs) -> Any:
            error: BaseException | None = None
            try:
                try:
                    return await cast(Any, function(*args, **kwargs))
                except BaseException as raised:
                    error = _bare(raised, unexpected, passes)
                raise error
            except BaseException as raised:
                if raised is not error:
                    error = _bare(raised, unexpected, passes)
            try:
                raise error
            finally:
                del error

        return cast(Callable[P, R], guarded_coroutine) if inspect.iscoroutinefunction(function) else guarded

    return guard


def _bare(
    raised: BaseException, unexpected: Callable[[str], Exception], passes: tuple[type[Exception], ...]
) -> BaseException:
    """Return what to raise instead: the exception itself, or another one, with nothing of a value on it."""
    chain = list(_chain(raised))
    for error in chain:
        if not _cleared(error.__traceback__):
            error.__traceback__ = None
    if isinstance(raised, Exception) and not isinstance(raised, passes):
        return unexpected(f"{type(raised).__name__}{_place(raised)} (not shown further: it could hold a value).")
    for error in chain:
        _empty(error)
        suppressed = error.__suppress_context__
        error.__cause__ = error.__cause__ if isinstance(error.__cause__, passes) else None
        error.__context__ = error.__context__ if isinstance(error.__context__, passes) else None
        error.__suppress_context__ = suppressed
    return raised


def _empty(error: BaseException) -> None:
    """Take what an exception of Python's own could not read off it; what it says of that stays."""
    if isinstance(error, json.JSONDecodeError):
        error.doc = ""
    elif isinstance(error, UnicodeDecodeError | UnicodeEncodeError):
        error.object = type(error.object)()
        error.args = (error.encoding, error.object, error.start, error.end, error.reason)


def _chain(raised: BaseException) -> Iterator[BaseException]:
    """Yield the exception and all that it is chained to or that it groups."""
    seen, left = set(), [raised]
    while left:
        error = left.pop()
        if id(error) in seen:
            continue
        seen.add(id(error))
        yield error
        left += [other for other in (error.__cause__, error.__context__) if other is not None]
        left += error.exceptions if isinstance(error, BaseExceptionGroup) else ()


def _cleared(trace: TracebackType | None) -> bool:
    """Empty the frames of a traceback; whether that could be done with all of them but the guard's own."""
    done = True
    while trace is not None:
        try:
            trace.tb_frame.clear()
        except RuntimeError:
            # Still running. The guard's own is, and has only the function's arguments.
            done &= trace.tb_frame.f_code.co_filename == __file__
        trace = trace.tb_next
    return done


def _place(raised: Exception) -> str:
    """Return " at <file>, line <number>", as far down as code is ours; of a library below it nothing is said."""
    place, trace = "", raised.__traceback__
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        if name != __file__ and (not place or Path(name).is_relative_to(Path(__file__).parent)):
            shown = Path(name).relative_to(_ROOT) if Path(name).is_relative_to(_ROOT) else name
            place = f" at {shown}, line {trace.tb_lineno}"
        trace = trace.tb_next
    return place
