"""A descriptor of an anonymous file: unlike an argument, no other user can read it in /proc."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator


@contextlib.contextmanager
def memory_file(content: bytes) -> Iterator[int]:
    """Hold a file with this content open, at its beginning."""
    descriptor = os.memfd_create("devcluster")
    try:
        os.write(descriptor, content)
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)
