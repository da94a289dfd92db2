"""Policies and roles: compiled beside those of a live Vault. Pure functions; live_vault reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_k8s_vault.compile.plan import hcl
from airflow_k8s_vault.compile.plan.difference import Difference, Field, fields
from airflow_k8s_vault.compile.source import Source
from airflow_k8s_vault.compile.vault import Policy, Role, policies, roles

_PREFIX = "airflow-"
_WHERE = "vault"
# What gives more where it is larger, where it is not set, or where it holds more.
_LIVES = ("token_ttl", "token_max_ttl", "token_explicit_max_ttl", "token_period")
_BOUND = ("bound_service_account_names", "bound_service_account_namespaces", "token_policies", "bound_audiences")


@dataclass(frozen=True)
class LiveVault:
    """What was read. policies, roles: name to what is there, None where nothing is. unseen: name to the reason.

    other_roles: the roles of the same auth mount that are not compiled, by path.
    """

    policies: Mapping[str, str | None] = field(default_factory=dict)
    policy_names: tuple[str, ...] = ()
    roles: Mapping[str, Mapping[str, Any] | None] = field(default_factory=dict)
    other_roles: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    unseen: Mapping[str, str] = field(default_factory=dict)


def vault_differences(sources: Sequence[Source], live: LiveVault, all_teams: bool) -> Iterator[Difference]:
    """Yield the differences. all_teams: whether every team is compiled, so that what is left is nobody's."""
    for name, reason in live.unseen.items():
        yield Difference("?", _WHERE, name, reason)
    compiled: set[str] = set()
    for source in sources:
        for policy in policies(source):
            compiled.add(policy.name)
            yield from _of_policy(source, policy, live)
        for role in roles(source):
            yield from _of_role(role, live)
    if all_teams:
        prefixes = (_PREFIX, *(f"{source.team.service_account}-" for source in sources))
        for name in live.policy_names:
            if name.startswith(prefixes) and name not in compiled:
                yield Difference("-", _WHERE, f"policy {name}")
        for path, other in live.other_roles.items():
            if any(
                name.startswith(prefixes) and name not in compiled for name in other.get("token_policies") or ()
            ):
                yield Difference("-", _WHERE, f"role {path}")
    for path, parameters in live.other_roles.items():
        if shared := sorted(compiled & set(parameters.get("token_policies") or ())):
            reason = f"gives out {', '.join(shared)} and is not compiled"
            yield Difference("!", _WHERE, f"role {path}", reason)


def _of_policy(source: Source, policy: Policy, live: LiveVault) -> Iterator[Difference]:
    name = f"policy {policy.name}"
    if policy.name not in live.policies:
        return
    text = live.policies[policy.name]
    if text is None:
        yield Difference("+", _WHERE, name, source=policy.source)
        return
    try:
        result = hcl.rules(text)
    except hcl.Unreadable as error:
        yield Difference("~", _WHERE, name, f"its text {error}", source=policy.source)
        return
    compiled = {rule.path: frozenset(rule.capabilities) for rule in policy.rules}
    changed = []
    for path in sorted({*result, *compiled}):
        has, needs = result.get(path, frozenset()), compiled.get(path, frozenset())
        if needs - has or ("deny" in has and needs):
            changed.append(Field(path, sorted(has) or None, sorted(needs)))
        if more := sorted(has - needs - {"deny"}):
            yield _wider(source, name, path, more, bool(needs))
    if changed:
        yield Difference("~", _WHERE, name, fields=tuple(changed), source=policy.source)


def _wider(source: Source, name: str, path: str, more: list[str], is_declared: bool) -> Difference:
    allowed = f"{path} [{', '.join(more)}]"
    was_declared = source.declared is not None and not is_declared and more == ["read"]
    if was_declared and source.team.allows_path(_named(path)):
        return Difference("0", _WHERE, name, allowed)
    return Difference("!", _WHERE, name, f"allows {allowed}")


def _named(path: str) -> str:
    """Return a path of the API as DAGs write it."""
    mount, _, rest = path.partition("/")
    return f"{mount}/{rest.removeprefix('data/')}"


def _of_role(role: Role, live: LiveVault) -> Iterator[Difference]:
    name = f"role {role.path}"
    if role.path not in live.roles:
        return
    result = live.roles[role.path]
    if result is None:
        yield Difference("+", _WHERE, name, source=role.source)
        return
    compiled = dict(role.parameters)
    present = {key: result.get(key) for key in compiled}
    # Whom else a role takes: by labels of namespaces, by other claims.
    more = {
        key: value for key, value in result.items() if key.startswith("bound_") and key not in compiled and value
    }
    changed: list[Field] = []
    wider = [Field(key, value, None) for key, value in sorted(more.items())]
    for difference in fields(_normal(present), _normal(compiled)):
        (wider if _widens(difference) else changed).append(difference)
    if wider:
        yield Difference("!", _WHERE, name, "is bound to more, or lives longer", tuple(wider), role.source)
    if changed:
        yield Difference("~", _WHERE, name, "", tuple(changed), role.source)


def _normal(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters as Vault gives them back: lists sorted, an empty one for none."""
    normal: dict[str, Any] = {}
    for key, value in parameters.items():
        if key in _BOUND or key == "token_bound_cidrs":
            # Compared as a whole, whatever the order.
            normal[key] = tuple(sorted(map(str, value or ())))
        else:
            normal[key] = value or 0 if key in (*_LIVES, "token_num_uses") else value
    return normal


def _widens(change: Field) -> bool:
    key, result, compiled = change
    if key in _LIVES:
        # 0: as long as the mount allows; a period: for ever.
        return bool(result) if key == "token_period" else not result or (bool(compiled) and result > compiled)
    if key in ("audience", "bound_subject"):
        return not result
    if key == "token_no_default_policy":
        return not result
    if key == "token_bound_cidrs":
        return not result
    if key in _BOUND:
        return "*" in result or set(compiled) < set(result)
    return False
