"""What can be said of a task when its DAG is imported: without network, and all mistakes at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Self, TypeVar

from airflow_k8s_vault import config
from airflow_k8s_vault.delivery import conflicts
from airflow_k8s_vault.errors import K8sVaultError, PolicyError, SecretSpecError, did_you_mean, error_list
from airflow_k8s_vault.lookups import resolve
from airflow_k8s_vault.operators import task_pod, trial
from airflow_k8s_vault.operators.task_request import TaskRequest
from airflow_k8s_vault.policy import LITERAL_WAY_OUT, argument_refusal, kind_of_variable, kind_of_words
from airflow_k8s_vault.teams import ALLOW_LITERALS, Team
from airflow_k8s_vault.templates import PodTemplate
from airflow_k8s_vault.vault_secret import VaultSecret

_Result = TypeVar("_Result")
# Names that are part of the way to the secrets: Airflow renders them nowhere.
_NOT_TEMPLATED = ("pod_template", "team", "delivery")


class ErrorCollector:
    """Calls checks within `with`; at its end one error has the words of all that raised, and the first one's kind.

    Who mends a DAG wants to read all of it, not the next mistake after each parse.
    """

    def __init__(self) -> None:
        self.raised: list[K8sVaultError] = []

    def __call__(self, check: Callable[..., _Result], *given: Any) -> _Result | None:
        """Return what the check returns, None where it raised."""
        try:
            return check(*given)
        except K8sVaultError as error:
            self.raised.append(error)
            return None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None and self.raised:
            first = self.raised[0]
            # Each sentence once: the tasks of a mapped one often have the same mistake.
            messages = dict.fromkeys(map(str, self.raised))
            if len(messages) == 1:
                raise first
            raise type(first)("\n".join(messages)) from first.__cause__


@contextmanager
def naming(dag: Any) -> Iterator[None]:
    """Within `with`, let an error say which DAG it is of: a file may make many, and its traceback names none."""
    try:
        yield
    except K8sVaultError as error:
        if dag is not None:
            error.add_note(f"  In DAG '{dag.dag_id}'.")
        raise


def check(request: TaskRequest, errors: ErrorCollector) -> PodTemplate | None:
    """Collect every mistake of a task that its arguments, its template and its team's file show.

    Returns its template, None where there is none, or where only a mapped task's run will tell.
    """
    errors(shapes, request)
    key = _key(request)
    if key in _SOUND:
        return _SOUND[key]
    template = _checked(request, errors)
    if key is not None and not errors.raised:
        _SOUND[key] = template
    return template


# A DAG file may make a thousand tasks that differ in nothing that is looked at here.
_SOUND: dict[tuple[object, ...], PodTemplate | None] = {}
config.on_reload(_SOUND.clear)


def _key(request: TaskRequest) -> tuple[object, ...] | None:
    """Return all that the checks look at; None where it cannot be compared. Files are looked at each second."""
    given = [request.arguments[name] for name in request.set_by_dag if name in request.arguments]
    key = (
        *(config.get("templates_dir"), int(time.monotonic()), frozenset(request.unknown)),
        *(request.pod_template, request.team, request.delivery, request.strangers, request.set_by_dag),
        *(repr(request.template_vars), repr(request.vault_secrets), repr(given)),
    )
    return key if request.pod_template and not request.strangers else None


def _checked(request: TaskRequest, errors: ErrorCollector) -> PodTemplate | None:
    errors(secrets, request)
    errors(settings, request)
    errors(credentials, request)
    if request.pod_template is None or "team" in request.unknown:
        return None
    template = errors(task_pod.find_template, request.pod_template, request.team)
    if template:
        _check_with_template(request, template, errors)
    return template


def _check_with_template(request: TaskRequest, template: PodTemplate, errors: ErrorCollector) -> None:
    rendered = None
    if "template_vars" not in request.unknown:
        rendered = errors(task_pod.check_variables, template, request.template_vars)
    placed = errors(containers, request, rendered)
    # Those whose path is sound, whatever else is wrong with them: a path over the ceiling is worth telling, too.
    paths = errors(resolve, [s for s in request.vault_secrets if s.has_sound_path], template.team.name)
    errors(limits, request, template.team, paths or [])
    if placed and rendered and paths is not None and not request.mistakes:
        given = (request.delivery, request.arguments, request.set_by_dag)
        errors(trial.check, template, rendered, paths, *given)


def shapes(request: TaskRequest) -> None:
    """Raise SecretSpecError where an argument has the wrong shape, or Jinja where nobody renders it."""
    given, errors = request.arguments, []
    for name in ("cmds", "arguments"):
        if isinstance(given.get(name), str):
            # Not shown: a command line is where people put what belongs into Vault.
            errors.append(f"{name} is one text: give a list, one word an entry.")
    if type(given.get("vault_secrets")) is VaultSecret:
        errors.append("vault_secrets is one VaultSecret: give a list of them.")
    elif hasattr(type(given.get("vault_secrets")), "iter_references"):
        errors.append(
            "vault_secrets comes from another task, and nobody fills that in: write a list of VaultSecret, or map "
            "over it (partial and expand)."
        )
    elif not isinstance(given.get("vault_secrets") or [], Iterable) or isinstance(
        given.get("vault_secrets"), str | Mapping
    ):
        errors.append(f"vault_secrets is of type {_kind(given['vault_secrets'])}: give a list of VaultSecret.")
    if not isinstance(given.get("template_vars") or {}, Mapping):
        kind = _kind(given["template_vars"])
        errors.append(f"template_vars is of type {kind}: give a mapping of variable to value.")
    if not given.get("pod_template") and "pod_template" not in request.unknown:
        errors.append("pod_template is missing: name a template, as 'team/template'.")
    for name in _NOT_TEMPLATED:
        value = getattr(request, name)
        if value is None and given.get(name) is not None:
            errors.append(f"{name} is of type {_kind(given[name])}: give text.")
        elif value and ("{{" in value or "{%" in value):
            errors.append(f"{name} is not templated: '{value}' would be taken as it is written.")
    if errors:
        raise SecretSpecError(error_list(f"The arguments of task '{request.task_id}' have mistakes:", errors))


def _kind(value: object) -> str:
    return type(value).__name__


def credentials(request: TaskRequest) -> None:
    """Raise PolicyError, without the values, where a literal looks like a credential: its pod would be refused.

    What holds Airflow's Jinja is left to the check of the final pod.
    """
    if request.arguments.get(ALLOW_LITERALS):
        # Whether the team opens that is looked at with the other arguments.
        return
    messages = []
    env_vars = request.arguments.get("env_vars")
    for name, value in env_vars.items() if isinstance(env_vars, Mapping) else ():
        if "{{" not in str(value) and (what := kind_of_variable(str(name), str(value))):
            messages.append(f"env_vars[{name}] looks like {what}")
    before: tuple[str, ...] = ()
    for name in ("cmds", "arguments"):
        words = request.arguments.get(name)
        if isinstance(words, list):
            before += tuple(map(str, words))
            if what := _kind_of_words(before):
                messages.append(f"{name} looks like {what}")
                break
    if messages:
        errors = [f"{line} (not shown); {LITERAL_WAY_OUT}." for line in messages]
        raise PolicyError(error_list(f"Task '{request.task_id}' holds what belongs into Vault:", errors))


# A DAG file may make a thousand tasks of one command.
@lru_cache(maxsize=1024)
def _kind_of_words(words: tuple[str, ...]) -> str | None:
    return kind_of_words(["$JINJA" if "{{" in word else word for word in words])


def containers(request: TaskRequest, pod: Mapping[str, Any] | None) -> bool:
    """Raise SecretSpecError where a secret names a container that the rendered template, `pod`, does not have.

    pod: None where it is not known before the task runs.
    """
    named = {secret.container for secret in request.vault_secrets if type(secret.container) is str}
    if pod is None or not named:
        return True
    spec = pod["spec"]
    known = [container["name"] for container in [*(spec.get("initContainers") or ()), *spec["containers"]]]
    matches = [
        f"there is no container '{name}'; the pod has: {', '.join(known)}.{did_you_mean(str(name), known)}"
        for name in sorted(named - set(known))
    ]
    if matches:
        raise SecretSpecError(error_list(f"The secrets of task '{request.task_id}' have mistakes:", matches))
    return True


def secrets(request: TaskRequest) -> None:
    """Raise SecretSpecError for what is wrong with the secrets, and between them."""
    errors = list(request.mistakes)
    for kind in request.strangers:
        errors.append(f"vault_secrets holds a {kind}: give VaultSecret(path, env=… or file=…).")
    sound = request.sound_secrets
    errors += conflicts(sound, task_pod.BASE_CONTAINER)
    env_vars = _variables(request.arguments.get("env_vars"))
    for name in sorted(env_vars & {v for s in sound if not s.container for v in s.variables}):
        errors.append(f"variable {name} is set by env_vars and by a VaultSecret.")
    if request.delivery not in (None, *config.DELIVERIES):
        errors.append(f"delivery is {request.delivery!r}, which is none of: {', '.join(config.DELIVERIES)}.")
    if errors:
        raise SecretSpecError(error_list(f"The secrets of task '{request.task_id}' have mistakes:", errors))


def settings(request: TaskRequest) -> None:
    """Raise ConfigError where there are secrets, and a setting that every delivery needs is not sound."""
    if request.vault_secrets or request.strangers:
        with ErrorCollector() as errors:
            for name in ("vault_addr", "vault_auth_method", "vault_agent_image", "default_delivery"):
                errors(config.get, name)


def _variables(env_vars: object) -> set[str]:
    """Return the names of KubernetesPodOperator's env_vars, which may be a mapping or a list of V1EnvVar."""
    if isinstance(env_vars, Mapping):
        return {str(name) for name in env_vars}
    return {str(getattr(item, "name", "")) for item in env_vars} if isinstance(env_vars, list) else set()


def limits(request: TaskRequest, team: Team, resolved: Sequence[VaultSecret]) -> None:
    """Raise PolicyError where the task sets arguments, or requests paths, that the team does not leave open.

    resolved: its secrets, with the paths at which connections and variables are looked for.
    """
    refused = [
        argument_refusal(request.task_id, team, request.set_by_dag),
        _over_the_ceiling(request.task_id, team, resolved),
    ]
    if any(refused):
        raise PolicyError("\n".join(filter(None, refused)))


def _over_the_ceiling(task_id: str, team: Team, resolved: Sequence[VaultSecret]) -> str | None:
    errors = []
    for key, written, may in (("secrets", False, "read"), ("update", True, "write to")):
        requested = [path for s in resolved if bool(s.parameters) is written for path in (s.path, *s.elsewhere)]
        paths = [path for path in requested if not team.allows_path(path, written)]
        if paths:
            errors.append(
                f"Task '{task_id}' asks for {', '.join(paths)}, which team '{team.name}' may not {may}.\n"
                f"  Its ceiling: {', '.join(team.ceiling(written)) or 'nothing'} ({team.where(key)})."
            )
    return "\n".join(errors) or None
