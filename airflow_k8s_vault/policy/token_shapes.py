"""Credentials that are recognised by their form: what their makers document, and passwords within URLs."""

from __future__ import annotations

import base64
import binascii
import contextlib
import re
import unicodedata
from collections.abc import Iterator

# What it is, and its pattern. Each begins where no character of its own repetition can stand before it, and so is
# looked for in time that is linear in the text.
_SHAPES = (
    ("a private key", r"-----BEGIN[A-Z0-9 ]{0,40}PRIVATE KEY|AGE-SECRET-KEY-1[A-Z0-9]{50}"),
    (
        "a Vault token",
        r"(?<![\w.-])(hv[sbr]\.[A-Za-z0-9_-]{20,}|[sbr]\.(?=[a-z]*[A-Z0-9])[A-Za-z0-9]{24}(?![\w]))",
    ),
    ("an AWS access key", r"(?<!\w)(AKIA|ASIA)[A-Z0-9]{16}(?!\w)"),
    ("a GitHub token", r"(?<![A-Za-z0-9])(gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{30,})"),
    ("a GitLab token", r"(?<![\w-])gl(pat|dt|rt|ptt|soat|cbt)-[A-Za-z0-9_-]{20,}"),
    (
        "a Slack token",
        r"(?<![\w-])xox[abeoprs]-[A-Za-z0-9-]{10,}|hooks\.slack\.com/services/T\w{8,}/B\w{8,}/\w{20,}",
    ),
    ("a Google API key", r"(?<!\w)AIza[A-Za-z0-9_-]{35}|(?<!\w)ya29\.[A-Za-z0-9_-]{20,}"),
    ("a Stripe key", r"(?<!\w)[sr]k_live_[A-Za-z0-9]{16,}"),
    ("a PyPI token", r"(?<!\w)pypi-[A-Za-z0-9_-]{40,}"),
    ("an npm token", r"(?<!\w)npm_[A-Za-z0-9]{36}"),
    ("an OpenAI or Anthropic key", r"(?<![\w-])sk-((proj|ant|svcacct|admin)-[A-Za-z0-9_-]{20,}|[A-Za-z0-9]{32,})"),
    ("a Hugging Face token", r"(?<!\w)hf_[A-Za-z0-9]{30,}"),
    ("a Databricks token", r"(?<!\w)dapi[0-9a-f]{32}(?!\w)"),
    ("a DigitalOcean token", r"(?<!\w)do[opr]_v1_[0-9a-f]{64}"),
    ("a Docker token", r"(?<!\w)dckr_(pat|oat)_[A-Za-z0-9_-]{20,}"),
    ("a Grafana token", r"(?<!\w)gls?a?_[A-Za-z0-9]{32}_[0-9a-f]{8}"),
    ("a SendGrid key", r"(?<![\w.])SG\.[A-Za-z0-9_-]{20,24}\.[A-Za-z0-9_-]{40,46}"),
    ("a Terraform token", r"(?<!\w)[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_-]{60,70}"),
    ("a 1Password token", r"(?<!\w)ops_eyJ[A-Za-z0-9_-]{50,}"),
    ("a JSON Web Token", r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\."),
    (
        "a password in a URL",
        r"(?<![A-Za-z0-9+.-])[A-Za-z][A-Za-z0-9+.-]{0,20}://[^\s/:@\"'<>{}?#]{0,200}:"
        r"(?![$<{*]|%(?![0-9A-Fa-f]{2})|x{3,}@)[^\s/@\"'?#]{1,200}@",
    ),
    ("a password in a data source", r"(?<![\w.:@-])[\w.-]{1,60}:(?![$<{%*])[^\s/@\"'?#]{1,200}@(tcp|unix)\("),
)
_PATTERNS = tuple((what, re.compile(pattern, re.ASCII)) for what, pattern in _SHAPES)
# Nearly all text is none of them, which one search tells.
_ANY = re.compile("|".join(f"(?:{pattern})" for _, pattern in _SHAPES), re.ASCII)
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{20,}={0,2}")
_ENCODED, _HEX = re.compile(r"[A-Za-z0-9+/_-]{8,}={0,2}"), re.compile(r"([0-9A-Fa-f]{2})+")


def shape(text: str) -> str | None:
    """Return what credential stands in a text, by its form ("a GitHub token"); or None. Looks into base64 as well.

    >>> shape("postgres://etl:hunter2@db/warehouse")
    'a password in a URL'
    >>> shape("postgres://etl:$(PGPASSWORD)@db/warehouse")
    """
    for candidate in (folded(text), *_decoded(text)):
        if _ANY.search(candidate):
            return next(what for what, pattern in _PATTERNS if pattern.search(candidate))
    return None


def folded(text: str) -> str:
    """Return the text with full-width and zero-width look-alikes of ASCII as what they may be taken for."""
    if text.isascii():
        return text
    return "".join(c for c in unicodedata.normalize("NFKC", text) if unicodedata.category(c) != "Cf")


def encoded_bytes(text: str) -> Iterator[bytes]:
    """Yield what each piece of the text is that base64 or hexadecimal digits could have been made of.

    >>> list(encoded_bytes("Basic ZXRsOmh1bnRlcjI="))
    [b'etl:hunter2']
    """
    for match in _ENCODED.finditer(text):
        piece = match[0].rstrip("=").replace("-", "+").replace("_", "/")
        with contextlib.suppress(binascii.Error):
            yield base64.b64decode(piece + "=" * (-len(piece) % 4), validate=True)
        if _HEX.fullmatch(piece):
            yield bytes.fromhex(piece)


def _decoded(text: str) -> Iterator[str]:
    for number, match in enumerate(_BASE64.finditer(text)):
        if number == 50:
            return
        padded = match[0].rstrip("=").replace("-", "+").replace("_", "/")
        try:
            yield base64.b64decode(padded + "=" * (-len(padded) % 4), validate=True).decode("ascii")
        except (binascii.Error, UnicodeDecodeError):
            continue
