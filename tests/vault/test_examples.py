"""The examples in the docstrings of both packages run."""

from __future__ import annotations

import doctest
import pkgutil
from importlib import import_module

import pytest

import airflow_k8s_vault.secrets_backend
import airflow_k8s_vault.vault

MODULES = [
    f"{package.__name__}.{module.name}"
    for package in (airflow_k8s_vault.vault, airflow_k8s_vault.secrets_backend)
    for module in pkgutil.iter_modules(package.__path__)
]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_run(name: str) -> None:
    assert doctest.testmod(import_module(name)).failed == 0
