"""The rule on which service account a DAG's pods run as, where the team has `identity: dag`."""

from __future__ import annotations

from collections.abc import Iterator

from airflow_k8s_vault.compile import cel
from airflow_k8s_vault.compile.admission.rule import Rule
from airflow_k8s_vault.compile.source import Source
from airflow_k8s_vault.teams import dag_identity

# Each of about 100 characters: the API server reads 100,000 in one expression.
_IN_ONE_MAP = 400
_LABEL = "variables.labels.dag_id"


def variables(source: Source) -> dict[str, str]:
    """Return the policy's maps of a DAG, as its pods' label `dag_id` has it, to its service account."""
    accounts = {
        label: dag_identity(source.team.service_account, dag_id)
        for dag_id, label in sorted(source.dag_labels.items())
    }
    labels = sorted(accounts)
    parts = [labels[begin : begin + _IN_ONE_MAP] for begin in range(0, len(labels), _IN_ONE_MAP)]
    return {
        f"accounts{number}": f"{{{', '.join(f'{cel.literal(k)}: {cel.literal(accounts[k])}' for k in part)}}}"
        for number, part in enumerate(parts)
    }


def of_dags(source: Source) -> Iterator[Rule]:
    """Yield the rule; the label is one that only Airflow's own accounts set."""
    if source.team.walls.identity != "dag":
        return
    at = [f"variables.{name}" for name in variables(source)]
    options = [f"{_LABEL} in {one} && object.spec.serviceAccountName == {one}[{_LABEL}]" for one in at]
    yield Rule(
        f'"dag_id" in variables.labels && {cel.any_of(options)}',
        "Pods of a DAG run as that DAG's service account; compile and apply where the DAG is new.",
    )
