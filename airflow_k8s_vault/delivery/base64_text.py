"""Bytes in base64, as `VaultFile(decode="base64")` takes them: alike in both deliveries."""

from __future__ import annotations

import base64
import re

# The standard alphabet with padding, which means the same to Python's re and to Go's regexp.
PATTERN = "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"


def decoded(text: str) -> bytes | None:
    """Return the bytes, None where the text is no base64. Line ends, as `base64` writes them, do not matter.

    >>> decoded("gP8A\\nwyhF"), decoded("gP8"), decoded("gP8_")
    (b'\\x80\\xff\\x00\\xc3(E', None, None)
    """
    joined = text.replace("\r", "").replace("\n", "")
    return base64.b64decode(joined) if re.fullmatch(PATTERN, joined) else None
