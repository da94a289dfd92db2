"""Start a server again and again, each time interrupted one line later; print what is left of them.

python -m tests.devcluster.interrupted FOLDER
"""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from k8s_vault_devcluster import process
from k8s_vault_devcluster.process import ServerProcess

_FILES = (process.__file__, subprocess.__file__)
MARK = "97531"


def start(folder: Path) -> None:
    ServerProcess("sleep", ["sleep", MARK], folder / "log").wait_until(lambda: True)


def interrupted(folder: Path, line: int) -> bool:
    """Start it, with SIGINT at that line of the start; False where it has fewer."""
    left = itertools.count(line, -1)

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        if frame.f_code.co_filename not in _FILES:
            return None
        if event == "line" and next(left) == 0:
            sys.settrace(None)
            signal.raise_signal(signal.SIGINT)
        return trace

    sys.settrace(trace)
    try:
        start(folder)
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(None)
    return False


def main(folder: Path) -> None:
    # A script's shell may have it ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    lines = next(line for line in itertools.count() if not interrupted(folder, line))
    print(lines, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
