"""What Airflow's page of a task shows of its pod: names, and what the template gave where the DAG says nothing.

The page ("Rendered Templates") shows the template fields as they are after Airflow has rendered them, so they are
filled in for that moment, and taken back before the pod is built.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from airflow_k8s_vault.errors import K8sVaultError
from airflow_k8s_vault.operators import task_pod
from airflow_k8s_vault.vault_secret import VaultSecret

# Not vault_secrets: Airflow masks what has "secret" in its name.
FIELDS = ("pod_template", "team", "vault_paths")


def paths(secrets: Iterable[VaultSecret]) -> list[str]:
    """Return a line for each secret: its path, and what becomes of it.

    >>> paths([VaultSecret("secret/payments/db", env={"PGPASSWORD": "password"}, file="db.json")])
    ['secret/payments/db: PGPASSWORD (password), /vault/secrets/db.json']
    """
    return [f"{secret.path}: {', '.join(_names(secret))}" for secret in secrets]


def _names(secret: VaultSecret) -> list[str]:
    names = [f"{variable} ({key})" for variable, key in secret.variables.items()]
    names += [file.path + (f" ({file.key})" if file.key else "") for file in secret.outputs]
    return names + ([f"in container {secret.container}"] if secret.container else [])


def show(task: Any, context: Any) -> None:
    """Fill in what the template gives, as far as the DAG leaves it open."""
    hide(task)
    if "ti" not in context:
        return
    try:
        template = task_pod.find_template(task.pod_template, task.team)
        values = template.typed(task.template_vars, task._templated)
        pod = template.render(values, context=task_pod.running_task(context))
    except K8sVaultError:
        # Told when the pod is built.
        return
    base = next(c for c in pod["spec"]["containers"] if c["name"] == task_pod.BASE_CONTAINER)
    given = {"image": base.get("image"), "namespace": template.team.namespace, "team": template.team.name}
    task._shown = tuple(name for name in given if getattr(task, name) is None)
    for name in task._shown:
        setattr(task, name, given[name])


def hide(task: Any) -> None:
    """Take back what `show` filled in."""
    for name in task._shown:
        setattr(task, name, None)
    task._shown = ()
