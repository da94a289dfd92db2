"""`airflow k8s-vault plan`: what is compiled beside what a live Vault and cluster hold. Nothing is changed."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence

from airflow_k8s_vault.commands import compile_sources, output
from airflow_k8s_vault.compile import RIGHTS, Source
from airflow_k8s_vault.compile.plan import Difference, Plan, cluster_differences, read_vault, vault_differences
from airflow_k8s_vault.compile.vault import asks_for, policies


@output.reports_errors
def plan(arguments: Namespace) -> int:
    """Print the differences; status 0 where there are none, 2 where there are, 1 where not all could be seen."""
    sources = compile_sources.read(arguments)
    if arguments.explain:
        return _explain(sources, arguments.explain)
    result = Plan(*compare(sources, arguments.only, not arguments.team))
    if arguments.output == "json":
        output.document(result.document(), "json")
    else:
        print("\n".join(result.lines()))
    return result.status


def compare(
    sources: Sequence[Source], only: str | None = None, all_teams: bool = True
) -> tuple[tuple[Difference, ...], int]:
    """Return the differences, and how many objects were compared."""
    differences: list[Difference] = []
    compared = 0
    if only != "kubernetes":
        print("Reading Vault", file=sys.stderr)
        live = read_vault(sources, os.environ, all_teams)
        differences += vault_differences(sources, live, all_teams)
        compared += len(live.policies) + len(live.roles)
    if only != "vault":
        # Imported here: the Kubernetes client takes half a second.
        from airflow_k8s_vault.compile.plan import read_cluster

        print("Reading Kubernetes", file=sys.stderr)
        cluster = read_cluster(sources, os.environ)
        differences += cluster_differences(sources, cluster, all_teams)
        compared += len(cluster.objects)
    return tuple(differences), compared


def _explain(sources: Sequence[Source], what: str) -> int:
    """Print who asks for a path of Vault, or a right of Kubernetes; status 1 where nobody does."""
    rows = [*_paths(sources, what), *_rights(sources, what)]
    if not rows:
        print(f"Nobody asks for {what}: no task, and no line of a team's file.", file=sys.stderr)
        return output.HAS_ERRORS
    output.show(rows, "table")
    return 0


def _paths(sources: Sequence[Source], what: str) -> Iterator[dict[str, str]]:
    matches = [
        (source, policy, rule) for source in sources for policy in policies(source) for rule in policy.rules
    ]
    for source, policy, rule in matches:
        for reason in rule.reasons if asks_for(rule, what, source) else ():
            allowed = f"{', '.join(rule.capabilities)} {rule.path}"
            yield {"team": source.team.name, "in": f"policy {policy.name}", "allows": allowed, "for": reason}


def _rights(sources: Sequence[Source], what: str) -> Iterator[dict[str, str]]:
    resource, _, verb = what.partition(":")
    for source in sources:
        needed = {"", *source.deliveries, *(["xcom"] if source.xcom_sidecar else [])}
        for right in RIGHTS:
            if right.resource == resource and right.when in needed and (not verb or verb in right.verbs):
                for who in right.who:
                    allowed = f"{', '.join(right.verbs)} {right.resource}"
                    role = f"Role airflow-{who} of {source.team.namespace}"
                    yield {"team": source.team.name, "in": role, "allows": allowed, "for": right.reason}
