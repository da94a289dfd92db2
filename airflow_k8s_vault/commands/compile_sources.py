"""What `compile` and `plan` start from: team files, templates, settings and, where asked for, DAGs."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from airflow_k8s_vault import config, teams
from airflow_k8s_vault.commands import dag_secrets, output
from airflow_k8s_vault.commands.dag_secrets import DagSecrets
from airflow_k8s_vault.commands.templates import folder_of
from airflow_k8s_vault.compile import Account, Source, source_refusals, team_pods, team_refusals
from airflow_k8s_vault.delivery import VaultLogin
from airflow_k8s_vault.errors import K8sVaultError, TeamError, did_you_mean, error_list
from airflow_k8s_vault.teams import Team


class CompileError(K8sVaultError):
    """What the files say cannot be compiled."""

    exit_status = output.HAS_ERRORS


def read(arguments: Namespace) -> list[Source]:
    """Return the teams as they are compiled, in the order of their names.

    Raises CompileError with everything that is wrong, each with file and line: nothing is printed then.
    """
    return team_sources(folder_of(arguments), getattr(arguments, "team", None), dags_of(arguments))


def dags_of(arguments: Namespace) -> DagSecrets | None:
    """Return what the DAGs of --dags declare; None where it was not given."""
    if not getattr(arguments, "dags", None):
        return None
    # Nothing is known of how many there are until all are imported.
    print(f"Importing the DAGs of {arguments.dags}", file=sys.stderr)
    return dag_secrets.read_dag_secrets(Path(arguments.dags))


def team_sources(root: Path, only: Sequence[str] | None = None, dags: DagSecrets | None = None) -> list[Source]:
    """Return the sources of the teams named in `only`, or of all."""
    errors: list[str] = []
    known: list[Team] = []
    for name in teams.names(root):
        try:
            known.append(teams.load(name, root))
        except K8sVaultError as error:
            errors.append(str(error))
    names = [team.name for team in known]
    if not teams.names(root):
        errors.append(f"{root} has no team: no sub-folder with a team.yaml.")
    for name in only or ():
        if name not in teams.names(root):
            errors.append(f"Team '{name}' does not exist. Teams: {', '.join(names)}.{did_you_mean(name, names)}")
    errors += team_refusals(known)
    errors += _of_dags(dags)
    compiled: list[Source] = []
    if not errors:
        chosen = [team for team in known if not only or team.name in only]
        for team in output.with_progress(chosen, "Reading the templates of all teams"):
            try:
                compiled.append(_source(team, root, dags))
            except K8sVaultError as error:
                errors.append(str(error))
        errors += source_refusals(compiled)
    if errors:
        raise CompileError(error_list("This cannot be compiled:", dict.fromkeys(errors)))
    return compiled


def _of_dags(dags: DagSecrets | None) -> list[str]:
    if dags is None:
        return []
    return [f"{file} could not be imported: {error}" for file, error in dags.broken.items()] + list(dags.unknown)


def _source(team: Team, root: Path, dags: DagSecrets | None) -> Source:
    # Both are there: refused before where they are not.
    worker, triggerer = team.platform.worker or "", team.platform.triggerer or ""
    if team.walls.identity == "dag" and dags is None:
        raise TeamError(f"{team.where('identity')}: with identity: dag each DAG has an account: give --dags.")
    ids = dags.dags.get(team.name, ()) if dags and team.walls.identity == "dag" else ()
    return Source(
        team=team,
        login=VaultLogin.of_team(team),
        deliveries=team.walls.deliveries or _default_deliveries(),
        worker=Account.of(worker, team.name),
        triggerer=Account.of(triggerer, team.name),
        pods=team_pods(team.name, root),
        xcom_sidecar=_xcom_sidecar(team.platform.xcom_image) if team.walls.xcom else None,
        dags=ids,
        dag_labels=_labels(ids),
        declared=tuple(item for item in dags.declared if item.team == team.name) if dags else None,
    )


def _labels(dag_ids: Sequence[str]) -> dict[str, str]:
    from airflow.providers.cncf.kubernetes.pod_generator import make_safe_label_value

    return {dag_id: make_safe_label_value(dag_id) for dag_id in dag_ids}


def _default_deliveries() -> tuple[str, ...]:
    default = config.get("default_delivery")
    return config.DELIVERIES if default == config.AUTO else (default,)


class _NoConnection:
    """What the Kubernetes connection says of the XCom sidecar: its image, as platform.yaml has it."""

    def __init__(self, image: str | None) -> None:
        self.image = image

    def get_xcom_sidecar_container_image(self) -> str | None:
        return self.image

    def get_xcom_sidecar_container_resources(self) -> None:
        return None


@lru_cache(maxsize=64)
def _xcom_sidecar(image: str | None) -> Mapping[str, Any]:
    # Imported here: KubernetesPodOperator takes two seconds.
    from kubernetes.client import ApiClient, Configuration

    from airflow_k8s_vault.operators import restricted_context, xcom_container

    made = xcom_container(_NoConnection(image), restricted_context())
    manifest: Mapping[str, Any] = ApiClient(Configuration()).sanitize_for_serialization(made)
    return manifest
