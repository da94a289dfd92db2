"""What a container image may be called: registry with port, path, tag and digest."""

from __future__ import annotations

# https://github.com/distribution/reference/blob/main/reference.go, ASCII and lower case as it is there.
COMPONENT = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*"
DOMAIN = r"([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:]+\])(:[0-9]{1,5})?"
PATTERN = (
    rf"({DOMAIN}/)?{COMPONENT}(/{COMPONENT})*"
    r"(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(@(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}))?"
)
