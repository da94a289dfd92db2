"""How little and how much a variable, an environment and a Secret may hold: the limits of others, named once."""

from __future__ import annotations

from collections.abc import Mapping

# The kubelet's, for one variable from a file (KEP-3721).
AGENT_VARIABLE_BYTES = 32 * 1024
# The agent's configuration is in variables of its container: each below Linux' limit, and all of them below what
# the API server takes for one object (1.5 MiB), where every dollar sign is written twice.
AGENT_CONFIG_PART_BYTES, AGENT_CONFIG_BYTES = 96 * 1024, 640 * 1024
# The lines of one environment file's template, before they are written as JSON.
AGENT_TEMPLATE_BYTES = 32 * 1024
# Linux, for one `NAME=value` with the byte that ends it (MAX_ARG_STRLEN).
VARIABLE_BYTES = 128 * 1024
# What the secrets of one container may take of its environment: Linux takes 2 MiB of variables and arguments, with
# the usual stack of 8 MiB (execve(2)), and some of it is the image's and the template's.
ENVIRONMENT_BYTES = 1536 * 1024
# Kubernetes, for the values of one Secret together (MaxSecretSize).
SECRET_BYTES = 1024 * 1024
# Of a variable: the kubelet takes an empty value in a file for a missing key, so no delivery gives one.
EMPTY = "is empty, which no variable is given: give it a value in Vault, or take it as a file"


def variable_errors(what: str, name: str, value: str) -> list[str]:
    """Return a sentence where the variable cannot be given to a process. what: where the value is from."""
    size = len(value.encode())
    if not value:
        return [f"{what} {EMPTY}"]
    if "\0" in value:
        return [f"{what} holds a NUL, which a variable cannot carry: use file="]
    if len(name.encode()) + size + 2 > VARIABLE_BYTES:
        return [
            f"{what} has {size} bytes, and Linux takes {VARIABLE_BYTES} at most for a variable with its name "
            f"({name}): use file="
        ]
    return []


def secret_errors(values: Mapping[str, str | bytes]) -> list[str]:
    """Return a sentence where these values, by what they are, are too much for one Secret."""
    sizes = {what: len(value.encode() if isinstance(value, str) else value) for what, value in values.items()}
    if sum(sizes.values()) <= SECRET_BYTES:
        return []
    largest = sorted(sizes, key=lambda what: -sizes[what])[:3]
    return [
        f"the task's secrets have {sum(sizes.values())} bytes together, and a Secret of Kubernetes holds "
        f"{SECRET_BYTES}: use delivery='agent' with file= for the largest "
        f"({', '.join(f'{what}: {sizes[what]}' for what in largest)})"
    ]
