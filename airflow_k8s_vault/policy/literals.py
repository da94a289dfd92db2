"""Text that holds a credential: it belongs into Vault, never into a pod's manifest.

Looked for are values: tokens by their form, constants that are assigned to a password, generated ones that are
assigned to a token or a key. A value that is read from somewhere is none. Where it is unclear the text passes: a
false alarm stops honest work. tests/policy/corpus says how many there are.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from itertools import pairwise

from airflow_k8s_vault.policy.secret_names import holds_words, is_name, is_read, looks_random, strength
from airflow_k8s_vault.policy.token_shapes import folded, shape

kind_of_text = shape

# name = value, name: value, "name": "value", name: str = "value", ["name"] = "value". Each begins with a name.
_ASSIGNMENT = re.compile(
    r"(?<![\w.-])-{0,2}(?:-D)?(?P<quote>[\"']?)(?P<name>[A-Za-z_][\w.-]{0,80})(?P=quote)\]?"
    r"(?:\s{0,4}:\s{0,4}(?:str|bytes|string|Optional\[str\]|str\s?\|\s?None)(?=\s{0,4}=))?"
    r"\s{0,4}(?P<by>=>|:=|=(?![=~])|:(?!:))\s{0,4}"
    r"(?P<value>\"[^\"\n]{0,400}\"|'[^'\n]{0,400}'|[^\s\"',;&|)\]}]{1,400})",
    re.ASCII,
)
# ("name", "value"): a default, a variable that is set.
_SECOND = re.compile(
    r"[\"'](?P<name>[A-Za-z_][\w.-]{0,80})[\"']\s?,\s?(?P<value>\"[^\"\n]{1,400}\"|'[^'\n]{1,400}')", re.ASCII
)
_IN_WORDS = (
    # SQL; .netrc; OpenSSL; what is piped to a program that asks for a password; a header; an argument of requests.
    re.compile(r"\b(?:identified\s{1,4}by|password)\s{1,4}'(?P<value>[^'\n]{1,400})'", re.IGNORECASE),
    re.compile(r"\blogin\s{1,4}[^\s\"']{1,80}\s{1,4}password\s{1,4}(?P<value>[^\s\"']{3,200})", re.ASCII),
    re.compile(r"(?<![\w-])pass:(?P<value>[^\s\"']{3,400})", re.ASCII),
    re.compile(
        r"\becho\s{1,4}(?:-n\s)?[\"']?(?:\w{1,40}:)?(?P<value>[^\s\"'|]{3,200})[\"']?\s{0,4}\|\s{0,4}"
        r"(?:sudo\s-S|chpasswd|kinit|passwd\s|docker\slogin|helm\sregistry\slogin)",
        re.ASCII,
    ),
    re.compile(
        r"\bauth\s?=\s?\(\s?[\"'][^\"'\n]{1,80}[\"']\s?,\s?[\"'](?P<value>[^\"'\n]{1,200})[\"']\s?\)", re.ASCII
    ),
)
_HEADER = re.compile(
    r"\bauthorization[\"']?\s{0,4}[:=]\s{0,4}[\"']?(?:bearer|basic|token|apikey)\s{1,4}(?P<value>[^\s\"']{8,400})",
    re.IGNORECASE | re.ASCII,
)
# Programs that take a program as an argument: there a word without quotes is no text.
_INTERPRETERS = re.compile(r"(python|pypy|node|deno|ruby|perl|php|Rscript|lua)[0-9.]{0,6}", re.ASCII)
_CODE = re.compile(
    r"(?:^|[\s;\"'])(?:import\s[\w.]{1,60}(?:\s?[;,\n]|\sas\s|\Z)|from\s[\w.]{1,60}\simport\s|(?:def|function)\s\w{0,60}\(|"
    r"class\s\w{1,60}\s?[(:{]|lambda\b[^:\n]{0,60}:|print\s?\(|(?:const|let|var|my)\s[$\w{][^=;\n]{0,60}=|require\(|"
    r"return\s\w)|(?:python|node|ruby|perl)[0-9.]{0,6}\s-[ce]\s",
    re.ASCII,
)
_OPTION = re.compile(r"--?(?!no-)[A-Za-z][\w.-]{0,80}", re.ASCII)
# What programs call their password without saying so: after the option, or in the same word.
_OPTIONS = {
    "-p": (
        "sshpass",
        "docker",
        "podman",
        "helm",
        "mongo",
        "mongosh",
        "mongodump",
        "mongorestore",
        "twine",
        "oc",
        "beeline",
    ),
    "-a": ("redis-cli",),
    "-w": ("ldapsearch", "ldapmodify", "ldapadd"),
    "-P": ("zip", "unzip", "sqlcmd", "bcp"),
}
_ATTACHED = {"-p": ("mysql", "mysqldump", "mysqladmin", "mariadb", "mariadb-dump", "sshpass", "7z", "7za")}
# Of user and password in one word: after the option, and what is between the two.
_LOGINS = ("--basic-auth", "--http-auth", "--auth", "--proxy-user")
_PAIRS = {("curl", "-u"): ":", ("curl", "--user"): ":", ("smbclient", "-U"): "%", ("lftp", "-u"): ","}
# Where a shell has its working directory, and had it before.
_DIRECTORIES = ("PWD", "OLDPWD")
_DEEPEST = 3
_LONGEST_SCRIPT = 20_000


def kind_of_variable(name: str, value: str) -> str | None:
    """Return what an environment variable's literal looks like, by its value or by its name; or None.

    >>> kind_of_variable("PGPASSWORD", "hunter2")
    'a credential, by the name of the variable'
    >>> kind_of_variable("PGPASSFILE", "/vault/secrets/pgpass")
    """
    result = kind_of_text(value) or _assigned(folded(value), is_code=False)
    if result or is_read(folded(value)) or name in _DIRECTORIES:
        return result
    how = strength(folded(name))
    if how == "password" or (how == "other" and looks_random(folded(value))):
        return "a credential, by the name of the variable"
    return None


def kind_of_words(words: Sequence[str]) -> str | None:
    """Return what a command line holds, in a word or in two that belong together; or None.

    >>> kind_of_words(["./load", "--password", "hunter2"]), kind_of_words(["./load", "--password", "$PW"])
    ('a credential after an option', None)
    >>> kind_of_words(["python", "-c", "password = os.environ['PW']"])
    """
    return next(_credentials_in(list(words), 0), None)


def _credentials_in(words: list[str], depth: int) -> Iterator[str]:
    plain = [folded(word) for word in words]
    for word, text in zip(words, plain, strict=True):
        if result := kind_of_text(word) if depth == 0 else None:
            yield result
        is_code = bool(_CODE.search(text)) or any(_INTERPRETERS.fullmatch(_base(other)) for other in plain[:1])
        if result := _assigned(text, is_code):
            yield result
        if depth < _DEEPEST and not is_code and any(character in text for character in " \n\t"):
            yield from _credentials_in(_split(text), depth + 1)
    yield from _after_options(plain)


def _base(word: str) -> str:
    return word.rpartition("/")[2]


def _split(script: str) -> list[str]:
    """Return the words of a shell's script, as well as that is possible without running it."""
    script = script[:_LONGEST_SCRIPT]
    try:
        lexer = shlex.shlex(script, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        lexer.commenters = ""
        return list(lexer)
    except ValueError:
        return script.split()


def _after_options(words: list[str]) -> Iterator[str]:
    program = ""
    for before, word in pairwise(["", *words]):
        if not before.startswith("-") and not word.startswith("-"):
            # Of several commands in a script: the nearest that is known here.
            program = _base(word) if _is_known(_base(word)) else program
        if _is_option(before, program) and word and not is_read(word):
            how = strength(before.lstrip("-")) or "password"
            if (how == "password" and not is_name(word)) or looks_random(word):
                yield "a credential after an option"
        if before in _LOGINS and looks_random(word.partition(":")[2]) and not is_read(word.partition(":")[2]):
            yield "a credential after an option"
        if (
            "_" in before
            and before.isidentifier()
            and strength(before)
            and looks_random(word)
            and not is_read(word)
        ):
            # Two words of their own: `aws configure set aws_secret_access_key …`.
            yield "a credential after its name"
        separator = _PAIRS.get((program, before))
        if separator and separator in word and not is_read(word.partition(separator)[2]):
            yield "a credential after an option"
        for option, programs in _ATTACHED.items():
            if program in programs and word.startswith(option) and not is_read(word.removeprefix(option)):
                yield "a credential after an option"
    if words and _base(words[0]) == "htpasswd" and "-b" in words and not is_read(words[-1]):
        yield "a credential after an option"
    for word in words if "sqlplus" in map(_base, words) else ():
        user, _, rest = word.partition("/")
        if user.isalnum() and "@" in rest and not is_read(rest.partition("@")[0]):
            yield "a credential after an option"


def _is_known(program: str) -> bool:
    return any(program in programs for programs in (*_OPTIONS.values(), *_ATTACHED.values())) or any(
        program == other for other, _ in _PAIRS
    )


def _is_option(word: str, program: str) -> bool:
    if not _OPTION.fullmatch(word):
        return False
    return program in _OPTIONS.get(word, ()) or (len(word) > 2 and strength(word.lstrip("-")) is not None)


def _assigned(text: str, is_code: bool) -> str | None:
    if _HEADER.search(text) and any(
        looks_random(m["value"]) and not is_read(m["value"]) for m in _HEADER.finditer(text)
    ):
        return "a credential in a header"
    if not holds_words(text):
        return None
    text = text.replace('\\"', '"')
    is_literal = any(_is_literal(name, value, by, is_code) for name, value, by in _assignments(text))
    if is_literal or any(not is_read(value) and not is_name(value) for value in _values_in_words(text)):
        return "a credential in an assignment"
    return None


def _values_in_words(text: str) -> Iterator[str]:
    for pattern in _IN_WORDS:
        yield from (match["value"] for match in pattern.finditer(text))


def _assignments(text: str) -> Iterator[tuple[str, str, str]]:
    """Yield name, value as it is written, and what stands between them."""
    at = 0
    while match := _ASSIGNMENT.search(text, at):
        is_one = strength(match["name"]) is not None
        if is_one:
            yield match["name"], match["value"], match["by"]
        # Within the value of another name there may be one (--from-literal=password=…).
        at = match.end() if is_one else max(match.start("value"), match.start() + 1)
    for match in _SECOND.finditer(text):
        yield match["name"], match["value"], ","


def _is_literal(name: str, value: str, by: str, is_code: bool) -> bool:
    how = strength(name)
    quoted = value[:1] in ("'", '"') and value[-1:] == value[:1]
    text = value[1:-1] if quoted else value.rstrip("\\")
    if how is None or is_read(text) or is_name(text):
        return False
    if not quoted and (is_code or any(mark in text for mark in "()[]")):
        # An expression.
        return False
    is_constant = how == "password" and (by not in (",", ":") or (quoted and by == ":"))
    return is_constant or looks_random(text)
