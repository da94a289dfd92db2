"""`@task.vault_pod`: a Python function that runs in a pod of a named template, as `@task.kubernetes` runs one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from airflow.providers.cncf.kubernetes.decorators.kubernetes import _KubernetesDecoratedOperator
from airflow.sdk.bases.decorator import TaskDecorator, task_decorator_factory

from airflow_k8s_vault.operators.vault_pod import VaultPodOperator


class _VaultPodDecoratedOperator(_KubernetesDecoratedOperator, VaultPodOperator):
    """The function travels as `@task.kubernetes` sends it; the pod and its secrets are VaultPodOperator's."""

    custom_operator_name = "@task.vault_pod"
    # What the decorator itself sets is no choice of the DAG author's.
    set_by_package = frozenset({"cmds", "name", "random_name_suffix"})

    template_fields: Sequence[str] = tuple(
        {"op_args", "op_kwargs", *VaultPodOperator.template_fields} - {"cmds", "arguments"}
    )


def vault_pod_task(
    python_callable: Callable[..., Any] | None = None, multiple_outputs: bool | None = None, **kwargs: Any
) -> TaskDecorator:
    """Return the decorator; takes what VaultPodOperator takes, except for `cmds` and `arguments`.

    The template's image has to have bash and Python.

    >>> @vault_pod_task(pod_template="payments/python")
    ... def count(rows: list[int]) -> int:
    ...     return len(rows)
    """
    return task_decorator_factory(
        python_callable=python_callable,
        multiple_outputs=multiple_outputs,
        decorated_operator_class=_VaultPodDecoratedOperator,
        **kwargs,
    )
