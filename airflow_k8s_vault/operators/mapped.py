"""Mapped tasks: what `partial` and `expand` say at import is checked there, not when the task runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, product
from typing import Any

from airflow.sdk.definitions.mappedoperator import MappedOperator, OperatorPartial

from airflow_k8s_vault.operators import import_check

# Of lists that are written out in the DAG. Airflow itself maps 1024 times at most by default.
_MOST = 1024
# What VaultPodOperator adds to KubernetesPodOperator's arguments.
OWN = ("pod_template", "team", "template_vars", "vault_secrets", "delivery", "allow_literals")


class CheckedPartial(OperatorPartial):
    """Airflow's, but `expand` raises what VaultPodOperator raises of the arguments that are known by then."""

    @classmethod
    def of(cls, partial: OperatorPartial) -> CheckedPartial:
        """Return this one in the place of Airflow's."""
        # Else Airflow warns that a task was never mapped, when the other one goes.
        partial._expand_called = True
        return cls(operator_class=partial.operator_class, kwargs=partial.kwargs, params=partial.params)

    def expand(self, **mapped: Any) -> MappedOperator:
        self._check_names(mapped)
        return super().expand(**mapped)

    def _expand(self, expand_input: Any, *, strict: bool) -> MappedOperator:
        operator: Any = self.operator_class
        given = {**defaults(self.kwargs.get("dag"), self.kwargs.get("task_group")), **self.kwargs}
        # For a task that fails to be made, Airflow's warning that it was never mapped says nothing.
        self._expand_called = True
        with import_check.naming(self.kwargs.get("dag")), import_check.ErrorCollector() as errors:
            for known, unknown in islice(_rounds(expand_input.value), _MOST):
                later = tuple(unknown - set(self.kwargs))
                errors(operator.checked, self.kwargs["task_id"], {**given, **known}, known, later)
        return super()._expand(expand_input, strict=strict)

    def _check_names(self, names: Mapping[str, Any]) -> None:
        operator: Any = self.operator_class
        try:
            operator.check_names(self.kwargs["task_id"], names)
        except Exception:
            self._expand_called = True
            raise


def defaults(dag: Any, task_group: Any) -> dict[str, Any]:
    """Return the default arguments of a task in that DAG and group."""
    return {**(getattr(dag, "default_args", None) or {}), **(getattr(task_group, "default_args", None) or {})}


def _rounds(value: Any) -> Iterator[tuple[dict[str, Any], set[str]]]:
    """Yield what is known of each task that the expansion makes, and the names of what only its run will tell."""
    if isinstance(value, Mapping):
        lists = {name: items for name, items in value.items() if _is_written_out(items)}
        unknown = set(value) - set(lists)
        for items in product(*lists.values()):
            yield dict(zip(lists, items, strict=True)), unknown
        return
    for item in value if _is_written_out(value) else ():
        if isinstance(item, Mapping):
            known = {name: each for name, each in item.items() if not _comes_from_a_task(each)}
            yield known, set(item) - set(known)
    if not _is_written_out(value):
        # Another task says which arguments there are: any of ours may be among them.
        yield {}, set(OWN)


def _is_written_out(items: Any) -> bool:
    is_list = isinstance(items, Sequence) and not isinstance(items, str)
    return is_list and len(items) > 0 and not any(map(_comes_from_a_task, items))


def _comes_from_a_task(item: Any) -> bool:
    return hasattr(type(item), "iter_references")
