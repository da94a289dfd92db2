"""Text that looks like a credential: it belongs into Vault, never into a pod's manifest."""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata
from collections.abc import Iterator
from itertools import pairwise

# What it is, and its pattern. Formats that their makers document as recognisable.
_KNOWN = (
    ("a private key", r"-----BEGIN[A-Z0-9 ]*PRIVATE KEY"),
    ("a Vault token", r"\b(hv[sbr]\.[A-Za-z0-9_-]{20,}|[sbr]\.[A-Za-z0-9]{24})\b"),
    ("an AWS access key", r"\b(AKIA|ASIA)[A-Z0-9]{16}\b"),
    ("a GitHub token", r"\b(gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{30,})"),
    ("a GitLab token", r"\bgl(pat|dt|rt|ptt)-[A-Za-z0-9_-]{20,}"),
    ("a Slack token", r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}"),
    ("a Google API key", r"\bAIza[A-Za-z0-9_-]{35}"),
    ("a Stripe key", r"\b[sr]k_live_[A-Za-z0-9]{16,}"),
    ("a PyPI token", r"\bpypi-[A-Za-z0-9_-]{40,}"),
    ("an npm token", r"\bnpm_[A-Za-z0-9]{36}"),
    ("an OpenAI or Anthropic key", r"\bsk-[A-Za-z0-9_-]{20,}"),
    ("a JSON Web Token", r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\."),
    ("a password in a URL", r"\b[a-z][a-z0-9+.-]{0,20}://[^\s/:@]{0,200}:(?![$<{])[^\s/@]+@"),
)
_PATTERNS = tuple((what, re.compile(pattern)) for what, pattern in _KNOWN)
# Nearly all text is none of them, which one search tells.
_ANY = re.compile("|".join(f"(?:{pattern})" for _, pattern in _KNOWN))
_WORD = r"(pass(word|wd|phrase|code)?|pwd|secret|token|api_?key|private_?key|access_?key|credentials?)"
_SECRET_NAME = re.compile(rf"(^|_){_WORD}s?(_?[0-9]+)?$", re.IGNORECASE)
# An assignment in a command line or a connection string; a reference ($NAME, <file) or a path is none.
_ASSIGNED = re.compile(
    r"(pass(word|wd|phrase)|pwd|secret|token|api[-_]?key|private[-_]?key|access[-_]?key)s?"
    r"[\"']?(\s*[=:]\s*|\s+)[\"']?(?![\s$<{/&|\"'-])[^\s\"']{3,}",
    re.IGNORECASE,
)
_OPTION = re.compile(r"--?[a-z-]*(password|passwd|secret|token|api-?key|access-?key)", re.IGNORECASE)
# What a setting has (MAX_TOKENS=4096, USE_TOKEN=true) and no credential.
_SETTING = re.compile(r"[0-9]{1,5}|true|false|yes|no", re.IGNORECASE)
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{20,}={0,2}")


def kind(text: str) -> str | None:
    """Return what credential a text looks like ("a GitHub token"), or None. Looks into base64 as well.

    >>> kind("postgres://etl:hunter2@db/warehouse")
    'a password in a URL'
    >>> kind("postgres://etl:$(PGPASSWORD)@db/warehouse")
    """
    for candidate in (_folded(text), *_decoded(text)):
        if not _ANY.search(candidate):
            continue
        for what, pattern in _PATTERNS:
            if pattern.search(candidate):
                return what
    return None


def kind_of_variable(name: str, value: str) -> str | None:
    """Return what an environment variable's literal looks like, by its value or by its name; or None.

    A reference ($(NAME)), a path, a short number and an empty value are no credential, whatever the name says.

    >>> kind_of_variable("PGPASSWORD", "hunter2")
    'a credential, by the name of the variable'
    >>> kind_of_variable("PGPASSFILE", "/vault/secrets/pgpass")
    """
    found = kind(value) or kind_of_assignment(value)
    if found or not value.strip() or value.startswith(("/", "$(")) or _SETTING.fullmatch(value):
        return found
    folded = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[-.]", "_", _folded(name))
    named = _SECRET_NAME.search(folded) or re.search(r"(passw(or)?d|passphrase)$", folded, re.IGNORECASE)
    return "a credential, by the name of the variable" if named else None


def kind_of_assignment(text: str) -> str | None:
    """Return what "password=…" in a command line or a connection string is, or None.

    >>> kind_of_assignment("--password=hunter2"), kind_of_assignment("--password=$PGPASSWORD")
    ('a credential in an assignment', None)
    """
    match = _ASSIGNED.search(_folded(text))
    if not match:
        return None
    separated_by_space = match[3].strip() == ""
    if separated_by_space and not _OPTION.search(_folded(text)[max(match.start() - 20, 0) : match.start(3)]):
        # Prose: "a token that…"; only an option takes its value after a space.
        return None
    return "a credential in an assignment"


def kind_of_words(words: list[str]) -> str | None:
    """Return what a command line holds, also where an option and its value are two words; or None."""
    for word in words:
        if found := kind(word) or kind_of_assignment(word):
            return found
    for option, value in pairwise(words):
        if _OPTION.fullmatch(_folded(option)) and value and not value.startswith(("-", "$", "/", "<")):
            return "a credential after an option"
    return None


def _folded(text: str) -> str:
    """Return the text with full-width and zero-width look-alikes of ASCII as what they may be taken for."""
    if text.isascii():
        return text
    return "".join(c for c in unicodedata.normalize("NFKC", text) if unicodedata.category(c) != "Cf")


def _decoded(text: str) -> Iterator[str]:
    for word in _BASE64.findall(text)[:50]:
        padded = word.rstrip("=").replace("-", "+").replace("_", "/")
        try:
            yield base64.b64decode(padded + "=" * (-len(padded) % 4), validate=True).decode("ascii")
        except (binascii.Error, UnicodeDecodeError):
            continue
