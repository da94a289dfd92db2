"""Text as the agent's template language has it: whatever it holds, it stays text."""

from __future__ import annotations

import string

from airflow_k8s_vault.errors import SecretSpecError

# None of these means anything to Go, to its templates, to JSON or to HCL.
_PLAIN = frozenset(f"{string.ascii_letters}{string.digits} _-./")


def text(value: str) -> str:
    r"""Return a string literal of Go in which every character that could mean something is an escape.

    >>> print(text("it's {{ x }}"))
    "it\U00000027s \U0000007b\U0000007b x \U0000007d\U0000007d"
    """
    if type(value) is not str:
        # What is text only to whoever asks may be another text each time.
        raise SecretSpecError("A name of a secret is no text, and so none that the agent's templates may have.")
    return '"' + "".join(c if c in _PLAIN else f"\\U{ord(c):08x}" for c in value) + '"'


def named(**values: str) -> str:
    """Return an expression of a map from these names to these texts.

    >>> print(named(key="a", path="secret/x"))
    sprig_dict "key" "a" "path" "secret/x"
    """
    return " ".join(["sprig_dict", *(f"{text(name)} {text(value)}" for name, value in values.items())])


def when(condition: str, body: str, otherwise: str = "") -> str:
    """Return template text that is `body` where the condition holds.

    >>> print(when('eq .a "b"', "yes", "no"))
    {{ if eq .a "b" }}yes{{ else }}no{{ end }}
    """
    other = "{{ else }}" + otherwise if otherwise else ""
    return "{{ if " + condition + " }}" + body + other + "{{ end }}"


def with_secret(path: str, body: str) -> str:
    """Return template text that reads from Vault; what was read is the body's dot. path: an expression."""
    return "{{ with secret " + path + " }}" + body + "{{ end }}"


def result(name: str, arguments: str) -> str:
    """Return an expression that is the text of a named template, of the map that the expression gives."""
    return f'executeTemplate "{name}" ({arguments})'


def call(name: str, arguments: str) -> str:
    """Return template text that is a named template's, of the map that the expression gives."""
    return '{{ template "' + name + '" (' + arguments + ") }}"
