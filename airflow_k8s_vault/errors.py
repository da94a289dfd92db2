"""Everything this package raises on purpose: one base, one sentence per child.

Messages name what was requested, what was found and what to do next. They never hold a secret's value.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from itertools import islice

# To compare two texts takes up to the cube of their length: nobody means a name of more characters.
_LONGEST_NAME, _MOST_NAMES = 250, 1_000


class K8sVaultError(Exception):
    """Base of all errors of airflow-k8s-vault."""


class ConfigError(K8sVaultError):
    """A setting of this package is missing or has no valid value."""


class TeamError(K8sVaultError):
    """A team is unknown, or its team.yaml is not valid."""


class TemplateError(K8sVaultError):
    """A pod template is missing, cannot be rendered, or is no valid v1 Pod."""


class MigrationError(K8sVaultError):
    """What somebody has cannot be taken over as it is."""


class SecretSpecError(K8sVaultError):
    """A VaultSecret asks for something that no Vault path, key, variable or file can be."""


class ArgumentError(K8sVaultError, TypeError):
    """A task is given an argument that there is not, or that what makes the task sets itself."""


class PolicyError(K8sVaultError):
    """A DAG or a pod asks for more than its team may have."""


class DeliveryRefused(K8sVaultError):
    """Vault, or the cluster, said no: trying again cannot help."""


class DeliveryUnavailable(K8sVaultError):
    """Vault could not be reached in time: trying again may help."""


class ForeignPod(K8sVaultError):
    """A pod has the name or the labels of a task's, and is not the one that the task made."""


class VaultError(K8sVaultError):
    """A look-up in Vault failed."""


class VaultRefused(VaultError):
    """Vault said no to a login or to a path: trying again cannot help."""


class VaultUnavailable(VaultError):
    """Vault could not be reached, is sealed or overloaded: trying again may help.

    status: what the last answer was, None where there was none.
    """

    status: int | None = None


class SecretShapeError(VaultError):
    """A secret is there, but it does not hold what was looked for."""


def error_list(headline: str, actual: Iterable[str]) -> str:
    """Return one message that lists all mistakes at once.

    >>> print(error_list("Task 'load' has 2 mistakes:", ["no path", "no key"]))
    Task 'load' has 2 mistakes:
      - no path
      - no key
    """
    return "\n".join([headline, *(f"  - {problem}" for problem in actual)])


def did_you_mean(requested: str, known: Iterable[str]) -> str:
    """Return " Did you mean 'x'?" for the nearest known name, or "" when nothing is near.

    >>> did_you_mean("etk", ["etl", "default"])
    " Did you mean 'etl'?"
    """
    if len(requested) > _LONGEST_NAME:
        return ""
    names = (name for name in known if len(name) <= _LONGEST_NAME)
    near = get_close_matches(requested, islice(names, _MOST_NAMES), n=1)
    return f" Did you mean '{near[0]}'?" if near else ""
