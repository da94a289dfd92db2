"""The pod that a template gives with some variables: its YAML, where each field comes from, and the DAG's code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import yaml

from airflow_k8s_vault.dag_code import literal
from airflow_k8s_vault.errors import K8sVaultError
from airflow_k8s_vault.page.form import Form
from airflow_k8s_vault.templates import SAMPLE_CONTEXT, Field, PodTemplate, explained_fields, simplest_values


class Preview(NamedTuple):
    """The rendered pod; `error` says why there is none, in the words that a DAG's import gives."""

    manifest: str
    fields: list[Field]
    error: str


def of(template: PodTemplate, form: Form) -> Preview:
    """Return the pod of the template with the form's values; required ones that are missing are made up."""
    if not form.is_valid:
        return Preview("", [], "")
    values = {**simplest_values(template), **form.values}
    try:
        pod = template.render(values, SAMPLE_CONTEXT)
        fields = explained_fields(template, values, SAMPLE_CONTEXT)
    except K8sVaultError as error:
        return Preview("", [], str(error))
    return Preview(yaml.safe_dump(pod, sort_keys=False, allow_unicode=True), fields, "")


def code(template: PodTemplate, values: Mapping[str, Any]) -> str:
    """Return the call of VaultPodOperator with these variables, ready to paste into a DAG file.

    >>> from types import SimpleNamespace
    >>> print(code(SimpleNamespace(name="payments/etl"), {"memory": "2Gi"}))
    from airflow_k8s_vault import VaultPodOperator
    <BLANKLINE>
    VaultPodOperator(
        task_id="etl",
        pod_template="payments/etl",
        template_vars={"memory": "2Gi"},
    )
    """
    short = template.name.rpartition("/")[2]
    lines = [f"task_id={literal(short)}", f"pod_template={literal(template.name)}"]
    if values:
        lines.append(f"template_vars={literal(values)}")
    body = "".join(f"    {line},\n" for line in lines)
    return f"from airflow_k8s_vault import VaultPodOperator\n\nVaultPodOperator(\n{body})"
