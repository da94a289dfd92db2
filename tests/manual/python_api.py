"""The page of the public Python API: names, types and defaults as the code has them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

import airflow_k8s_vault
from airflow_k8s_vault import errors

# A line of a docstring that begins with what it describes.
_ARGUMENT = re.compile(r"[a-z_]+(, [a-z_]+)*: ")


def page() -> Iterator[str]:
    """Yield the page's lines."""
    yield "# Python"
    yield ""
    yield "All that a DAG imports is in `airflow_k8s_vault`; `@task.vault_pod` is a decorator of Airflow's."
    yield "What is not here may change with any release."
    for name in sorted(airflow_k8s_vault.__all__):
        yield from _described(name, getattr(airflow_k8s_vault, name))
    yield ""
    yield "## Errors"
    yield ""
    yield "In `airflow_k8s_vault.errors`. All of them are `K8sVaultError`s."
    yield ""
    yield "| error | |"
    yield "|---|---|"
    for name, kind in sorted(vars(errors).items()):
        if inspect.isclass(kind) and issubclass(kind, errors.K8sVaultError) and kind.__module__ == errors.__name__:
            first = (inspect.getdoc(kind) or "").partition("\n\n")[0]
            yield f"| `{name}` | {' '.join(first.split())} |"


def _described(name: str, thing: Any) -> Iterator[str]:
    yield ""
    yield f"## {name}"
    yield ""
    first, _, rest = inspect.cleandoc(thing.__doc__ or "").partition("\n\n")
    yield first.replace("\n", " ")
    yield ""
    yield "```python"
    yield f"def {name}("
    yield from (f"    {line}," for line in _arguments(inspect.signature(thing)))
    made = name if inspect.isclass(thing) else str(inspect.signature(thing).return_annotation).strip("'")
    yield f") -> {made}: ..."
    yield "```"
    text = rest.partition(">>> ")[0].replace("<", "&lt;")
    for paragraph in text.strip().split("\n\n"):
        yield ""
        for line in paragraph.splitlines():
            yield from ["", f"- {line}"] if _ARGUMENT.match(line) else [line]


def _arguments(signature: inspect.Signature) -> Iterator[str]:
    by_name = False
    for parameter in signature.parameters.values():
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY and not by_name:
            by_name = True
            yield "*"
        yield _shown(parameter)


def _shown(parameter: inspect.Parameter) -> str:
    if parameter.kind is inspect.Parameter.VAR_KEYWORD:
        return f"**{parameter.name}"
    kind = str(parameter.annotation).strip("'\"")
    # With the quotation marks that ruff gives the page's blocks.
    value = repr(parameter.default).replace("'", '"')
    default = "" if parameter.default is inspect.Parameter.empty else f" = {value}"
    return f"{parameter.name}: {kind}{default}"
