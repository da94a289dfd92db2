"""Go templates that fill a key of a Secret, as far as they give one value as it is.

https://external-secrets.io/latest/guides/templating/ and
https://developer.hashicorp.com/vault/docs/deploy/kubernetes/vso/secret-transformation
"""

from __future__ import annotations

import re
from typing import NamedTuple

# {{ .password }}, {{ index . "pass-word" }}, {{ .Secrets.password }}, {{ get .Secrets "pass-word" }}.
_KEY = r"(?:\.{dot}(?P<name>[A-Za-z0-9_]+)|(?:index|get)\s+{root}\s+\"(?P<quoted>[^\"]+)\")"
_WHOLE = r"\s*\{{\{{-?\s*\(?\s*{key}\s*\)?(?P<pipes>(?:\s*\|\s*\w+)*)\s*-?\}}\}}\s*"
_UNCHANGED = {"toString", "trim"}
_DECODES = {"b64dec", "base64decode"}


class Alias(NamedTuple):
    """The value that a template gives under another name. decode: "base64" where it decodes it."""

    key: str
    decode: str | None


def alias(text: str, root: str = "") -> Alias | None:
    """Return the value that the template gives as it is; None where it makes more of it. root: of all values.

    >>> alias("{{ .password | toString }}"), alias('{{- get .Secrets "tls.key" | b64dec -}}', ".Secrets")
    (Alias(key='password', decode=None), Alias(key='tls.key', decode='base64'))
    """
    match = re.fullmatch(patterns(root)[0], text, re.ASCII)
    if not match:
        return None
    pipes = match["pipes"].replace("|", " ").split()
    decodes = [pipe for pipe in pipes if pipe in _DECODES]
    if len(decodes) > 1 or not set(pipes) <= _UNCHANGED | _DECODES:
        return None
    return Alias(match["name"] or match["quoted"], "base64" if decodes else None)


def keys(text: str, root: str = "") -> list[str]:
    """Return the values that the template's expressions name, in their order.

    >>> keys("postgres://{{ .user }}:{{ .password | urlquery }}@db/etl")
    ['user', 'password']
    """
    parts = (part.partition("}}") for part in text.split("{{")[1:])
    expressions = " ".join(expression for expression, end, _ in parts if end)
    matches = re.finditer(patterns(root)[1], expressions, re.ASCII)
    return list(dict.fromkeys(match["name"] or match["quoted"] for match in matches))


def patterns(root: str) -> tuple[str, str]:
    """Return the pattern of a template that is one value, and that of a value within an expression."""
    return _WHOLE.format(key=_key(root)), rf"(?<![\w.)]){_key(root)}"


def _key(root: str) -> str:
    return _KEY.format(dot=f"{re.escape(root[1:])}\\." if root else "", root=re.escape(root or "."))
