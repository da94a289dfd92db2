"""What can be said of a task when its DAG is imported: without network, and all mistakes at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Self, TypeVar

from airflow_k8s_vault import config, neighbours
from airflow_k8s_vault.delivery import placement
from airflow_k8s_vault.errors import K8sVaultError, PolicyError, SecretSpecError, did_you_mean, problems
from airflow_k8s_vault.policy import arguments, literals
from airflow_k8s_vault.teams import Team
from airflow_k8s_vault.vault_secret import VaultSecret

_Result = TypeVar("_Result")


class AllAtOnce:
    """Calls checks within `with`; at its end one error has the words of all that raised, and the first one's kind.

    Who mends a DAG wants to read all of it, not the next mistake after each parse.
    """

    def __init__(self) -> None:
        self._raised: list[K8sVaultError] = []

    def __call__(self, check: Callable[..., _Result], *given: Any) -> _Result | None:
        """Return what the check returns, None where it raised."""
        try:
            return check(*given)
        except K8sVaultError as error:
            self._raised.append(error)
            return None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None and self._raised:
            first = self._raised[0]
            if len(self._raised) == 1:
                raise first
            raise type(first)("\n".join(map(str, self._raised))) from first.__cause__


def shapes(task_id: str, given: Mapping[str, object]) -> None:
    """Raise SecretSpecError where an argument is text or one thing where a list, or a mapping, is meant."""
    found = []
    for name in ("cmds", "arguments"):
        if isinstance(given.get(name), str):
            # Not shown: a command line is where people put what belongs into Vault.
            found.append(f"{name} is one text: give a list, one word an entry.")
    if isinstance(given.get("vault_secrets"), VaultSecret):
        found.append("vault_secrets is one VaultSecret: give a list of them.")
    if not isinstance(given.get("template_vars") or {}, Mapping):
        kind = type(given["template_vars"]).__name__
        found.append(f"template_vars is of type {kind}: give a mapping of variable to value.")
    if found:
        raise SecretSpecError(problems(f"The arguments of task '{task_id}' have mistakes:", found))


def credentials(task_id: str, given: Mapping[str, object]) -> None:
    """Raise PolicyError, without the values, where a literal looks like a credential: its pod would be refused.

    What holds Airflow's Jinja is left to the check of the final pod.
    """
    found = []
    env_vars = given.get("env_vars")
    for name, value in env_vars.items() if isinstance(env_vars, Mapping) else ():
        if "{{" not in str(value) and (what := literals.kind_of_variable(str(name), str(value))):
            found.append(f"env_vars[{name}] looks like {what}")
    for name in ("cmds", "arguments"):
        words = given.get(name)
        if isinstance(words, list) and (what := _kind_of_words(tuple(map(str, words)))):
            found.append(f"{name} looks like {what}")
    if found:
        told = [f"{line} (not shown); put it in Vault and name it in vault_secrets." for line in found]
        raise PolicyError(problems(f"Task '{task_id}' holds what belongs into Vault:", told))


# A DAG file may make a thousand tasks of one command.
@lru_cache(maxsize=1024)
def _kind_of_words(words: tuple[str, ...]) -> str | None:
    return literals.kind_of_words([word for word in words if "{{" not in word])


def containers(
    task_id: str, vault_secrets: Sequence[VaultSecret], pod: Mapping[str, Any] | None, base: str
) -> None:
    """Raise SecretSpecError where a secret names a container that the rendered template, `pod`, does not have, or
    where that template opens one container to another.

    pod: None where it is not known before the task runs.
    """
    sound = well_formed(vault_secrets)
    if pod is None or not sound:
        return
    spec = pod["spec"]
    known = [
        base,
        *(c["name"] for c in [*(spec.get("initContainers") or ()), *spec["containers"]] if c["name"] != base),
    ]
    errors = [
        f"there is no container '{name}'; the pod has: {', '.join(known)}.{did_you_mean(name, known)}"
        for name in sorted({secret.container for secret in sound if secret.container} - set(known))
    ]
    variables = {
        name: {variable for secret in secrets for variable in secret.env or {}}
        for name, secrets in placement.by_container(sound, base).items()
    }
    errors += [f"the pod template's {sentence}." for sentence in neighbours.openings(pod, variables)]
    if errors:
        raise SecretSpecError(problems(f"The secrets of task '{task_id}' have mistakes:", errors))


def secrets(
    task_id: str, asked: Sequence[object], delivery: str | None, base_container: str, env_vars: object = None
) -> None:
    """Raise SecretSpecError, or ConfigError where there are secrets and no Vault to get them from."""
    found = []
    for secret in asked:
        if isinstance(secret, VaultSecret):
            found += secret.mistakes()
        else:
            found.append(
                f"vault_secrets holds a {type(secret).__name__}: give VaultSecret(path, env=… or file=…)."
            )
    sound = well_formed(asked)
    found += placement.conflicts(sound, base_container)
    for name in sorted(_variables(env_vars) & {v for s in sound if not s.container for v in s.env or {}}):
        found.append(f"variable {name} is set by env_vars and by a VaultSecret.")
    if delivery not in (None, *config.DELIVERIES):
        found.append(f"delivery is {delivery!r}, which is none of: {', '.join(config.DELIVERIES)}.")
    if found:
        raise SecretSpecError(problems(f"The secrets of task '{task_id}' have mistakes:", found))
    if asked:
        for setting in ("vault_addr", "vault_auth_method", "default_delivery"):
            config.get(setting)


def well_formed(asked: Sequence[object]) -> list[VaultSecret]:
    """Return the secrets that have no mistake of their own."""
    return [secret for secret in asked if isinstance(secret, VaultSecret) and not secret.mistakes()]


def _variables(env_vars: object) -> set[str]:
    """Return the names of KubernetesPodOperator's env_vars, which may be a mapping or a list of V1EnvVar."""
    if isinstance(env_vars, Mapping):
        return {str(name) for name in env_vars}
    return {str(getattr(item, "name", "")) for item in env_vars} if isinstance(env_vars, list) else set()


def limits(task_id: str, team: Team, asked: Sequence[str], vault_secrets: Sequence[VaultSecret]) -> None:
    """Raise PolicyError where the task sets arguments, or asks for paths, that the team does not leave open."""
    refused = [arguments.refusal(task_id, team, asked), _over_the_ceiling(task_id, team, vault_secrets)]
    if any(refused):
        raise PolicyError("\n".join(filter(None, refused)))


def settled(task: Any, team: Team) -> dict[str, object]:
    """Return what must not change once the task is made, and what its final pod would not tell."""
    names = (*arguments.traceless(team), "pod_template", "team")
    return {name: getattr(task, name, None) for name in names}


def require_settled(task: Any, before: Mapping[str, object], team: Team) -> None:
    """Raise PolicyError where something of `before`, which `settled` gave, is not what it was."""
    changed = [name for name, value in settled(task, team).items() if value != before.get(name)]
    if changed:
        raise PolicyError(
            f"{', '.join(changed)} of task '{task.task_id}' changed after the task was made: what team "
            f"'{team.name}' does not leave open to DAGs stays as it was ({team.where('overridable')})."
        )


def _over_the_ceiling(task_id: str, team: Team, vault_secrets: Sequence[VaultSecret]) -> str | None:
    asked = [path for secret in vault_secrets for path in (secret.path, *secret.elsewhere)]
    paths = [path for path in asked if not team.allows_path(path)]
    if not paths:
        return None
    return (
        f"Task '{task_id}' asks for {', '.join(paths)}, which team '{team.name}' may not read.\n"
        f"  Its ceiling: {', '.join(team.secrets) or 'nothing'} ({team.where('secrets')})."
    )
