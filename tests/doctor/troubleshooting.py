"""`python -m tests.doctor.troubleshooting`: docs/troubleshooting.md, made from the catalogue and the errors."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path

from airflow_k8s_vault import causes, errors
from airflow_k8s_vault.causes import CATEGORIES, CAUSES, Cause
from tests.doctor.messages import Message, all_messages
from tests.doctor.remedies import REMEDIES

PAGE = Path(__file__).parents[2] / "docs" / "troubleshooting.md"
TEAM = "payments"


def page() -> str:
    """Return the text of the page."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "# Troubleshooting"
    yield ""
    yield "Look for the code that `airflow k8s-vault doctor` shows, or for the first line of a failure: each"
    yield "message has its heading, with … for what is filled in. This page is made from `doctor`'s own catalogue"
    yield "(`airflow_k8s_vault/causes.py`) and from the messages as they stand in the code."
    yield ""
    yield "```console"
    yield "$ airflow k8s-vault doctor --team payments --dags dags --from pod"
    yield "```"
    for category, title in CATEGORIES.items():
        yield ""
        yield f"## {title}"
        for cause in CAUSES:
            if cause.category == category:
                yield from _cause(cause)
    yield ""
    yield "## Messages"
    for kind in REMEDIES:
        yield from _kind(kind, [message for message in all_messages() if message.kind == kind])


def _cause(cause: Cause) -> Iterator[str]:
    yield from ["", f"### {cause.code}", "", f"Checked: {cause.description}."]
    yield from ["", cause.meaning, ""]
    yield from ["```console", f"$ {causes.command(cause.code, TEAM)}", f"× {cause.description}", "```"]
    yield from ["", f"What to do: {cause.hint}"]


def _kind(kind: str, messages: list[Message]) -> Iterator[str]:
    remedy = REMEDIES[kind]
    described = inspect.cleandoc(getattr(errors, kind).__doc__ or "") if hasattr(errors, kind) else ""
    yield from ["", f"### {kind}", ""]
    yield from [described.splitlines()[0], ""] if described else []
    yield from [remedy.meaning, "", "Before:", "", f"```{remedy.language}", remedy.before, "```", ""]
    yield from ["After:", "", f"```{remedy.language}", remedy.after, "```"]
    for message in messages:
        yield from _message(message)


def _message(message: Message) -> Iterator[str]:
    yield from ["", f"#### `{message.headline}`"]
    # What is filled in, or what to do: the message says it itself.
    rest = [line.strip() for line in message.text.splitlines()[1:] if line.strip(" …")]
    if rest:
        yield from ["", "It goes on:", "", "```text", *rest, "```"]
    if message.step:
        yield from ["", f"Look further with `{causes.command(message.step, TEAM)}`: {message.step} above."]


if __name__ == "__main__":
    PAGE.write_text(page())
