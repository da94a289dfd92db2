"""Names that credentials have, and whether what is assigned to one is a literal or read from somewhere."""

from __future__ import annotations

import math
import re
from collections import Counter

# A password is whatever stands there. The others are often names of secrets, or counts: there a value has to look
# like one.
_WHOLE = (
    r"(pass(word|wd|phrase|code)?|pwd|pw|storepass|keypass|"
    r"(db|pg|my|mysql|postgres|redis|mongo|ldap|bind|ftp|smtp|mail|ssh|root|admin|user)(pass|pwd|pw)|rediscli_auth)"
)
_PARTLY = (
    r"(secret|token|credentials?|jwt|((api|private|access|secret|account|encryption|signing|master|shared|auth|"
    r"fernet|license|azure_storage|dd_app|datadog_app)_?key)|secret_key_base|(gh|github|gitlab|azure|devops)_pat)"
)
# What may stand after the word: which of several it is. Anything else (TOKEN_URL, PASSWORD_FILE) is another thing.
_WHICH = (
    r"(_?[0-9]{1,3}|_(prod|production|dev|devel|development|stage|staging|test|testing|uat|qa|live|prd|stg|sandbox|"
    r"main|primary|secondary|default|old|new|current|next|ro|rw|read|write|reader|writer|admin|root|user|app|service|svc|"
    r"db|eu|us|ap|east|west|north|south|central|v[0-9]{1,2}))"
)
_STRONG = re.compile(
    rf"(^|_){_WHOLE}s?{_WHICH}{{0,3}}\Z|(password|passwd|passphrase|storepass|keypass)\Z", re.ASCII
)
_WEAK = re.compile(
    rf"(^|_){_PARTLY}s?{_WHICH}{{0,3}}\Z|((auth|access|refresh|api|bot|bearer|session|vault|github|gitlab|slack)token|"
    r"clientsecret|apikey|secretkey|accesskey)\Z",
    re.ASCII,
)
_WORDS = re.compile(r"pass|pwd|pw|secret|token|key|credential|jwt|identified|auth|sudo|kinit|login", re.IGNORECASE)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[-.]")
_SETTING = re.compile(
    r"[0-9]{1,5}(\.[0-9]{1,3})?[smhd]?|true|false|yes|no|on|off|none|null|nil|undefined|redacted|masked|hidden|"
    r"[x*.•?_-]{2,}|your[-_ ].*|prompt|never|always|required|optional|default",
    re.IGNORECASE | re.ASCII,
)
# What reads it from somewhere, or stands for it: a shell's and Kubernetes' references, templates, files, stores.
_REFERENCE = re.compile(
    r"[$<%@`&!*{\[(]|(file|env|vault|secret|ssm|arn|op|gsm|awssm|keyring|ref\+[a-z0-9]+|projects):|projects/|-",
    re.IGNORECASE,
)
_WITHIN = ("$(", "${", "{{", "}}", "%(", "%s", "<<")
_PATH = re.compile(
    r"([~.]{0,2}|[A-Za-z]:)([/\\][A-Za-z0-9_.@=-]{1,80}){2,12}[/\\]?|\.{0,2}/[a-z_.-]{2,40}/?", re.ASCII
)
_FILE = re.compile(
    r"[A-Za-z0-9_./-]{1,120}\.(json|pem|key|crt|cer|p12|pfx|jks|ya?ml|toml|ini|conf|cnf|env|txt|sql|py|properties)",
    re.ASCII,
)
_PLAIN_URL = re.compile(r"[a-z][a-z0-9+.-]{1,20}://[^\s@]{0,400}", re.IGNORECASE | re.ASCII)
# Words between separators: the name of a secret, of a model, of an algorithm.
_SLUG = re.compile(r"[A-Za-z]{1,30}([-_./#:][A-Za-z]{1,20}[0-9]{0,3}|[-_./#:v]{1,2}[0-9]{1,4}){1,12}", re.ASCII)
_TYPES = frozenset(
    (
        *("str", "string", "text", "varchar", "char", "bytes", "int", "integer", "number", "bool", "boolean"),
        *("object", "any", "secretstr", "hash", "md5", "sha256", "bcrypt", "plain", "basic", "bearer", "refresh"),
        *("input", "field", "column", "value", "password", "token", "secret", "pw", "pwd", "passwd", "ok", "id"),
    )
)


def holds_words(text: str) -> bool:
    """Return whether any of the words that name credentials stands in the text: most texts have none."""
    return _WORDS.search(text) is not None


def strength(name: str) -> str | None:
    """Return "password" or "other" for what a credential is called, None for any other name.

    >>> strength("DB_WHOLE_PROD"), strength("apiKey"), strength("TOKEN_URL"), strength("max-tokens")
    ('password', 'other', None, 'other')
    """
    if len(name) > 120:
        return None
    plain = _CAMEL.sub("_", name).lower().strip("_")
    return "password" if _STRONG.search(plain) else "other" if _WEAK.search(plain) else None


def is_read(value: str) -> bool:
    """Return whether a value is no literal: a reference, a path, a URL without a password, a setting, nothing.

    >>> is_read("$(PGPASSWORD)"), is_read("/vault/secrets/pw"), is_read("hunter2"), is_read("/x")
    (True, True, False, False)
    """
    text = value.strip()
    if (
        not any(character.isalnum() for character in text)
        or text.startswith((".*", ".+"))
        or _SETTING.fullmatch(text)
        or _REFERENCE.match(text)
        or any(mark in text for mark in _WITHIN)
    ):
        return True
    if _PATH.fullmatch(text):
        return not any(looks_random(part) for part in re.split(r"[/\\]", text))
    return bool(_FILE.fullmatch(text) or _PLAIN_URL.fullmatch(text))


def is_name(value: str) -> bool:
    """Return whether a value names something: a variable, a key, a type, a secret of several words."""
    text = value.strip()
    is_variable = text.isupper() and text.replace("_", "").isalnum() and "_" in text
    return text.lower() in _TYPES or is_variable or strength(text) is not None or bool(_SLUG.fullmatch(text))


def looks_random(value: str) -> bool:
    """Return whether a value looks made by a generator: letters and digits mixed, or many different characters.

    >>> looks_random("hunter2"), looks_random("wJalrXUtnFEMIKbPxRfiCY"), looks_random("warehouse-login")
    (True, True, False)
    """
    text = value.strip()
    if len(text) < 6 or " " in text or _SLUG.fullmatch(text):
        return False
    if any(c.isdigit() for c in text) and any(c.isalpha() for c in text):
        return True
    mixed = text != text.lower() and text != text.upper() and not text[0].isupper()
    return len(text) >= 16 and (mixed or text.isdigit()) and _entropy(text) > 3


def _entropy(text: str) -> float:
    """Return the bits of a character, were they drawn as often as they stand there."""
    return -sum(count / len(text) * math.log2(count / len(text)) for count in Counter(text).values())
