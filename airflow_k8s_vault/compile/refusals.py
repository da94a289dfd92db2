"""What is not compiled: teams that share what sets them apart, and roles or paths that are wider than a team."""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from airflow_k8s_vault.compile import network
from airflow_k8s_vault.compile.source import Source
from airflow_k8s_vault.compile.vault import policy
from airflow_k8s_vault.teams import Team, dag_identity, identity_fits

# Vault's own paths: who reads or writes there changes who may do what.
_RESERVED = ("sys", "auth", "identity", "cubbyhole")


def team_refusals(teams: Iterable[Team]) -> Iterator[str]:
    """Yield what is wrong between all teams and in each, with file and line; sorted by team."""
    ordered = sorted(teams, key=lambda team: team.name)
    for key in ("namespace", "vault_role"):
        users: dict[str, list[Team]] = defaultdict(list)
        for team in ordered:
            users[getattr(team, key)].append(team)
        for value, sharing in users.items():
            for team in sharing[1:]:
                yield (
                    f"{team.where(key)}: {key} '{value}' is team '{sharing[0].name}''s as well "
                    f"({sharing[0].where(key)}): a team has its own."
                )
    for team in ordered:
        yield from _of_platform(team)
        yield from _of_ceiling(team)
        yield from _of_tokens(team)


def source_refusals(sources: Sequence[Source]) -> Iterator[str]:
    """Yield what is wrong with the teams that are compiled."""
    for source in sources:
        team = source.team
        if not source.login.audience:
            yield f"[k8s_vault] vault_token_audience is empty: role {team.vault_role} would take any token."
        yield from network.mistakes(source)
        yield from policy.errors(source)
        if team.walls.identity == "dag":
            yield from _of_dags(source)


def _of_platform(team: Team) -> Iterator[str]:
    if team.platform.worker is None or team.platform.triggerer is None:
        yield (
            f"{team.platform_where('airflow')}: airflow is missing. Name the accounts of worker and triggerer in "
            "platform.yaml: airflow: {worker: airflow/airflow-worker, triggerer: airflow/airflow-triggerer}."
        )


def _of_ceiling(team: Team) -> Iterator[str]:
    for key, path in [(f"{k}[{n}]", p) for k in ("secrets", "update") for n, p in enumerate(getattr(team, k))]:
        where = f"{team.where(key)}: '{path}'"
        mount, _, rest = path.partition("/")
        if mount in _RESERVED:
            yield f"{where} is Vault's own: who reads or writes there decides about everybody's rights."
        elif set(rest) <= {"*", "/"} and mount not in team.platform.whole_mounts:
            allowed = team.platform_where("whole_mounts")
            yield f"{where} is a whole mount, every team's secrets among them: not in whole_mounts ({allowed})."


def _of_tokens(team: Team) -> Iterator[str]:
    limits = [ipaddress.ip_network(cidr, strict=False) for cidr in team.platform.token.bound_cidrs]
    for cidr in team.walls.token.bound_cidrs:
        own = ipaddress.ip_network(cidr, strict=False)
        if limits and not any(_within(own, limit) for limit in limits):
            listed = ", ".join(map(str, limits))
            yield (
                f"{team.where('token_bound_cidrs')}: {cidr} is not within the platform's {listed} "
                f"({team.platform_where('token_bound_cidrs')})."
            )


def _within(own: ipaddress.IPv4Network | ipaddress.IPv6Network, limit: object) -> bool:
    if isinstance(own, ipaddress.IPv4Network):
        return isinstance(limit, ipaddress.IPv4Network) and own.subnet_of(limit)
    return isinstance(limit, ipaddress.IPv6Network) and own.subnet_of(limit)


def _of_dags(source: Source) -> Iterator[str]:
    team = source.team
    if not identity_fits(team.service_account):
        yield f"{team.where('service_account')}: with identity: dag the name has at most 45 characters."
    named: dict[str, str] = {}
    for dag_id in source.dags:
        name = dag_identity(team.service_account, dag_id)
        if name in named:
            yield f"DAGs '{named[name]}' and '{dag_id}' would share the account '{name}': rename one."
        named[name] = dag_id
