"""VaultPodOperator: KubernetesPodOperator whose pod is named by a template and gets its secrets from Vault.

Here is what a DAG author gives, and what can be said of it at import. The rest of a task's way is one module each:
build (the pod), create (it, with its credentials), run (until its end) and end.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Sequence
from typing import Any

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator

from airflow_k8s_vault import config
from airflow_k8s_vault.lookups import located
from airflow_k8s_vault.operators import import_check, task_pod
from airflow_k8s_vault.operators.run import RunsPod
from airflow_k8s_vault.vault_secret import VaultSecret

_POD_ARGUMENTS = frozenset(inspect.signature(KubernetesPodOperator.__init__).parameters) - {"self", "kwargs"}


class VaultPodOperator(RunsPod):
    """Run a task in a pod that is defined by a named template and gets secrets of Vault that no other pod gets.

    pod_template: "<team>/<template>", found in `[k8s_vault] templates_dir` (templated: no).
    team: the team, where pod_template names only the template.
    template_vars: values of the variables that the template declares (templated).
    vault_secrets: what the pod gets; only paths and key names are ever seen by Airflow.
    delivery: how the pod gets it, "agent" or "secret" (docs/security.md); None is [k8s_vault] default_delivery.

    Every other argument is KubernetesPodOperator's, as far as the team's `overridable` leaves it open. Three
    defaults differ: the start is checked each second (KubernetesPodOperator: 5), a failed task does not log the
    whole pod, and the XCom sidecar is made to pass the Pod Security Standard `restricted`.

    Raises at import, with all mistakes at once: TeamError, TemplateError, SecretSpecError, PolicyError,
    ConfigError. Fails the task for good where Vault or the cluster refuses, and so that Airflow retries it where
    Vault cannot be reached.

    >>> VaultPodOperator(
    ...     task_id="load",
    ...     pod_template="payments/etl",
    ...     vault_secrets=[VaultSecret("secret/payments/warehouse", env={"PGPASSWORD": "password"})],
    ...     cmds=["psql", "-c", "select 1"],
    ... )
    <Task(VaultPodOperator): load>
    """

    # Arguments that a subclass of this package sets itself: nothing for the team's locks.
    set_by_package: frozenset[str] = frozenset()

    template_fields: Sequence[str] = (*KubernetesPodOperator.template_fields, "template_vars")

    def __init__(
        self,
        *,
        pod_template: str,
        team: str | None = None,
        template_vars: dict[str, Any] | None = None,
        vault_secrets: Sequence[VaultSecret] | None = None,
        delivery: str | None = None,
        startup_check_interval_seconds: int = 1,
        log_pod_spec_on_failure: bool = False,
        **kwargs: Any,
    ) -> None:
        defaults = kwargs.get("default_args") or {}
        given = {**defaults, **kwargs}
        asked = [name for name in self._lockable() & given.keys() if given[name] is not None]
        asked += ["log_pod_spec_on_failure"] if log_pod_spec_on_failure else []
        super().__init__(
            startup_check_interval_seconds=startup_check_interval_seconds,
            log_pod_spec_on_failure=log_pod_spec_on_failure,
            **kwargs,
        )
        import_check.shapes(
            self.task_id, {**given, "template_vars": template_vars, "vault_secrets": vault_secrets}
        )
        self.pod_template, self.team = pod_template, team
        self.template_vars = dict(template_vars or {})
        self.vault_secrets = list(vault_secrets or [])
        self.delivery = delivery
        self._asked = asked
        with import_check.AllAtOnce() as said:
            base = self.base_container_name
            said(import_check.secrets, self.task_id, self.vault_secrets, delivery, base, self.env_vars)
            said(import_check.credentials, self.task_id, given)
            if template := said(self._template):
                rendered = said(task_pod.check_variables, template, self.template_vars)
                said(import_check.containers, self.task_id, self.vault_secrets, rendered, base)
                well_formed = import_check.well_formed(self.vault_secrets)
                places = said(located, well_formed, template.team.name) or []
                said(import_check.limits, self.task_id, template.team, asked, places)
        self._settled = import_check.settled(self, self._template().team)

    @property
    def vault_request(self) -> str:
        """The task's secrets by names and paths, as JSON: part of the serialized DAG, where the page reads it.

        As text, because Airflow's scheduler reads a dict of a field that it does not know in a form of its own.
        """
        name = self.pod_template if "/" in self.pod_template else f"{self.team}/{self.pod_template}"
        request = {
            "pod_template": name,
            "delivery": (self.delivery or config.get("default_delivery")) if self.vault_secrets else "",
            "vault_secrets": [secret.serialize() for secret in self.vault_secrets],
        }
        return json.dumps(request, sort_keys=True)

    @classmethod
    def get_serialized_fields(cls) -> Any:
        """Return the attributes that Airflow writes into the serialized DAG."""
        return super().get_serialized_fields() | {"vault_request"}  # type: ignore[no-untyped-call]

    @classmethod
    def _lockable(cls) -> frozenset[str]:
        return _POD_ARGUMENTS - cls.set_by_package
