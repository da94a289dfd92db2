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
from itertools import chain
from typing import Any
from urllib.parse import parse_qsl, quote, quote_plus, unquote, unquote_plus, urlsplit

from airflow_k8s_vault import json_text

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
_PAIR = re.compile(r"""(?:^|[;\s])(?=[\w.-])([\w .-]{1,64}?)=("[^"]*"|'[^']*'|[^;\s]+)""")
_ELEMENT = re.compile(r">([^<>]+)<")
_ATTRIBUTE = re.compile(r"""[\w.-]=("[^"<>]+"|'[^'<>]+')""")
# An Authorization header's, and what stands after its name without a sign (netrc).
_AFTER_A_WORD = re.compile(
    r"\b(?:bearer|basic|token|apikey|password|passwd|account)[ \t]([^\s=:]\S*)", re.IGNORECASE
)
_QUOTED = re.compile(r"""("[^"]*"|'[^']*')[ \t]*(?:[#;].*)?""")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{12,}={0,2}")
_DEEPEST = 6
# A number is a part of its own from so many characters on: ports, years and counts are shorter.
_LONG_NUMBER = 8
# Shorter lines without a digit are words like COMMIT.
_LONG_LINE = 8
# Longer texts are masked as they are, and in their parts.
_LONGEST_ENCODED = 16_384
# Of one value: Airflow looks for each of them in every line of a log.
MOST = 4_000


def words_of_value(text: str) -> list[str]:
    """Return what to mask of a variable or config value: the whole, its parts, and each as others write it.

    >>> words_of_value('{"user": "loader", "keys": ["key-one"]}')[:3]
    ['{"user": "loader", "keys": ["key-one"]}', 'loader', 'key-one']
    """
    return _words([text, *_parts_of(text)], _base64_of(text))


def words_of_connection(text: str) -> list[str]:
    """Return what to mask of a connection: the whole text, the password, everything in extra; as of a value.

    Host, login, schema and type are left readable: Airflow shows them in its UI, and "postgres" masked everywhere
    makes a log useless.

    >>> words_of_connection("postgres://me:pass%20word@db/x")[:3]
    ['pass word', 'postgres://me:pass%20word@db/x', 'pass%20word']
    """
    fields = _json_of(text)
    if isinstance(fields, dict):
        login, password, extra = (fields.get(name) for name in ("login", "password", "extra"))
        parts = [*_strings_of(extra)]
        for uri in (fields.get("uri"), fields.get("host")):
            parts += _parts_of_uri(uri) if isinstance(uri, str) else []
    else:
        login, password = _login_of(text)
        parts = [*_parts_of_uri(text)]
    if not isinstance(password, str) or not password:
        return _words([text, *parts])
    # The header of HTTP's basic authentication.
    header = _base64_of(f"{login or ''}:{password}")
    # A password is masked whatever it is.
    return list(dict.fromkeys([password, *_words([text, *parts, password], [*_base64_of(password), *header])]))


def _words(texts: Iterable[str], others: Iterable[str] = ()) -> list[str]:
    """Return the texts, and then the same as others write them; each once, but for what is nobody's secret."""
    kept: dict[str, None] = {}
    plain = [text for text in texts if text]
    for word in chain(plain, others, chain.from_iterable(map(_spelled, plain))):
        if len(kept) >= MOST:
            break
        if word and word.lower() not in COMMON:
            kept[word] = None
    return list(kept)


def _spelled(text: str) -> Iterator[str]:
    """Yield a text as JSON, Python, a URI or a shell would write it."""
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


def _parts_of(text: str, depth: int = 0) -> Iterator[str]:
    """Yield what a text is made of, and what that is made of."""
    if depth >= _DEEPEST:
        return
    result = _json_of(text)
    if result is not None:
        yield from _strings_of(result, depth)
        return
    for part in _parts(text):
        yield part
        yield from _parts_of(part, depth + 1)
    if _URI.match(text):
        yield from _parts_of_uri(text, depth)


def _strings_of(value: Any, depth: int = 0) -> Iterator[str]:
    for string in _strings(value):
        yield string
        yield from _parts_of(string, depth + 1)


def _parts(text: str) -> Iterator[str]:
    lines = [line.strip() for line in text.splitlines()]
    if text.lstrip().startswith("<"):
        yield from (part.strip("\"' \t") for pattern in (_ELEMENT, _ATTRIBUTE) for part in pattern.findall(text))
    if len(lines) > 1:
        yield from _lines(lines)
        return
    if "\\n" in text:
        # A key on one line, as variables hold it.
        yield text.replace("\\r", "").replace("\\n", "\n")
    yield from _AFTER_A_WORD.findall(text)
    yield from _listed(text)
    yield from _assigned(text)
    yield from _decoded(text)


def _listed(text: str) -> Iterator[str]:
    """Yield what stands between commas, where each of it could be a key."""
    keys = [part.strip() for part in text.split(",")]
    if len(keys) > 1 and all(
        len(key) >= _LONG_LINE and any(character.isdigit() for character in key) for key in keys
    ):
        yield from keys


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
            yield from _AFTER_A_WORD.findall(line)
            if len(line) >= _LONG_LINE or any(character.isdigit() for character in line):
                yield line


def _assigned(line: str) -> Iterator[str]:
    """Yield what follows the names in `name=value`, `name: value` and `one=1;two=2`, and the dash of a list."""
    if _URI.match(line):
        return
    if line.startswith("- "):
        yield line[2:].strip("\"' ")
    result = _PAIR.findall(line)
    if len(result) < 2:
        whole = _ASSIGNMENT.fullmatch(line.strip())
        result = [whole.groups()] if whole else []
    for name, value in result:
        if re.sub(r"[^a-z]", "", name.lower()) not in _PLAIN_NAMES:
            quoted = _QUOTED.fullmatch(value.strip())
            yield (quoted[1] if quoted else value.strip().rstrip(",")).strip("\"'")


def _decoded(text: str) -> Iterator[str]:
    """Yield what a text is the percent-encoding or the base64 of."""
    if "%" in text:
        yield from {unquote(text), unquote_plus(text)} - {text}
    if not _BASE64.fullmatch(text) or len(text) > _LONGEST_ENCODED:
        return
    try:
        padded = text.translate(str.maketrans("-_", "+/")) + "=" * (-len(text) % 4)
        decoded = base64.b64decode(padded, validate=True).decode()
    except (binascii.Error, ValueError):
        return
    if all(character.isprintable() or character in "\r\n\t" for character in decoded):
        yield decoded


def _parts_of_uri(uri: str, depth: int = 0) -> Iterator[str]:
    """Yield a URI's password, as it stands there and decoded, and what its query holds."""
    try:
        parts = urlsplit(uri)
        password, query = parts.password or "", parse_qsl(parts.query)
    except ValueError:
        return
    yield password
    yield unquote(password)
    for _, value in query:
        yield value
        yield from _parts_of(value, depth + 1)


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
        return json_text.read(text)
    except ValueError:
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
