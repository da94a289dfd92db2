"""Patterns of variables, as JSON Schema means them, in time that is linear in the text whatever the pattern.

Python's own `re` takes a newline after `$`, digits of all scripts for `\\d`, and hours for `(a+)+$`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

# Characters. RE2 takes its time to compile a longer one.
_LONGEST = 1_000


def check(_: Any, pattern: str, value: Any, schema: Any) -> Iterator[Any]:
    """Yield jsonschema's error where the value is text in which the pattern is not."""
    if isinstance(value, str) and not _is_in(pattern, value):
        import jsonschema

        yield jsonschema.ValidationError(f"{value!r} does not match {pattern!r}")


def _is_in(pattern: str, text: str) -> bool:
    try:
        return _compiled(pattern).search(text) is not None
    except UnicodeEncodeError:
        # Half a character: no text that YAML or JSON can carry.
        return False


def mistake(pattern: object) -> str | None:
    """Return what is wrong with a pattern, None where it is one.

    >>> mistake("^[a-z]+$"), mistake("(?=a)b")
    (None, "RE2 does not take it: invalid perl operator: (?=.")
    """
    import re2

    if len(str(pattern)) > _LONGEST:
        return f"it is longer than {_LONGEST:,} characters."
    try:
        _compiled(str(pattern))
    except re2.error as error:
        message = error.args[0] if error.args else error
        return f"RE2 does not take it: {message.decode() if isinstance(message, bytes) else message}."
    return None


def is_anchored(pattern: str) -> bool:
    """Return whether a pattern describes the whole text: JSON Schema looks for it anywhere in there.

    >>> is_anchored("^[a-z]+$"), is_anchored("[a-z]+"), is_anchored("^a|b$")
    (True, False, False)
    """
    starts = pattern.startswith(("^", r"\A")) and pattern.endswith(("$", r"\z")) and not pattern.endswith(r"\$")
    # An alternative at the top has one anchor alone.
    return starts and not any(part == "|" for part in _at_the_top(pattern))


def _at_the_top(pattern: str) -> Iterator[str]:
    depth, in_class, escaped = 0, False, False
    for character in pattern:
        if escaped:
            escaped = False
        elif character == "\\":
            escaped = True
        elif in_class:
            in_class = character != "]"
        elif character == "[":
            in_class = True
        elif character in "()":
            depth += 1 if character == "(" else -1
        elif depth == 0:
            yield character


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> Any:
    # Imported on first use: most templates have none.
    import re2

    options = re2.Options()
    options.log_errors = False
    return re2.compile(pattern, options=options)
