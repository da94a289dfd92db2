"""Jinja's filters and the methods of values, each bounded before it computes (see limits)."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from functools import wraps
from typing import Any

from jinja2 import TemplateRuntimeError, Undefined
from jinja2.filters import do_indent

from airflow_k8s_vault.errors import did_you_mean
from airflow_k8s_vault.templates import limits
from airflow_k8s_vault.templates.fragment import Fragment

# For HTML, or for people who look at values: of no use in a pod, and slow for long ones.
REMOVED_FILTERS = ("pprint", "striptags", "urlize", "wordwrap", "xmlattr")
# Methods that a template may call, by the type of the value. What is not here could make anything of any size.
_METHODS: dict[type, frozenset[str]] = {
    str: frozenset(
        (
            *(
                "capitalize",
                "casefold",
                "center",
                "count",
                "endswith",
                "expandtabs",
                "find",
                "format",
                "format_map",
            ),
            *("index", "isalnum", "isalpha", "isascii", "isdecimal", "isdigit", "isidentifier", "islower"),
            *("isnumeric", "isprintable", "isspace", "istitle", "isupper", "join", "ljust", "lower", "lstrip"),
            *("partition", "removeprefix", "removesuffix", "replace", "rfind", "rindex", "rjust", "rpartition"),
            *("rsplit", "rstrip", "split", "splitlines", "startswith", "strip", "swapcase", "title", "upper"),
            *("zfill", "unescape"),
        )
    ),
    dict: frozenset(("copy", "get", "items", "keys", "values")),
    list: frozenset(("copy", "count", "index")),
    tuple: frozenset(("count", "index")),
    range: frozenset(("count", "index")),
    int: frozenset(("bit_length", "is_integer")),
    float: frozenset(("is_integer",)),
}


def filters(known: Mapping[str, Callable[..., Any]]) -> dict[str, Callable[..., Any]]:
    """Return Jinja's filters, without those of no use, each a step of the rendering that bounds what it makes."""
    kept = {**known, "indent": _indent}
    return {name: _guarded(name, function) for name, function in kept.items() if name not in REMOVED_FILTERS}


def _guarded(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    # Jinja hands some filters its environment, or the like, before the value.
    passed = getattr(function, "jinja_pass_arg", None)
    start = 0 if passed is None else 1

    def guarded(*args: Any, **kwargs: Any) -> Any:
        limits.step()
        value, *rest = args[start:]
        if name == "join":
            value = limits.joined(_named(rest, kwargs, 0, "d", ""), value)
        elif check := _CHECKS.get(name):
            check(value, rest, kwargs)
        made = function(*args[:start], value, *rest, **kwargs)
        if isinstance(made, Generator):
            # A filter that is given another's items counts each of them, too: there may be a thousand in a row.
            return limits.each(made)
        return made if isinstance(made, Undefined) else limits.sized(made)

    if passed is not None:
        guarded.jinja_pass_arg = passed  # type: ignore[attr-defined]
    return guarded


def tests(known: Mapping[str, Callable[..., Any]]) -> dict[str, Callable[..., Any]]:
    """Return Jinja's tests, each a step of the rendering: `select` asks one for every item."""
    return {name: _counted(function) for name, function in known.items()}


def _counted(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def counted(*args: Any, **kwargs: Any) -> Any:
        limits.step()
        return function(*args, **kwargs)

    return counted


def _named(rest: list[Any], kwargs: Mapping[str, Any], at: int, name: str, default: Any = None) -> Any:
    return rest[at] if len(rest) > at else kwargs.get(name, default)


def _widths(value: Any, rest: list[Any], kwargs: Mapping[str, Any]) -> None:
    limits.require_width(*rest, *kwargs.values())


def _replace(value: Any, rest: list[Any], kwargs: Mapping[str, Any]) -> None:
    limits.replaced(value, _named(rest, kwargs, 0, "old", ""), _named(rest, kwargs, 1, "new", ""))


def _indented(value: Any, rest: list[Any], kwargs: Mapping[str, Any]) -> None:
    limits.indented(value, _named(rest, kwargs, 0, "width", 4))


def _tojson(value: Any, rest: list[Any], kwargs: Mapping[str, Any]) -> None:
    indent = _named(rest, kwargs, 0, "indent") or 0
    limits.require_width(indent)
    limits.require(limits.size_of(value) * (1 + (indent if isinstance(indent, int) else 0)))


def _format(value: Any, rest: list[Any], kwargs: Mapping[str, Any]) -> None:
    limits.operated("%", str(value), kwargs or tuple(rest))


def _sum(value: Any, rest: list[Any], kwargs: Mapping[str, Any]) -> None:
    if not isinstance(_named(rest, kwargs, 1, "start", 0), int | float):
        raise TemplateRuntimeError("sum adds numbers; join lists with +")


_CHECKS: dict[str, Callable[[Any, list[Any], Mapping[str, Any]], None]] = {
    "batch": _widths,
    "center": _widths,
    "format": _format,
    "indent": _indented,
    "replace": _replace,
    "round": _widths,
    "slice": _widths,
    "sum": _sum,
    "tojson": _tojson,
    "truncate": _widths,
}


def _indent(value: Any, width: int | str = 4, first: bool = False, blank: bool = False) -> Any:
    if not isinstance(value, Fragment):
        return do_indent(value, width, first, blank)
    if not isinstance(width, int):
        raise TemplateRuntimeError("indent takes a number of blanks for the output of a block or macro")
    return value.indent(width, first)


def called(function: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return the arguments with which a template may call the function.

    Raises TemplateRuntimeError for a method that templates do not have, and for one that would make too much.
    """
    limits.step()
    method = getattr(function, "__wrapped__", function)
    owner, name = getattr(method, "__self__", None), getattr(method, "__name__", "")
    kind = next((kind for kind in _METHODS if isinstance(owner, kind)), None)
    if kind is None:
        return args
    if name not in _METHODS[kind]:
        near = did_you_mean(name, _METHODS[kind])
        raise TemplateRuntimeError(f"a template has no method {name} of {kind.__name__}.{near}")
    if kind is str:
        return _called_on_text(str(owner), name, args, kwargs)
    return args


def _called_on_text(text: str, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Any, ...]:
    if name == "join" and args:
        return (limits.joined(text, args[0]), *args[1:])
    if name == "replace" and len(args) > 1:
        limits.replaced(text, args[0], args[1])
    elif name in ("format", "format_map"):
        limits.formatted(text, [args, dict(kwargs)])
    elif name == "expandtabs":
        width = args[0] if args else kwargs.get("tabsize", 8)
        limits.require_width(width)
        limits.require(len(text) + text.count("\t") * width)
    elif name in ("center", "ljust", "rjust", "zfill"):
        limits.require_width(*args)
    return args
