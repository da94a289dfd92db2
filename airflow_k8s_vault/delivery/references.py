"""References of one variable to another, `$(NAME)`, as the kubelet expands them.

It expands NAME in a variable's value only where NAME stands before it in the same container, and in command and
args wherever it stands; `$$(NAME)` is the text $(NAME). Everything else stays as it is, without a word:
https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from airflow_k8s_vault.errors import DeliveryRefused, error_list
from airflow_k8s_vault.neighbours import secret_variables

# What begins with $ and is no reference: an escape. Read from the left, as the kubelet does.
_REFERENCE = re.compile(r"\$(?:\$|\(([^)]{0,512})\))")


def names(text: str) -> list[str]:
    """Return the names that a text refers to.

    >>> names("postgresql://$(PGUSER):$$(PGPASSWORD)@$(HOST)")
    ['PGUSER', 'HOST']
    """
    return [result[1] for result in _REFERENCE.finditer(text) if result[1]]


def errors(pod: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each reference to a secret's variable that a v1 Pod's containers would not expand."""
    secrets = secret_variables(pod)
    spec = pod["spec"]
    containers = [*(spec.get("initContainers") or ()), *spec["containers"]]
    return [error for container in containers for error in _of_container(container, secrets)]


def require_expanded(pod: Mapping[str, Any]) -> None:
    """Raise DeliveryRefused, with all errors, where the final pod has such a reference."""
    if result := errors(pod):
        raise DeliveryRefused(error_list("The pod refers to secrets that would not be filled in:", result))


def _of_container(container: Mapping[str, Any], secrets: Mapping[str, set[str]]) -> Iterator[str]:
    everywhere = set().union(*secrets.values())
    where = f"container '{container['name']}'"
    known: set[str] = set()
    variables = container.get("env") or ()
    # What envFrom brings stands before all others, and only the cluster knows its names.
    elsewhere = {v["name"] for v in variables} if not container.get("envFrom") else everywhere
    for variable in variables:
        for name in names(str(variable.get("value") or "")):
            if name not in known and name in everywhere & elsewhere and not container.get("envFrom"):
                yield f"{where}: {variable['name']} refers to $({name}), which stands after it: put it before."
            elif name in everywhere - elsewhere:
                yield f"{where}: {variable['name']} refers to $({name}), {_given_to(name, secrets)}."
        known.add(variable["name"])
    for field in ("command", "args"):
        words: Iterable[Any] = container.get(field) or ()
        for name in sorted({name for word in words for name in names(str(word))} & (everywhere - elsewhere)):
            yield f"{where}: {field} refers to $({name}), {_given_to(name, secrets)}."


def _given_to(name: str, secrets: Mapping[str, set[str]]) -> str:
    there = ", ".join(f"'{container}'" for container, variables in secrets.items() if name in variables)
    return f"which is given to container {there} alone; write $$({name}) where the text itself is meant"
