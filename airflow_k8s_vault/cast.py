"""Settings arrive as JSON values or, from environment variables, as strings: what each type takes.

Every caster returns the value or raises ValueError with what it wanted. None is handled before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from airflow_k8s_vault import json_text
from airflow_k8s_vault.secret_value import SecretValue

PEM = "-----BEGIN "
# No setting is a larger number.
MOST = 2**63
# What an environment variable holds to say None; JSON has a null of its own.
NULLS = ("null", "none", "None")


def text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("a string")
    return value


def secret(value: Any) -> SecretValue[str]:
    if isinstance(value, SecretValue):
        return value
    if not isinstance(value, str):
        raise ValueError("a string")
    return SecretValue(value)


def integer(value: Any) -> int:
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise ValueError("a whole number")
    try:
        number = int(value)
    except (TypeError, ValueError):
        number = MOST + 1
    # What has more digits cannot even be shown.
    if abs(number) > MOST:
        raise ValueError("a whole number")
    return number


def seconds(value: Any) -> float:
    """
    >>> seconds("1.5")
    1.5
    """
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = -1.0
    if isinstance(value, bool) or not 0 <= number < float("inf"):
        raise ValueError("a number of seconds, 0 or more")
    return number


def count(value: Any) -> int:
    if (number := integer(value)) < 0:
        raise ValueError("a whole number, 0 or more")
    return number


def boolean(value: Any) -> bool:
    """
    >>> boolean("False"), boolean("yes"), boolean(True)
    (False, True, True)
    """
    known = {"true": True, "t": True, "yes": True, "1": True, "false": False, "f": False, "no": False, "0": False}
    result = known.get(_text_of(value).strip().lower()) if isinstance(value, str | int) else None
    if result is None:
        raise ValueError("true or false")
    return result


def paths(value: Any) -> tuple[str, ...]:
    """
    >>> paths("connections/"), paths('["a", "b"]'), paths(["a", "b"])
    (('connections',), ('a', 'b'), ('a', 'b'))
    """
    if isinstance(value, str) and value.lstrip().startswith("["):
        value = _json(value, list, "a path or a list of paths")
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, (list, tuple)) or not all(isinstance(path, str) for path in listed):
        raise ValueError("a path or a list of paths")
    return tuple(path.rstrip("/") for path in listed)


def mapping(value: Any) -> dict[str, Any]:
    expected = "a JSON object"
    result = _json(value, dict, expected) if isinstance(value, str) else value
    if not isinstance(result, dict):
        raise ValueError(expected)
    return dict(result)


def secret_mapping(value: Any) -> SecretValue[dict[str, Any]]:
    return value if isinstance(value, SecretValue) else SecretValue(mapping(value))


def verification(value: Any) -> bool | str:
    """True, False, the path of a CA file or folder, or the CA's certificates as PEM text."""
    try:
        return boolean(value)
    except ValueError:
        if isinstance(value, str) and value:
            return value
        raise ValueError("true, false, the path of a CA file or folder, or PEM text") from None


def certificate(value: Any) -> tuple[str, str] | str:
    """
    >>> certificate("client.pem, client.key"), certificate("both.pem")
    (('client.pem', 'client.key'), 'both.pem')
    """
    expected = "the path of a PEM file, or of certificate and key"
    parts = [part.strip() for part in value.split(",")] if isinstance(value, str) else value
    if not isinstance(parts, (list, tuple)) or not all(isinstance(part, str) and part for part in parts):
        raise ValueError(expected)
    if len(parts) == 1:
        return str(parts[0])
    if len(parts) == 2:
        return str(parts[0]), str(parts[1])
    raise ValueError(expected)


def one_of(*choices: Any) -> Callable[[Any], Any]:
    """Return a caster that takes these values, or the strings that spell them."""
    by_text = {str(choice): choice for choice in choices}

    def choice_of(value: Any) -> Any:
        if not isinstance(value, str | int) or isinstance(value, bool) or _text_of(value) not in by_text:
            raise ValueError(f"one of {', '.join(by_text)}")
        return by_text[_text_of(value)]

    choice_of.__name__ = " or ".join(by_text) if len(by_text) < 4 else "choice"
    return choice_of


def _text_of(value: str | int) -> str:
    # Python refuses to write numbers of thousands of digits.
    return value if isinstance(value, str) else str(value) if abs(value) <= MOST else ""


def _json(value: str, kind: type, expected: str) -> Any:
    try:
        result = json_text.read(value)
    except ValueError:
        result = None
    if not isinstance(result, kind):
        raise ValueError(expected)
    return result
