"""A server is owned before it exists: whatever ends its owner, and when, it ends too."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.devcluster import interrupted
from tests.faults.worker import wait_until

STARTS = """\
import signal, sys, time
from pathlib import Path
from k8s_vault_devcluster.openbao import OpenBao
server = OpenBao(Path(sys.argv[1]))
# What a shell starts in the background ignores it.
signal.signal(signal.SIGINT, signal.default_int_handler)
print(server.pid, flush=True)
time.sleep(60)
"""


def running(mark: str) -> list[str]:
    """Return the command lines of this machine's processes that hold `mark`."""
    matches = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            matches.append(path.read_text().replace("\0", " "))
    return [line for line in matches if mark in line]


def test_an_interrupt_at_any_line_of_a_start_leaves_no_server_behind(tmp_path: Path) -> None:
    command = [sys.executable, "-m", interrupted.__name__, str(tmp_path)]

    lines = int(subprocess.run(command, capture_output=True, check=True, text=True).stdout)

    assert lines > 100
    assert [line for line in running(interrupted.MARK) if "sleep" in line] == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_server_ends_with_its_owner(tmp_path: Path, number: signal.Signals) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", STARTS, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert owner.stdout
    assert Path(f"/proc/{int(owner.stdout.readline())}").exists()

    owner.send_signal(number)
    owner.wait()

    wait_until(lambda: not running(str(tmp_path)))
