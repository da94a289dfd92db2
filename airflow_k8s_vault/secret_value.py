"""The type that secret values live in: it does not show, and does not travel."""

from __future__ import annotations

from typing import Any, Generic, NoReturn, TypeVar

T = TypeVar("T")


class SecretValue(Generic[T]):
    """A value that prints as `<secret>` in repr, str, format, logs and tracebacks, and cannot be pickled.

    >>> password = SecretValue("hunter2")
    >>> print(password, [password], f"{password:>10}")
    <secret> [<secret>] <secret>
    >>> password.reveal()
    'hunter2'
    """

    __slots__ = ("_value",)

    def __init__(self, value: T) -> None:
        self._value = value

    def reveal(self) -> T:
        """Return the value itself: only where it leaves for Vault or for Airflow."""
        return self._value

    def __repr__(self) -> str:
        return "<secret>"

    def __format__(self, format_spec: str) -> str:
        return "<secret>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SecretValue) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError("A secret value cannot be pickled or copied: it would leave this process.")
