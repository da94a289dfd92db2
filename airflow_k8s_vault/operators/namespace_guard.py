"""Airflow's cluster policy: into a team's namespace go pods of the team's templates, and nothing else.

Loaded by the `airflow.policy` entry point in every Airflow process, so it imports nothing of weight, and before
any DAG file: here the settings of this package are taken. Off unless `[k8s_vault] guard_team_namespaces` is True.

Every operator of the installed Kubernetes provider is looked at, by its class and not by its name: when the DAG is
imported, as far as its arguments say where it aims, and again when the task runs, as Airflow has rendered them. A
pod is looked at as it is when the provider builds it, in whatever task. Code that calls Kubernetes itself is not
seen; Kubernetes' RBAC is what keeps a worker out of a namespace.
"""

from __future__ import annotations

import os
import re
import stat
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from airflow.policies import hookimpl

from airflow_k8s_vault import config

# What it says of paths is taken with the other settings.
from airflow_k8s_vault.lookups import resolve as _  # noqa: F401
from airflow_k8s_vault.operators import aimed_namespaces, mutation_hook

config.load()

_PROVIDER = "airflow.providers.cncf.kubernetes."
# In a file with mistakes, however it is quoted, indented, tagged or bracketed.
_NAMESPACE = re.compile(r"\bnamespace[\"']?\s*:\s*(?:[&!]\S*\s+)*[\"']?([a-z0-9-]+)")
_LONGEST_BYTES = 1 << 20
_TASK_RUNNER = "airflow.sdk.execution_time.task_runner"
# Where KubernetesPodOperator keeps the pod that its next try goes on with.
_STORED_POD = "pod_identifier"
# On each worker pod of KubernetesExecutor.
_WORKER_LABEL = "kubernetes_executor"


@hookimpl
def task_policy(task: Any) -> None:
    """Raise AirflowClusterPolicyViolation where the setting is on and the task aims at a team's namespace."""
    if config.get("guard_team_namespaces") != "True":
        return
    given = getattr(task, "partial_kwargs", None)
    _check_override(task, (given or vars(task)).get("executor_config"))
    if not _is_of_the_provider(task):
        return
    if not _is_ours(_class_of(task)):
        _require_strict(task)
        for arguments in _arguments(task):
            _check(_named(task), aimed_namespaces.of(arguments), _violation)
    _look_again_when_it_runs(task)


# After all others: what they make of the pod is what is looked at.
@hookimpl(trylast=True)
def pod_mutation_hook(pod: Any) -> None:
    """Refuse a pod that a task builds past VaultPodOperator, and a worker pod that is open or another team's."""
    # As Airflow itself tells. In the scheduler KubernetesExecutor calls the same hook for its workers.
    if hasattr(sys.modules.get(_TASK_RUNNER), "SUPERVISOR_COMMS"):
        if config.get("guard_team_namespaces") == "True" and not mutation_hook.is_watching():
            _check(f"Pod '{pod.metadata.name}'", aimed_namespaces.of({"pod": pod}), _for_good)
    elif pod.metadata and _WORKER_LABEL in (pod.metadata.labels or {}):
        from airflow_k8s_vault.operators import executor_guard

        executor_guard.require_closed(pod)
        if config.multi_team():
            executor_guard.require_own_team(pod, _owners)


class LookAgain:
    """Airflow's `pre_execute` of a guarded task, around the one that the DAG gave: by now all is rendered."""

    def __init__(self, before: Callable[[Any], Any] | None) -> None:
        self.before = before

    def __call__(self, context: Any) -> None:
        """Raise AirflowFailException where the task, as it is now, aims at a team's namespace."""
        if self.before is not None:
            self.before(context)
        task = context.get("task") or context["ti"].task
        if not _is_ours(type(task)):
            _check(_named(task), aimed_namespaces.of(vars(task)), _for_good)
            _check(_named(task), _default_namespace(task), _for_good)
            _check(_named(task), _stored_namespace(task, context), _for_good)

    def __repr__(self) -> str:
        # Airflow writes it into the serialized DAG, where it has to be the same at each import.
        return f"{__name__}.{type(self).__name__}"

    __str__ = __repr__


def _look_again_when_it_runs(task: Any) -> None:
    given = getattr(task, "partial_kwargs", None)
    if given is not None:
        given["pre_execute"] = LookAgain(given.get("pre_execute"))
    else:
        task._pre_execute_hook = LookAgain(task._pre_execute_hook)


def _require_strict(task: Any) -> None:
    """Raise where a value that only the run knows could take the place of `pre_execute`, among others."""
    mapped = getattr(task, "_expand_input_attr", None) == "expand_input"
    if mapped and not isinstance(task.expand_input.value, Mapping) and not task._disallow_kwargs_override:
        raise _violation()(
            f"Task '{task.task_id}' maps a {_class_of(task).__name__} with strict=False, which lets mapped values "
            "replace any argument.\n  Leave strict out: [k8s_vault] guard_team_namespaces is on."
        )


def _class_of(task: Any) -> type:
    """Return the operator's class; a mapped operator carries it."""
    result = getattr(task, "operator_class", None)
    return result if isinstance(result, type) else type(task)


def _is_of_the_provider(task: Any) -> bool:
    return any(kind.__module__.startswith(_PROVIDER) for kind in _class_of(task).__mro__)


def _is_ours(kind: type) -> bool:
    """Whether it is VaultPodOperator or extends it; nothing is where nobody has imported that."""
    module = sys.modules.get("airflow_k8s_vault.operators.vault_pod")
    return module is not None and module.VaultPodOperator in kind.__mro__


def _arguments(task: Any) -> Iterator[Mapping[str, Any]]:
    """Yield what is known of the arguments of a task, of a mapped one for each value that the DAG writes out."""
    given = getattr(task, "partial_kwargs", None)
    if given is None:
        yield vars(task)
        return
    yield given
    for name in ("expand_input", "op_kwargs_expand_input"):
        value = getattr(getattr(task, name, None), "value", None)
        if isinstance(value, Mapping):
            for argument, items in value.items():
                values = items if isinstance(items, Sequence) and not isinstance(items, str) else ()
                yield from ({argument: item} for item in values)
        elif isinstance(value, Sequence):
            yield from (item for item in value if isinstance(item, Mapping))


def _default_namespace(task: Any) -> Iterator[str]:
    """Yield the namespace of the Kubernetes connection, for a task that names none.

    A KubernetesPodOperator's is looked at in its pod.
    """
    if any(getattr(task, name, None) for name in ("namespace", "_namespace")) or hasattr(
        task, "build_pod_request_obj"
    ):
        return
    if hasattr(type(task), "hook"):
        yield task.hook.get_namespace() or "default"


def _stored_namespace(task: Any, context: Any) -> Iterator[Any]:
    """Yield where the pod of an earlier try is. Users of Airflow's API may write that."""
    store = context.get("task_state_store")
    if store is not None and getattr(task, "reattach_on_restart", False):
        stored = store.get(_STORED_POD)
        if isinstance(stored, Mapping):
            yield stored.get("namespace")


def _named(task: Any) -> str:
    return f"Task '{task.task_id}' is a {_class_of(task).__name__} that"


def _check(what: str, aimed_at: Iterator[Any], error: Callable[[], type[Exception]]) -> None:
    try:
        owned = next(((name, _owners()[name]) for name in aimed_at if name in _owners()), None)
    except aimed_namespaces.UnseenError as reason:
        raise error()(f"{what} {reason}.\n  [k8s_vault] guard_team_namespaces is on.") from None
    if owned:
        raise error()(
            f"{what} aims at namespace '{owned[0]}' of team '{owned[1]}'.\n"
            "  Use VaultPodOperator with a pod template of that team: [k8s_vault] guard_team_namespaces is on."
        )


def _violation() -> type[Exception]:
    from airflow.exceptions import AirflowClusterPolicyViolation

    return AirflowClusterPolicyViolation


def _for_good() -> type[Exception]:
    from airflow.sdk.exceptions import AirflowFailException

    return AirflowFailException


def _check_override(task: Any, executor_config: Any) -> None:
    """A worker pod that a DAG makes itself is no pod of a team's template either."""
    pod = executor_config.get("pod_override") if isinstance(executor_config, Mapping) else None
    module = sys.modules.get("airflow_k8s_vault.operators.executor_pod")
    if pod is None or (module is not None and module.is_made_here(pod)):
        return
    what = f"Task '{task.task_id}' has a pod_override that"
    _check(what, aimed_namespaces.of({"pod": pod}), _violation)


def _owners() -> dict[str, str]:
    """Return namespace to team. Files are looked at each second: a DAG file may make a thousand tasks."""
    return _owners_in(config.get("templates_dir"), int(time.monotonic()))


@lru_cache(maxsize=4)
def _owners_in(templates_dir: str, second: int) -> dict[str, str]:
    from airflow_k8s_vault import teams
    from airflow_k8s_vault.errors import TeamError

    owners: dict[str, str] = {}
    folder = Path(templates_dir)
    for name in teams.names(folder):
        try:
            owners[teams.load(name, folder).namespace] = name
        except TeamError:
            # Its own tasks are told so. Its namespace is guarded as far as its file still names it.
            owners.update(dict.fromkeys(_NAMESPACE.findall(_text(folder / name / "team.yaml")), name))
    return owners


def _text(file: Path) -> str:
    """Return what can be read of a file that is not as it should be; nothing where it is a pipe, or a folder."""
    try:
        opened = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        content = os.read(opened, _LONGEST_BYTES) if stat.S_ISREG(os.fstat(opened).st_mode) else b""
    finally:
        os.close(opened)
    # Of UTF-16 every second byte is a zero.
    return content.replace(b"\0", b"").decode(errors="replace")
