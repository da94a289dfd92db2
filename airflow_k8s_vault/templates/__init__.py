"""Pod templates by name: find one, check the variables that a DAG gives it, render it to a pod.

What only commands and the page need loads on first use: DAG files are parsed all the time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_k8s_vault.door import lazy_door
from airflow_k8s_vault.templates.find_template import find
from airflow_k8s_vault.templates.folder import NAME, SUFFIX, template_folder
from airflow_k8s_vault.templates.fragment import CLOSE_MARK, OPEN_MARK, Fragment, Text, Value
from airflow_k8s_vault.templates.merge import merge_pods, without_repeats
from airflow_k8s_vault.templates.spelling import spelled_value
from airflow_k8s_vault.templates.template import BASE_CONTAINER, PodTemplate
from airflow_k8s_vault.templates.variables import CONTEXT_NAMES, VARIABLES_SUFFIX, Variable, holds_jinja

if TYPE_CHECKING:
    from airflow_k8s_vault.templates.explain import Field, explained_fields, field_tree
    from airflow_k8s_vault.templates.lint import lint_folder, lint_templates
    from airflow_k8s_vault.templates.lint_team import Finding
    from airflow_k8s_vault.templates.samples import SAMPLE_CONTEXT, simplest_values, values_at_the_limits

__all__ = [
    "BASE_CONTAINER",
    "CLOSE_MARK",
    "CONTEXT_NAMES",
    "NAME",
    "OPEN_MARK",
    "SAMPLE_CONTEXT",
    "SUFFIX",
    "VARIABLES_SUFFIX",
    "Field",
    "Finding",
    "Fragment",
    "PodTemplate",
    "Text",
    "Value",
    "Variable",
    "explained_fields",
    "field_tree",
    "find",
    "holds_jinja",
    "lint_folder",
    "lint_templates",
    "merge_pods",
    "simplest_values",
    "spelled_value",
    "template_folder",
    "values_at_the_limits",
    "without_repeats",
]

__getattr__ = lazy_door(
    __name__,
    {
        "SAMPLE_CONTEXT": "samples",
        "Field": "explain",
        "Finding": "lint_team",
        "explained_fields": "explain",
        "field_tree": "explain",
        "lint_folder": "lint",
        "lint_templates": "lint",
        "simplest_values": "samples",
        "values_at_the_limits": "samples",
    },
)
