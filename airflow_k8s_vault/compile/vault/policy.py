"""A team's policy: its ceiling, or exactly the paths that its DAGs declare, and what every login needs."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from airflow_k8s_vault import vault_path
from airflow_k8s_vault.compile.declared import Declared
from airflow_k8s_vault.compile.source import Source
from airflow_k8s_vault.teams import dag_identity
from airflow_k8s_vault.vault_path import Location

# What a pod's login does with itself and its leases, where the role does without the policy `default`.
_OWN = {
    "auth/token/lookup-self": ("read", "a login may ask how long it lives"),
    "auth/token/renew-self": ("update", "a login is renewed while the task runs"),
    "auth/token/revoke-self": ("update", "it ends with the pod, and with it every lease"),
    "sys/leases/renew": ("update", "a lease is renewed while the task runs"),
}


@dataclass(frozen=True)
class Rule:
    """One path of a policy, as Vault's API has it. reasons: the tasks, or the file's line, that need it."""

    path: str
    capabilities: tuple[str, ...]
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Policy:
    """source: the file and line that it comes from."""

    name: str
    rules: tuple[Rule, ...]
    source: str

    def text(self) -> str:
        """Return the policy as Vault takes it (HCL), each rule after what asks for it."""
        lines = [f"# Compiled by airflow-k8s-vault from {self.source}: changes here are lost."]
        for rule in self.rules:
            lines += [f"# {reason}" for reason in rule.reasons]
            capabilities = ", ".join(f'"{capability}"' for capability in rule.capabilities)
            lines.append(f"path {quoted(rule.path)} {{\n  capabilities = [{capabilities}]\n}}")
        return "\n".join(lines) + "\n"


@dataclass
class _Paths:
    """Rules by path, while they are collected."""

    collected: dict[str, tuple[set[str], dict[str, None]]] = field(
        default_factory=lambda: defaultdict(lambda: (set(), {}))
    )

    def add(self, path: str, capability: str, reason: str) -> None:
        capabilities, reasons = self.collected[path]
        capabilities.add(capability)
        reasons[reason] = None

    def rules(self) -> tuple[Rule, ...]:
        return tuple(
            Rule(path, tuple(sorted(capabilities)), tuple(reasons))
            for path, (capabilities, reasons) in sorted(self.collected.items())
        )


def quoted(text: str) -> str:
    """Return the text as HCL writes it; `${` would be read as an expression.

    >>> quoted('a"b')
    '"a\\\\"b"'
    """
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("${", "$${").replace("%{", "%%{")
    return f'"{escaped}"'


def policies(source: Source) -> list[Policy]:
    """Return the team's policy; with identity `dag` one for each DAG."""
    team = source.team
    where = team.where("secrets")
    if team.walls.identity == "dag":
        return [
            _policy(dag_identity(team.service_account, dag_id), where, _of_dags(source, _of(source, dag_id)))
            for dag_id in sorted(source.dags)
        ]
    paths = _of_ceiling(source) if source.declared is None else _of_dags(source, source.declared)
    return [_policy(policy_name(source), where, paths)]


def policy_name(source: Source) -> str:
    return f"airflow-{source.team.name}"


def _of(source: Source, dag_id: str) -> Iterator[Declared]:
    return (declared for declared in source.declared or () if declared.dag_id == dag_id)


def _policy(name: str, where: str, paths: _Paths) -> Policy:
    for path, (capability, reason) in _OWN.items():
        paths.add(path, capability, reason)
    return Policy(name, paths.rules(), where)


def _of_ceiling(source: Source) -> _Paths:
    paths = _Paths()
    for index, glob in enumerate(source.team.update):
        reason = f"{source.team.where(f'update[{index}]')}: {glob}"
        paths.add(api_path(Location(wildcards(glob)), "dynamic", source), "update", reason)
    for index, glob in enumerate(source.team.secrets):
        reason = f"{source.team.where(f'secrets[{index}]')}: {glob}"
        path = wildcards(glob)
        # Which engine a mount has, only Vault knows.
        for engine in ("kv2", "kv1"):
            paths.add(api_path(Location(path), engine, source), "read", reason)
    return paths


def _of_dags(source: Source, declared: Iterable[Declared]) -> _Paths:
    paths = _Paths()
    for item in declared:
        for location in item.resolved.locations:
            capability = "update" if item.resolved.parameters else "read"
            paths.add(api_path(location, item.resolved.engine, source), capability, item.task)
        if item.resolved.elsewhere:
            # Which of the places it is, the agent finds out by listing their folders: a read of none fails it.
            for location in item.resolved.locations:
                paths.add(_folder(location, item.resolved.engine, source), "list", item.task)
    return paths


def placed(location: Location, source: Source) -> Location:
    """Return the location with its mount: the platform's longer one where there is, else the first segment."""
    longer = sorted(source.team.platform.mounts, key=len, reverse=True)
    known = next((mount for mount in longer if location.path.startswith(f"{mount}/")), "")
    return Location(location.path, location.mount or known or location.assumed_mount)


def api_path(location: Location, engine: str, source: Source) -> str:
    """Return the path as Vault's API has it."""
    return vault_path.kv_data(placed(location, source), 2 if engine == "kv2" else 1)


def _folder(location: Location, engine: str, source: Source) -> str:
    return vault_path.kv_list(placed(location, source), 2 if engine == "kv2" else 1)


def wildcards(glob: str) -> str:
    """Return a ceiling's glob as Vault writes it: + for a whole segment, * at the end.

    >>> wildcards("secret/*/shared"), wildcards("secret/payments/*"), wildcards("database/creds/payments-*")
    ('secret/+/shared', 'secret/payments/*', 'database/creds/payments-*')
    """
    *folders, last = glob.split("/")
    return "/".join([*("+" if segment == "*" else segment for segment in folders), last])


def asks_for(rule: Rule, path: str, source: Source) -> bool:
    """Return whether a rule is about a path, or covers it; written as Vault's API has it or as a DAG does."""
    written = (api_path(Location(path), engine, source) for engine in ("kv2", "kv1"))
    return any(rule.path == one or covers(rule.path, one) for one in (path, *written))


def covers(glob: str, path: str) -> bool:
    """Return whether a path of a policy, with Vault's wildcards, covers another.

    >>> covers("secret/data/payments/*", "secret/data/payments/a/b"), covers("secret/+/a", "secret/x/y/a")
    (True, False)
    """
    folders, last = glob.removesuffix("*").split("/"), ".*" if glob.endswith("*") else ""
    pattern = "/".join("[^/]+" if folder == "+" else re.escape(folder) for folder in folders)
    return re.fullmatch(pattern + last, path, re.DOTALL) is not None


def errors(source: Source) -> Iterator[str]:
    """Yield what no policy of Vault can say: a wildcard within a segment, or a name that is one to Vault."""
    team = source.team
    globs = [(f"{key}[{n}]", g) for key in ("secrets", "update") for n, g in enumerate(getattr(team, key))]
    for key, glob in globs:
        *folders, last = glob.split("/")
        if any("*" in folder and folder != "*" for folder in folders) or "*" in last[:-1]:
            yield (
                f"{team.where(key)}: '{glob}' has a wildcard within a name, which a policy of "
                "Vault cannot say: let * stand for a whole segment, or at the very end."
            )
    for item in source.declared or ():
        for path in item.paths:
            written = bool(item.secret.parameters)
            if not team.allows_path(path, written):
                where = team.where("update" if written else "secrets")
                yield f"{item.file}: {item.task} declares {path}, which {where} does not allow."
            elif path.endswith("*") or "+" in path.split("/") or "{{" in path:
                yield f"{item.file}: {item.task} declares {path}, which a policy of Vault takes for a wildcard."
