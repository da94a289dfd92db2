"""The file format of fileKeyRef (KEP-3721): `NAME='value'`, single quotes only, no escapes, newlines allowed.

A line-for-line equal of ParseEnv in pkg/kubelet/util/env/env_util.go, messages included.

Needed by delivery `agent`, which gives variables so, and by its tests of values that do not fit.
"""

from __future__ import annotations

from collections.abc import Iterator

from airflow_k8s_vault.errors import K8sVaultError

_BLANK = " \t"
# bufio.Scanner's longest line; the kubelet cannot read a longer one.
_LINE_BYTES = 64 * 1024


class EnvFileError(K8sVaultError):
    """The file is not in the format of fileKeyRef."""


def value_of(key: str, content: bytes) -> str:
    """Return the value of `key`, "" where the file does not have it; raise EnvFileError.

    >>> value_of("A", b"A='1' # one")
    '1'
    """
    lines = _lines(content)
    for number, raw in lines:
        line = raw.lstrip(_BLANK)
        if not line or line.startswith("#"):
            continue
        name, value = _assignment(number, line, lines)
        if name == key:
            return value
    return ""


def _lines(content: bytes) -> Iterator[tuple[int, str]]:
    *lines, last = content.split(b"\n")
    for number, line in enumerate([*lines, last] if last else lines, 1):
        if len(line) >= _LINE_BYTES:
            raise EnvFileError("bufio.Scanner: token too long")
        yield number, line.removesuffix(b"\r").decode(errors="surrogateescape")


def _assignment(number: int, line: str, lines: Iterator[tuple[int, str]]) -> tuple[str, str]:
    name, equals, value = line.partition("=")
    if not equals:
        raise _invalid(number, "missing '='")
    if not name.rstrip(_BLANK):
        raise _invalid(number, "empty variable name")
    if name != name.rstrip(_BLANK):
        raise _invalid(number, "whitespace before '=' is not allowed")
    if value != value.lstrip(_BLANK):
        # As a shell has it: A= 'x' leaves A empty.
        return name, ""
    if not value.startswith("'"):
        raise _invalid(number, "value must be enclosed in single quotes")
    return name, _quoted(number, value[1:], lines)


def _quoted(start: int, rest: str, lines: Iterator[tuple[int, str]]) -> str:
    """Read on to the closing quote, over as many lines as it takes."""
    number, value = start, ""
    while "'" not in rest:
        value += rest + "\n"
        try:
            number, rest = next(lines)
        except (StopIteration, EnvFileError):
            raise EnvFileError(
                f"invalid environment variable format starting at line {start}: unclosed single quote"
            ) from None
    last, _, after = rest.partition("'")
    after = after.lstrip(_BLANK)
    if after and not after.startswith("#"):
        raise _invalid(number, "unexpected content after closing quote")
    return value + last


def _invalid(number: int, why: str) -> EnvFileError:
    return EnvFileError(f"invalid environment variable format at line {number}: {why}")
