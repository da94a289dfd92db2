"""What an error tracker sends of an exception, and a strike at any line, as a signal's handler makes it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

PACKAGE = str(Path(__file__).parents[1] / "airflow_k8s_vault")


class Struck(BaseException):
    """Airflow's timeout is no Exception either."""


def shown(error: BaseException) -> Iterator[str]:
    """Yield all that a tracker could send: words, attributes and frames, of all exceptions in the chain."""
    seen, left = set[int](), [error]
    while left:
        one = left.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield f"{one!r} {one.args!r} {vars(one)!r}"
        # Not in __dict__: what a class of C code has read and could not make sense of.
        yield from (repr(getattr(one, name, "")) for name in ("doc", "object"))
        trace = one.__traceback__
        while trace is not None:
            # The test's own frames may know what they look for.
            if "/tests/" not in trace.tb_frame.f_code.co_filename:
                yield f"{trace.tb_frame.f_code.co_qualname}: {trace.tb_frame.f_locals!r}"
            trace = trace.tb_next
        left += [other for other in (one.__cause__, one.__context__) if other is not None]
        left += one.exceptions if isinstance(one, BaseExceptionGroup) else ()


class Strike:
    """Within `with`, raises Struck at the `number`th line (from 0, None: at none) of files that `within` takes.

    lines: the lines that ran, as "file:number", each once, in order. unguarded: those that ran outside of every
    function that traceback_guard made.
    """

    def __init__(
        self, number: int | None, within: Callable[[str], bool] = lambda name: name.startswith(PACKAGE)
    ) -> None:
        self.lines: list[str] = []
        self.unguarded: list[str] = []
        self._seen = set[str]()
        self._number, self._within = number, within

    def __enter__(self) -> Strike:
        self._before = sys.gettrace()
        sys.settrace(self._call)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._before)

    def _call(self, frame: FrameType, event: str, argument: Any) -> Any:
        return self._line if self._within(frame.f_code.co_filename) else None

    def _line(self, frame: FrameType, event: str, argument: Any) -> Any:
        line = f"{frame.f_code.co_filename}:{frame.f_lineno}"
        if event == "line" and line not in self._seen:
            self._seen.add(line)
            self.lines.append(line)
            if not _is_below_a_guard(frame):
                self.unguarded.append(line)
            if len(self.lines) - 1 == self._number:
                # One strike: raising ends the tracing.
                raise Struck(line.removeprefix(PACKAGE))
        return self._line


def _is_below_a_guard(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_name.startswith("guarded"):
            return True
        frame = frame.f_back
    return False
