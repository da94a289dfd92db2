"""A file that its owner alone can read, from its first byte on, whatever stood at its path before."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def write(path: Path, text: str) -> None:
    """Write the file in one step: who finds it finds all of it."""
    # Never a file, or a link, that somebody else has put there.
    descriptor, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    os.replace(draft, path)
