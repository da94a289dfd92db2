"""Which differences between the pod that was meant and the final one are allowed: those of open arguments."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from airflow_k8s_vault.policy.credentials import ENV_SOURCES, is_issuer
from airflow_k8s_vault.policy.expected import PLAIN_VOLUMES, Expected
from airflow_k8s_vault.policy.manifest import FieldPath, Flat, parsed_path
from airflow_k8s_vault.teams import POD_ARGUMENTS, PodArgument, Team

# KubernetesPodOperator finds its pods by these.
OPERATOR_LABELS = frozenset(
    (
        "dag_id",
        "task_id",
        "run_id",
        "map_index",
        "try_number",
        "parent_dag_id",
        "kubernetes_pod_operator",
        "airflow_version",
        "airflow_kpo_in_cluster",
        "already_checked",
    )
)
# By labels and annotations that begin so the package knows its pods, and whose they are: it alone sets them.
_OURS = "airflow-k8s-vault"
# A key with a prefix belongs to somebody's controller (Vault's injector, a service mesh, a cloud's identity).
_FREE_PREFIXES = ("app.kubernetes.io",)
_FIELDS = tuple((parsed_path(field), argument) for argument in POD_ARGUMENTS for field in argument.fields)
INIT_KEYS = frozenset(
    (
        *("name", "image", "command", "args", "workingDir", "env", "envFrom", "resources", "volumeMounts"),
        *("securityContext", "imagePullPolicy", "terminationMessagePath", "terminationMessagePolicy"),
    )
)


class Change(NamedTuple):
    """One field of the final pod that is not as it was meant to be. None: not set."""

    path: FieldPath
    expected: Any
    actual: Any


def refused(expected: Expected, final: Flat, team: Team) -> Iterator[Change]:
    """Yield the changes that nothing allows, in the order of the final pod, removed fields last."""
    intended = expected.flat
    hook = [parsed_path(field) for field in team.platform.hook_fields]
    for path in dict.fromkeys([*final, *intended]):
        change = Change(path, intended.get(path), final.get(path))
        if not _same(change) and (
            expected.is_added(path)
            or not (_is_allowed(change, expected, team) or _by_hook(change, expected, team, hook))
        ):
            yield change


def _is_allowed(change: Change, expected: Expected, team: Team) -> bool:
    return _by_operator(change) or _by_open_argument(change, expected, team)


def _by_hook(change: Change, expected: Expected, team: Team, opened: Iterable[FieldPath]) -> bool:
    """Whether pod_mutation_hook made the change, in a field that the platform opens to it, and nobody else did."""
    path, hooked = change.path, expected.hooked
    if hooked is None or not any(_is_opened(path, pattern) for pattern in opened):
        return False
    before = Change(path, change.expected, hooked.flat_before.get(path))
    after = hooked.flat_after.get(path)
    as_hook_left_it = _same(Change(path, after, change.actual))
    made_by_hook = not _same(Change(path, before.actual, after))
    # What the hook found has to be right as well: it may have added to a list that somebody else had begun.
    return as_hook_left_it and made_by_hook and (_same(before) or _is_allowed(before, expected, team))


def _is_opened(path: FieldPath, pattern: FieldPath) -> bool:
    if not _below(path, pattern):
        return False
    # Controllers act on keys with a prefix: each of them has to be named.
    is_key = path[1:2] in (("annotations",), ("labels",))
    if is_key and path[2].startswith(_OURS):
        return False
    return path == pattern or not is_key or _is_free(path[2])


def arguments_for(path: FieldPath) -> list[PodArgument]:
    """Return the arguments of KubernetesPodOperator that set this field."""
    return [argument for field, argument in _FIELDS if _below(path, field)]


def _same(change: Change) -> bool:
    if "resources" in change.path[-3:]:
        # A quantity: the client makes text of numbers.
        return str(change.expected) == str(change.actual)
    # 1 and True are equal in Python, and are not in JSON.
    return type(change.expected) is type(change.actual) and bool(change.expected == change.actual)


def _below(path: FieldPath, pattern: FieldPath) -> bool:
    return path[: len(pattern)] == pattern


def _by_operator(change: Change) -> bool:
    path, result = change.path, change.actual
    if path == ("metadata", "name"):
        return isinstance(result, str)
    if path == ("spec", "restartPolicy"):
        return bool(result == "Never")
    return path[:2] == ("metadata", "labels") and path[2] in OPERATOR_LABELS and isinstance(result, str)


def _by_open_argument(change: Change, expected: Expected, team: Team) -> bool:
    for argument in arguments_for(change.path):
        if argument.rule == "open" or (argument.rule == "team" and argument.name in team.overridable):
            guard = _GUARDS.get(argument.name)
            if guard is None or guard(change, expected):
                return True
    return False


def _env(change: Change, expected: Expected) -> bool:
    name, rest = change.path[4], change.path[5:]
    wired = (*change.path[:5], "valueFrom") in expected.parts
    return not wired and name.isascii() and _env_value(rest)


def _env_value(rest: FieldPath) -> bool:
    return rest in (("name",), ("value",)) or (rest[:1] == ("valueFrom",) and rest[1] in ENV_SOURCES)


def _env_from(change: Change, expected: Expected) -> bool:
    intended = change.expected or []
    added = [source for source in change.actual or [] if source not in intended]
    return all(source in (change.actual or []) for source in intended) and _only_configmaps(added)


def _only_configmaps(sources: Iterable[Any]) -> bool:
    return all(set(source) <= {"configMapRef", "prefix"} for source in sources)


def _deadline(change: Change, expected: Expected) -> bool:
    earlier = change.expected is None or (isinstance(change.actual, int) and change.actual <= change.expected)
    return change.actual is not None and earlier


def _prefixed(change: Change, expected: Expected) -> bool:
    if change.expected is not None:
        # Network policies, services and quotas select pods by what the template says.
        return False
    return _is_free(change.path[2])


def _is_free(key: str) -> bool:
    """Whether no controller acts on the label or annotation."""
    if key.startswith(_OURS):
        return False
    prefix, separator, _ = key.rpartition("/")
    # A dot without a prefix is how some runtimes name theirs (io.kubernetes.cri-o.userns-mode).
    return key.isascii() and not is_issuer(key) and (prefix in _FREE_PREFIXES if separator else "." not in key)


def _volume(change: Change, expected: Expected) -> bool:
    name, rest = change.path[2], change.path[3:]
    return name not in expected.volumes and rest[0] in {"name", *PLAIN_VOLUMES}


def _volume_mount(change: Change, expected: Expected) -> bool:
    return change.path[:5] not in expected.parts


def _init_container(change: Change, expected: Expected) -> bool:
    path, rest = change.path, change.path[3:]
    if any(known[-1] == path[2] for known in expected.containers) or not rest or rest[0] not in INIT_KEYS:
        return False
    if rest[0] == "env":
        return len(rest) > 2 and _env_value(rest[2:])
    return rest[0] != "envFrom" or _only_configmaps(change.actual or ())


_GUARDS: dict[str, Callable[[Change, Expected], bool]] = {
    "env_vars": _env,
    "pod_runtime_info_envs": _env,
    "configmaps": _env_from,
    "active_deadline_seconds": _deadline,
    "labels": _prefixed,
    "annotations": _prefixed,
    "volumes": _volume,
    "volume_mounts": _volume_mount,
    "init_containers": _init_container,
}
