"""The final pod as far as an import can know it, held against the final check."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from kubernetes.client import ApiClient, Configuration

from airflow_k8s_vault import config, policy
from airflow_k8s_vault.delivery import VaultLogin, agent, secret
from airflow_k8s_vault.errors import K8sVaultError
from airflow_k8s_vault.operators import task_pod
from airflow_k8s_vault.policy import is_open, parsed_path
from airflow_k8s_vault.teams import POD_ARGUMENTS_BY_NAME, Team
from airflow_k8s_vault.templates import PodTemplate, merge_pods
from airflow_k8s_vault.vault_secret import VaultSecret

# Looked at already, free to choose, or not written as their fields are.
_LEFT_OUT = frozenset(
    (
        *("cmds", "arguments", "env_vars", "name", "container_resources", "active_deadline_seconds"),
        *("configmaps", "pod_runtime_info_envs"),
    )
)
_OUTCOMES: dict[tuple[object, ...], K8sVaultError | None] = {}
config.on_reload(_OUTCOMES.clear)


def check(
    template: PodTemplate,
    rendered: Mapping[str, Any],
    secrets: Sequence[VaultSecret],
    delivery: str | None,
    arguments: Mapping[str, Any],
    set_by_dag: Sequence[str],
) -> None:
    """Raise what the delivery or the final check would say of this pod; once for equal ones.

    rendered: the template's manifest outside of a run. secrets: those paths resolved. arguments: what the
    DAG set, of which what holds Airflow's Jinja is left to the run. Where a pod_mutation_hook may change fields,
    only the delivery is asked: the hook may mend what the final check would refuse.
    """
    by = (delivery or config.get("default_delivery")) if secrets else ""
    names = [name for name in set_by_dag if name in arguments and name not in _LEFT_OUT]
    known = _known({name: arguments[name] for name in names if is_open(template.team, name)})
    places = tuple((repr(item), item.kind, item.elsewhere) for item in secrets)
    # The rendered manifest is the same object each time: task_pod.check_variables keeps it.
    key = (id(rendered), template.name, by, places, json.dumps(known))
    if key not in _OUTCOMES:
        # What one of both refuses may be what the other is for: the run tells which one it is.
        deliveries = config.DELIVERIES if by == config.AUTO else (by,)
        outcomes = [_outcome(template, rendered, secrets, each, known, set_by_dag) for each in deliveries]
        _OUTCOMES[key] = outcomes[0] if all(outcomes) else None
    if error := _OUTCOMES[key]:
        raise type(error)(*error.args)


def _outcome(
    template: PodTemplate,
    rendered: Mapping[str, Any],
    secrets: Sequence[VaultSecret],
    by: str,
    known: Mapping[str, Any],
    set_by_dag: Sequence[str],
) -> K8sVaultError | None:
    plain = task_pod.completed(copy.deepcopy(dict(rendered)), template, "0000000000")
    try:
        attached = _attached(plain, secrets, by, template.team)
        if not template.team.platform.hook_fields:
            expected = policy.Expected(plain, attached, template.where(None))
            policy.check(_with_arguments(attached, known), template.team, expected, set_by_dag)
    except K8sVaultError as error:
        return error.with_traceback(None)
    return None


def _attached(pod: dict[str, Any], secrets: Sequence[VaultSecret], by: str, team: Team) -> dict[str, Any]:
    if by == "secret":
        return secret.attach(pod, secrets)
    if by:
        # Not the whole login: vault_cacert may be a file that is on the workers alone, and what is wrong with the
        # other settings is told by the check of the settings.
        image = config.get("vault_agent_image")
        login = VaultLogin("https://vault", team.vault_role, image=image, agent=team.agent)
        return agent.attach(pod, secrets, login)
    return pod


def _known(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments as JSON has them, without those that cannot be so, or that Airflow fills in later."""
    result = {}
    for name, value in arguments.items():
        try:
            manifest = _serializer().sanitize_for_serialization(value)
            text = json.dumps(manifest, allow_nan=False)
        except (TypeError, ValueError, AttributeError, RecursionError):
            # KubernetesPodOperator takes more than manifests have, and says itself what it does not take.
            continue
        if value is not None and "{{" not in text and "{%" not in text and POD_ARGUMENTS_BY_NAME[name].fields:
            result[name] = json.loads(text)
    return result


def _with_arguments(pod: dict[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """Return the pod with the arguments laid over the fields that they set, as KubernetesPodOperator does."""
    for name, value in known.items():
        section, *steps = parsed_path(POD_ARGUMENTS_BY_NAME[name].fields[0])
        if steps[:2] == ["containers", task_pod.BASE_CONTAINER]:
            value = {"containers": [{"name": task_pod.BASE_CONTAINER, steps[2]: value}]}
        else:
            value = {steps[0]: value}
        pod = merge_pods(pod, {section: value})
    return pod


@lru_cache(maxsize=1)
def _serializer() -> ApiClient:
    """A client that only turns models into manifests: it opens no connection."""
    return ApiClient(Configuration())
