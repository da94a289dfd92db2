"""Become a command that ends when its owner does, however that ends: a program of its own.

    python -I -S owned.py OWNER_PID SIGNAL COMMAND…

The kernel sends SIGNAL to the command when the thread that started it is gone (PR_SET_PDEATHSIG, which execution
keeps). An owner that was gone before could ask for it no more: then the command never runs.
"""

from __future__ import annotations

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1


def main(owner: str, number: str, *command: str) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
    if os.getppid() == int(owner):
        os.execvp(command[0], command)  # noqa: S606 - the command is the whole point


if __name__ == "__main__":
    main(*sys.argv[1:])
