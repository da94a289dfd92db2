"""Errors that only a change of the DAG or its template mends: Airflow does not try such a task again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from airflow.sdk.exceptions import AirflowFailException

from airflow_k8s_vault.errors import DeliveryUnavailable, K8sVaultError, VaultUnavailable


@contextmanager
def where(running: bool) -> Iterator[None]:
    """Within `with`, let what this package refuses fail a task for good; running: False at import.

    The error stays of its class, and is Airflow's AirflowFailException as well.
    """
    try:
        yield
    except (DeliveryUnavailable, VaultUnavailable):
        raise
    except K8sVaultError as error:
        if not running or isinstance(error, AirflowFailException):
            raise
        raise _class(type(error))(*error.args) from error.__cause__


_CLASSES: dict[type[K8sVaultError], type[K8sVaultError]] = {}


def _class(kind: type[K8sVaultError]) -> type[K8sVaultError]:
    if kind not in _CLASSES:
        _CLASSES[kind] = type(kind.__name__, (kind, AirflowFailException), {"__module__": kind.__module__})
    return _CLASSES[kind]
