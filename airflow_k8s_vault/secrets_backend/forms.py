"""The forms in which a task, a hook or a log would print a value or a part of it: each is masked.

A log shows a value line by line, as a field of JSON, as a Python repr, percent-encoded in a URI, quoted for a
shell or as base64 in a header. What the value is made of (JSON, a URI, assignments, lines) is printed in parts,
too.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import shlex
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlsplit

# Masked everywhere they would make logs useless, and as values they are no secret. Airflow itself masks nothing
# shorter than [logging] min_length_masked_secret.
# fmt: off
COMMON = frozenset({
    "true", "false", "none", "null", "default", "require", "required", "prefer", "allow", "disable", "disabled",
    "enable", "enabled", "verify-ca", "verify-full", "localhost", "127.0.0.1", "http", "https", "postgres",
    "postgresql", "mysql", "sqlite", "utf-8", "latin-1", "production", "staging", "development", "public",
    "private", "airflow", "anonymous",
})
# What an assignment to such a name holds is no secret: Airflow shows these of a connection, too.
_PLAIN_NAMES = frozenset({
    "host", "hostname", "server", "port", "user", "username", "uid", "userid", "login", "dbname", "database",
    "initialcatalog", "schema", "driver", "sslmode", "region", "type", "conntype",
})
# fmt: on
_BOUNDARY = re.compile(r"-----(BEGIN|END) [A-Z0-9 ]+-----")
_ASSIGNMENT = re.compile(r"""(?:export\s+|-\s+)?["']?([\w .-]{1,64}?)["']?\s*[=:]\s*(?!//)(\S.*)""")
_PAIR = re.compile(r"""(?:^|[;\s])\s*([\w .-]{1,64}?)=("[^"]*"|'[^']*'|[^;\s]+)""")
_ELEMENT = re.compile(r">([^<>]+)<")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{12,}={0,2}")
_DEEPEST = 6
# A number is a part of its own from so many characters on: ports, years and counts are shorter.
_LONG_NUMBER = 8
# Shorter lines without a digit are words like COMMIT.
_LONG_LINE = 8
# Longer texts are masked as they are, and in their parts.
_LONGEST_ENCODED = 16_384
MOST = 10_000


def of_value(text: str) -> list[str]:
    """Return the forms of a variable or config value, the whole first.

    >>> of_value('{"user": "loader", "keys": ["key-one"]}')[0]
    '{"user": "loader", "keys": ["key-one"]}'
    >>> {"loader", "key-one"} <= set(of_value('{"user": "loader", "keys": ["key-one"]}'))
    True
    """
    return _distinct([*_spelled(text), *_base64_of(text), *_of_parts(text)])


def of_connection(text: str) -> list[str]:
    """Return the forms of a connection's whole text, of its password, and of everything in its extra.

    Host, login, schema and type are left readable: Airflow shows them in its UI, and "postgres" masked everywhere
    makes a log useless.

    >>> [form for form in of_connection("postgres://me:pass%20word@db/x") if len(form) < 12]
    ['pass word', 'pass%20word', 'pass+word']
    """
    fields = _json_of(text)
    parts: list[str] = []
    if isinstance(fields, dict):
        login, password, extra = (fields.get(name) for name in ("login", "password", "extra"))
        parts += _of_json(extra)
        for uri in (fields.get("uri"), fields.get("host")):
            parts += _of_uri(uri) if isinstance(uri, str) else []
    else:
        login, password = _login_of(text)
        parts += _of_uri(text)
    own = [*_spelled(password), *_base64_of(password)] if isinstance(password, str) else []
    if own and isinstance(login, str):
        # The header of HTTP's basic authentication.
        own += _base64_of(f"{login}:{password}")
    # The password first, and whatever it is.
    return _distinct([*_spelled(text), *parts], own)


def _distinct(forms: Iterable[str], always: Iterable[str] = ()) -> list[str]:
    """Return each form once, but for those that are nobody's secret."""
    kept = dict.fromkeys(form for form in always if form)
    for form in forms:
        if len(kept) >= MOST:
            break
        if form and form.lower() not in COMMON:
            kept[form] = None
    return list(kept)


def _spelled(text: str) -> Iterator[str]:
    """Yield a text as it is, and as JSON, Python, a URI or a shell would write it."""
    yield text
    yield text.strip()
    if len(text) > _LONGEST_ENCODED:
        return
    spelled = json.dumps(text)[1:-1]
    yield spelled
    yield json.dumps(text, ensure_ascii=False)[1:-1]
    yield repr(text)[1:-1]
    # JSON within JSON, as an extra in the text of its connection is.
    yield json.dumps(spelled)[1:-1]
    yield quote(text, safe="")
    yield quote(text)
    yield quote_plus(text)
    yield quote_plus(spelled)
    if "'" in text:
        yield shlex.quote(text)[1:-1]
        yield text.replace("'", r"'\''")


def _base64_of(text: str) -> Iterator[str]:
    if len(text) <= _LONGEST_ENCODED:
        raw = text.encode(errors="surrogatepass")
        # Its padding may be cut off.
        yield base64.b64encode(raw).decode().rstrip("=")
        yield base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _of_parts(text: str, depth: int = 0) -> Iterator[str]:
    """Yield the forms of what a text is made of."""
    if depth >= _DEEPEST:
        return
    found = _json_of(text)
    if found is not None:
        yield from _of_json(found, depth)
        return
    for part in _parts(text):
        yield from _spelled(part)
        yield from _of_parts(part, depth + 1)
    if _URI.match(text):
        yield from _of_uri(text, depth)


def _of_json(value: Any, depth: int = 0) -> Iterator[str]:
    for string in _strings(value):
        yield from _spelled(string)
        yield from _of_parts(string, depth + 1)


def _parts(text: str) -> Iterator[str]:
    lines = [line.strip() for line in text.splitlines()]
    if len(lines) > 1:
        yield from _lines(lines)
        if text.lstrip().startswith("<"):
            yield from (part.strip() for part in _ELEMENT.findall(text))
        return
    yield from _assigned(text)
    yield from _decoded(text)


def _lines(lines: list[str]) -> Iterator[str]:
    """Airflow's supervisor cuts what a task prints at its line ends before it masks it."""
    body: list[str] = []
    for line in lines:
        if _BOUNDARY.fullmatch(line):
            # The key on one line, as some drivers want it.
            yield "".join(body)
            body = []
        else:
            body.append(line)
            if len(line) >= _LONG_LINE or any(character.isdigit() for character in line):
                yield line


def _assigned(line: str) -> Iterator[str]:
    """Yield what follows the names in `name=value`, `name: value` and `one=1;two=2`."""
    if _URI.match(line):
        return
    found = _PAIR.findall(line)
    if len(found) < 2:
        whole = _ASSIGNMENT.fullmatch(line.strip())
        found = [whole.groups()] if whole else []
    for name, value in found:
        if re.sub(r"[^a-z]", "", name.lower()) not in _PLAIN_NAMES:
            yield value.strip().rstrip(",").strip("\"'")


def _decoded(text: str) -> Iterator[str]:
    """Yield what a text is the percent-encoding or the base64 of."""
    if "%" in text and unquote(text) != text:
        yield unquote(text)
    if not _BASE64.fullmatch(text) or len(text) > _LONGEST_ENCODED:
        return
    try:
        padded = text.translate(str.maketrans("-_", "+/")) + "=" * (-len(text) % 4)
        decoded = base64.b64decode(padded, validate=True).decode()
    except (binascii.Error, ValueError):
        return
    if all(character.isprintable() or character in "\r\n\t" for character in decoded):
        yield decoded


def _of_uri(uri: str, depth: int = 0) -> Iterator[str]:
    """Yield the forms of a URI's password and of what its query holds."""
    _, password = _login_of(uri)
    yield from _spelled(password)
    try:
        query = parse_qsl(urlsplit(uri).query)
    except ValueError:
        return
    for _, value in query:
        yield from _spelled(value)
        yield from _of_parts(value, depth + 1)


def _login_of(uri: str) -> tuple[str, str]:
    try:
        parts = urlsplit(uri)
    except ValueError:
        return "", ""
    return unquote(parts.username or ""), unquote(parts.password or "")


def _json_of(text: str) -> Any:
    """Return what the text holds as JSON, None where it is no JSON object, list or string."""
    if not text.lstrip().startswith(("{", "[", '"')):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _strings(value: Any) -> Iterator[str]:
    """Yield each string, and each long number, that is anywhere in JSON."""
    left = [value]
    while left:
        part = left.pop()
        if isinstance(part, str):
            yield part
        elif isinstance(part, dict):
            left.extend(reversed(list(part.values())))
        elif isinstance(part, list):
            left.extend(reversed(part))
        elif type(part) in (int, float) and len(str(part)) >= _LONG_NUMBER:
            yield str(part)
