"""`python -m tests.doctor.troubleshooting`: docs/troubleshooting.md, made from the catalogue and the errors."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path

from airflow_k8s_vault import errors
from airflow_k8s_vault.causes import CATEGORIES, CAUSES

PAGE = Path(__file__).parents[2] / "docs" / "troubleshooting.md"


def error_classes() -> list[type[Exception]]:
    """Return the errors of the package, in the order of their module."""
    mistakes_found = [
        item for item in vars(errors).values() if inspect.isclass(item) and issubclass(item, errors.K8sVaultError)
    ]
    return [item for item in mistakes_found if item is not errors.K8sVaultError]


def page() -> str:
    """Return the text of the page."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "# Troubleshooting"
    yield ""
    yield "Look for the code that `airflow k8s-vault doctor` shows, or for the kind of error in a task's log."
    yield "This page is made from the catalogue that `doctor` reads (`airflow_k8s_vault/causes.py`)."
    yield ""
    yield "```console"
    yield "$ airflow k8s-vault doctor --team payments --dags dags --from pod"
    yield "```"
    for category, title in CATEGORIES.items():
        yield ""
        yield f"## {title}"
        for cause in CAUSES:
            if cause.category == category:
                yield ""
                yield f"### {cause.code}"
                yield ""
                yield f"Checked: {cause.description}."
                yield ""
                yield cause.meaning
                yield ""
                yield f"What to do: {cause.hint}"
    yield ""
    yield "## Kinds of errors"
    for kind in error_classes():
        yield ""
        yield f"### {kind.__name__}"
        yield ""
        yield inspect.cleandoc(kind.__doc__ or "")


if __name__ == "__main__":
    PAGE.write_text(page())
