"""`@task.vault_pod`: a Python function that runs in a pod of a named template, as `@task.kubernetes` runs one."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, cast

from airflow.providers.cncf.kubernetes.decorators.kubernetes import _KubernetesDecoratedOperator
from airflow.sdk.bases.decorator import TaskDecorator, _TaskDecorator, task_decorator_factory
from airflow.sdk.definitions._internal.contextmanager import DagContext, TaskGroupContext

from airflow_k8s_vault.operators.mapped import defaults
from airflow_k8s_vault.operators.vault_pod import VaultPodOperator

_MADE_HERE = (
    "@task.vault_pod makes the command itself, to run the function: leave it out, or use VaultPodOperator."
)


class _VaultPodDecoratedOperator(_KubernetesDecoratedOperator, VaultPodOperator):
    """The function travels as `@task.kubernetes` sends it; the pod and its secrets are VaultPodOperator's."""

    custom_operator_name = "@task.vault_pod"
    set_itself: ClassVar[Mapping[str, str]] = {"cmds": _MADE_HERE, "arguments": _MADE_HERE}

    named_itself: ClassVar[frozenset[str]] = frozenset(("name", "do_xcom_push"))

    template_fields: Sequence[str] = tuple(
        {"op_args", "op_kwargs", *VaultPodOperator.template_fields} - {"cmds", "arguments"}
    )

    def __init__(self, **kwargs: Any) -> None:
        # What the decorator adds to it, a name and a command, is no choice of the DAG author's.
        self._given = dict(kwargs)
        given = {**(kwargs.get("default_args") or {}), **kwargs}
        if "do_xcom_push" not in given:
            # As in Airflow's other decorators: what a function returns is there for the next task.
            kwargs["do_xcom_push"] = returns_something(kwargs["python_callable"])
        for name in self.set_itself:
            # Told by VaultPodOperator; here they would clash with the decorator's own.
            kwargs.pop(name, None)
        super().__init__(**kwargs, arguments=[])

    def _written_text(self) -> str:
        # The function's source is in the pod's environment.
        source = self.get_python_source()  # type: ignore[no-untyped-call]
        return f"{super()._written_text()}\n{source}"

    def _passed(self, kwargs: Mapping[str, Any]) -> Mapping[str, Any]:
        return self._given


class _VaultPodTaskDecorator(_TaskDecorator[Any, Any, Any]):
    """Airflow's, but a mapped function raises at import what VaultPodOperator raises of its arguments."""

    def _expand(self, expand_input: Any, *, strict: bool) -> Any:
        operator = cast(type[VaultPodOperator], self.operator_class)
        dag = self.kwargs.get("dag") or DagContext.get_current()
        group = self.kwargs.get("task_group") or (TaskGroupContext.get_current(dag) if dag else None)
        operator.checked(str(self.kwargs["task_id"]), {**defaults(dag, group), **self.kwargs}, self.kwargs)
        return super()._expand(expand_input, strict=strict)


def returns_something(function: Callable[..., Any]) -> bool:
    """Whether a function has a `return` with a value; False where its source cannot be read.

    >>> returns_something(textwrap.dedent)
    True
    """
    try:
        (top,) = ast.parse(textwrap.dedent(inspect.getsource(function))).body
    except (OSError, TypeError, SyntaxError, ValueError):
        return False
    waiting: list[ast.AST] = list(getattr(top, "body", []))
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Return) and node.value is not None and not _is_none(node.value):
            return True
        # What an inner function returns is its own.
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            waiting += ast.iter_child_nodes(node)
    return False


def _is_none(value: ast.AST) -> bool:
    return isinstance(value, ast.Constant) and value.value is None


def vault_pod_task(
    python_callable: Callable[..., Any] | None = None, multiple_outputs: bool | None = None, **kwargs: Any
) -> TaskDecorator:
    """Return the decorator; takes what VaultPodOperator takes, except for `cmds` and `arguments`.

    The template's image has to have bash and Python. What the function returns becomes the task's XCom, unless
    `do_xcom_push=False` says otherwise.

    >>> @vault_pod_task(pod_template="payments/python")
    ... def count(rows: list[int]) -> int:
    ...     return len(rows)
    """
    made: Any = task_decorator_factory(
        python_callable=python_callable,
        multiple_outputs=multiple_outputs,
        decorated_operator_class=_VaultPodDecoratedOperator,
        **kwargs,
    )
    if isinstance(made, _TaskDecorator):
        return _checked(made)

    def decorate(function: Callable[..., Any]) -> TaskDecorator:
        return _checked(made(function))

    return cast(TaskDecorator, decorate)


def _checked(made: Any) -> TaskDecorator:
    """Return Airflow's decorator of a function as ours."""
    names = ("function", "operator_class", "multiple_outputs", "kwargs", "decorator_name")
    ours: Any = _VaultPodTaskDecorator
    return cast(TaskDecorator, ours(**{name: getattr(made, name) for name in names}))
