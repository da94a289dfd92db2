"""What moving one task of KubernetesPodOperator to VaultPodOperator takes, in sentences and as data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from airflow_k8s_vault.errors import K8sVaultError
from airflow_k8s_vault.migrate.airflow_jinja import lookups
from airflow_k8s_vault.migrate.draft import Draft
from airflow_k8s_vault.migrate.fitting import NOT_COMPARED, Fit, best, is_same_field
from airflow_k8s_vault.migrate.importing import drafted
from airflow_k8s_vault.migrate.needed import Needed
from airflow_k8s_vault.migrate.pods import InputPod
from airflow_k8s_vault.migrate.target import Target
from airflow_k8s_vault.policy import flatten, kind_of_variable, shown_path
from airflow_k8s_vault.teams import POD_ARGUMENTS_BY_NAME
from airflow_k8s_vault.templates import PodTemplate

# Locked arguments of which nothing is left to say: the template, or the package, does what they did.
_REPLACED = frozenset(
    (
        *("pod_template_file", "full_pod_spec", "pod_template_dict", "base_container_name", "secrets", "env_from"),
        *("log_pod_spec_on_failure", "namespace", "service_account_name"),
    )
)
# Wide enough for any call to be one line.
_ANY = 100_000
# These are, as they are by default.
_DEFAULTS: dict[str, Any] = {
    "on_kill_action": "delete_pod",
    "random_name_suffix": True,
    "is_delete_operator_pod": True,
    "in_cluster": None,
}


class DagTask(NamedTuple):
    """A task of a DAG file, as it was imported.

    plain: its class is KubernetesPodOperator itself. arguments: what the file gives. pod: None where only a run
    makes it, as error says.
    """

    name: str
    file: str
    operator: str
    plain: bool
    arguments: Mapping[str, Any]
    pod: InputPod | None
    error: str


@dataclass(frozen=True)
class TaskReport:
    """One task. fit: the nearest template. by_hand: why no patch can move it; empty: one can.

    credentials: where they lie, without values. variables: those of env_vars
    that come by vault_secrets.
    """

    task: str
    file: str
    operator: str
    fit: Fit | None
    needed: Sequence[Needed]
    credentials: Sequence[str]
    by_hand: Sequence[str]
    dropped: frozenset[str] = frozenset()
    variables: frozenset[str] = frozenset()
    # What the task's pod has to be, without credentials and what has Jinja.
    pod: Mapping[str, Any] | None = None

    def others(self, pod: Mapping[str, Any]) -> list[str]:
        """Return the fields in which a pod of the task is another than it was."""
        given = flatten(pod)
        return [
            shown_path(path)
            for path, value in flatten(self.pod or {}).items()
            if path not in NOT_COMPARED and not is_same_field(path, given.get(path), value)
        ]

    def row(self) -> dict[str, Any]:
        """Return the report as plain data."""
        fit = self.fit
        return {
            "task": self.task,
            "file": self.file,
            "operator": self.operator,
            "template": fit.template if fit and fit.fits else "",
            "nearest": fit.template if fit and not fit.fits else "",
            "differs": list(fit.differs) if fit else [],
            "open": list(fit.closed) if fit else [],
            "vault_secrets": [line for one in self.needed for line in one.call(width=_ANY)],
            "credentials": list(self.credentials),
            "how": "by hand" if self.by_hand else "patch",
            "why": list(self.by_hand),
        }


def report(task: DagTask, templates: list[PodTemplate], target: Target) -> TaskReport:
    """Return the report of a task, with the nearest of these templates."""
    if task.pod is None:
        return _without_pod(task, task.error)
    try:
        draft = drafted(task.pod, target)
    except K8sVaultError as error:
        return _without_pod(task, str(error))
    fit = best(draft, templates, list(_of_the_run(task.arguments)))
    env_vars = task.arguments.get("env_vars")
    return TaskReport(
        task=task.name,
        file=task.file,
        operator=task.operator,
        fit=fit,
        needed=draft.needed,
        credentials=draft.credentials,
        by_hand=list(_by_hand(draft, fit, task)),
        dropped=_dropped(fit, task.arguments),
        pod=draft.pod,
        variables=frozenset(v for one in draft.needed for v in _variables(one) if _is_in(env_vars, v)),
    )


def _without_pod(task: DagTask, why: str) -> TaskReport:
    credentials = list(_credentials(task.arguments))
    return TaskReport(task.name, task.file, task.operator, None, [], credentials, [why])


def _by_hand(draft: Draft, fit: Fit | None, task: DagTask) -> Iterator[str]:
    if not task.plain:
        yield f"{task.operator} is more than KubernetesPodOperator"
    if fit is None:
        yield "there is no template yet: airflow k8s-vault templates import --dag"
    elif not fit.fits:
        yield f"no template gives its pod: airflow k8s-vault templates import --dag, or change {fit.template}"
    elif fit.closed:
        yield f"the team's overridable would have to open {', '.join(fit.closed)}"
    for name, value in task.arguments.items():
        argument = POD_ARGUMENTS_BY_NAME.get(name)
        if (
            argument
            and argument.rule == "locked"
            and not argument.fields
            and name not in _REPLACED
            and not _is_default(name, value)
        ):
            yield f"{name} is never open to DAGs: {argument.reason}"
    unknown = [one for one in draft.needed if not one.is_known]
    if paths := [one.path for one in unknown if one.known_path is None]:
        yield f"fill in {', '.join(dict.fromkeys(paths))}: --vault-path NAME=PATH"
    if paths := [one.path for one in unknown if one.known_path]:
        yield f"fill in the keys of {', '.join(dict.fromkeys(paths))}"
    yield from (f"{note.partition(':')[0]}" for note in draft.notes)


def _of_the_run(arguments: Mapping[str, Any]) -> Iterator[str]:
    """Yield the arguments that a team may open, and that no field of the pod shows: what a task does around it."""
    for name, value in arguments.items():
        argument = POD_ARGUMENTS_BY_NAME.get(name)
        if argument and argument.rule == "team" and not argument.fields and not _is_default(name, value):
            yield name


def _is_default(name: str, value: Any) -> bool:
    return name in _DEFAULTS and value in (_DEFAULTS[name], None)


def _dropped(fit: Fit | None, arguments: Mapping[str, Any]) -> frozenset[str]:
    """Return the arguments that the task need not give any more."""
    needed = fit.needed if fit else frozenset()
    of_pod = {
        name
        for name in arguments
        if (a := POD_ARGUMENTS_BY_NAME.get(name)) and a.rule in ("team", "locked") and a.fields
    }
    return frozenset((of_pod | (set(arguments) & (_REPLACED | set(_DEFAULTS)))) - needed)


def _variables(needed: Needed) -> list[str]:
    env = needed.arguments.get("env")
    if needed.arguments.get("engine") == "connection":
        return [f"AIRFLOW_CONN_{needed.path.upper()}"]
    if needed.arguments.get("engine") == "variable":
        return [f"AIRFLOW_VAR_{needed.path.upper()}"]
    return list(env) if isinstance(env, dict) else []


def _is_in(env_vars: Any, name: str) -> bool:
    if isinstance(env_vars, Mapping):
        return name in env_vars
    return any(getattr(item, "name", None) == name for item in env_vars or ())


def _credentials(arguments: Mapping[str, Any]) -> Iterator[str]:
    env_vars = arguments.get("env_vars")
    for name, value in env_vars.items() if isinstance(env_vars, Mapping) else ():
        if what := kind_of_variable(str(name), str(value)):
            yield f"env_vars[{name}]: looks like {what} (not shown)"
    for name, value in arguments.items():
        for one in dict.fromkeys(match.shown for text in _texts(value) for match in lookups(text)):
            yield f"{name}: {one}, by Jinja"


def _texts(value: Any) -> Iterator[str]:
    """Yield all text in what a DAG gives."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list | tuple):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(item)


def markdown(reports: Sequence[TaskReport]) -> Iterator[str]:
    """Yield the lines of a list with check boxes."""
    patches = sum(not report.by_hand for report in reports)
    yield "# Tasks of KubernetesPodOperator"
    yield ""
    yield f"{len(reports)} in all: {patches} by `migrate --patch`, {len(reports) - patches} by hand."
    for file in dict.fromkeys(report.file for report in reports):
        yield from ("", f"## {file}", "")
        for report in reports:
            if report.file == file:
                yield from _boxes(report)


def _boxes(report: TaskReport) -> Iterator[str]:
    row = report.row()
    to = f" → `{row['template']}`" if row["template"] else ""
    yield f"- [ ] `{report.task}` ({report.operator}){to}: {row['how']}"
    items = [*report.by_hand]
    items += [f"differs from {row['nearest']}: `{field}`" for field in row["differs"]]
    items += [f"`{code}`" for code in row["vault_secrets"]]
    items += [f"a new one into Vault: {sentence}" for sentence in report.credentials]
    yield from (f"  - [ ] {item}" for item in items)
