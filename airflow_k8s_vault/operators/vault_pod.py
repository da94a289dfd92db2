"""VaultPodOperator: KubernetesPodOperator whose pod is named by a template and gets its secrets from Vault.

Here is what a DAG author gives, and what can be said of it at import. The rest of a task's way is one module each:
build (the pod), create (it, with its credentials), run (until its end) and end.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, ClassVar, cast

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.sdk.definitions.mappedoperator import OperatorPartial

from airflow_k8s_vault import config
from airflow_k8s_vault.errors import PolicyError
from airflow_k8s_vault.operators import (
    airflow_secrets,
    argument_names,
    for_good,
    frozen_arguments,
    import_check,
    mixins,
    plain,
    shown_fields,
)
from airflow_k8s_vault.operators.mapped import OWN, CheckedPartial
from airflow_k8s_vault.operators.run import RunsPod
from airflow_k8s_vault.operators.task_request import TaskRequest
from airflow_k8s_vault.policy import argument_refusal
from airflow_k8s_vault.teams import Team
from airflow_k8s_vault.templates import PodTemplate
from airflow_k8s_vault.vault_secret import VaultSecret

_PARAMETERS = inspect.signature(KubernetesPodOperator.__init__).parameters
_POD_ARGUMENTS = frozenset(_PARAMETERS) - {"self", "kwargs"}
# Where VaultPodOperator's own default is another than KubernetesPodOperator's.
_DEFAULTS = {"startup_check_interval_seconds": 1, "log_pod_spec_on_failure": False}


class VaultPodOperator(RunsPod):
    """Run a task in a pod that is defined by a named template and gets secrets of Vault that no other pod gets.

    pod_template: "<team>/<template>", found in `[k8s_vault] templates_dir` (templated: no).
    team: the team, where pod_template names only the template.
    template_vars: values of the variables that the template declares (templated).
    vault_secrets: what the pod gets; only paths and key names are ever seen by Airflow.
    delivery: how the pod gets it, "agent" or "secret" (docs/security.md); None is [k8s_vault] default_delivery.
    allow_literals: whether the task may hold text that looks like a credential and is none; the team opens that.

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

    # Arguments of KubernetesPodOperator that a subclass of this package sets itself, with the reason.
    set_itself: ClassVar[Mapping[str, str]] = {}
    # And those that it sets where the DAG does not.
    named_itself: ClassVar[frozenset[str]] = frozenset()

    template_fields: Sequence[str] = (
        *KubernetesPodOperator.template_fields,
        "template_vars",
        *shown_fields.FIELDS,
    )
    _shown: tuple[str, ...] = ()

    def __init__(
        self,
        *,
        pod_template: str = "",
        team: str | None = None,
        template_vars: dict[str, Any] | None = None,
        vault_secrets: Sequence[VaultSecret] | None = None,
        delivery: str | None = None,
        allow_literals: bool = False,
        **kwargs: Any,
    ) -> None:
        given_own = (pod_template, team, template_vars, vault_secrets, delivery, allow_literals)
        own = dict(zip(OWN, given_own, strict=True))
        kwargs = plain.named(kwargs)
        defaults, passed = plain.named(kwargs.get("default_args")), plain.named(self._passed(kwargs))
        # Set by Airflow before this runs.
        is_mapped = bool(vars(self).get("_BaseOperator__from_mapped"))
        with for_good.where(is_mapped), import_check.naming(kwargs.get("dag")):
            given = {**defaults, **own, **passed}
            request, template = self.checked(_full_task_id(kwargs, is_mapped), given, passed)
        super().__init__(**{name: defaults.get(name, value) for name, value in _DEFAULTS.items()} | kwargs)
        # Past Airflow's own __setattr__, which looks for other tasks in each: a DAG file may make a thousand.
        vars(self).update(
            pod_template=str(request.pod_template),
            team=request.team,
            delivery=request.delivery,
            template_vars=dict(request.template_vars),
            vault_secrets=list(request.vault_secrets),
            vault_paths=shown_fields.paths(request.vault_secrets),
            _templated=request.templated,
            _set_by_dag=request.set_by_dag,
            _written="\n".join(airflow_secrets.written_in(request.arguments)),
        )
        team_settings = cast(PodTemplate, template).team
        with for_good.where(is_mapped), import_check.naming(kwargs.get("dag")):
            self._require_seen(request, team_settings)
        vars(self)["_frozen"] = frozen_arguments.of(self, team_settings)

    @property
    def vault_request(self) -> str:
        """The task's secrets by names and paths, as JSON: part of the serialized DAG, where the page reads it.

        As text, because Airflow's scheduler reads a dict of a field that it does not know in a form of its own.
        """
        name = self.pod_template if "/" in self.pod_template else f"{self.team}/{self.pod_template}"
        request = {
            "pod_template": name,
            "delivery": (self.delivery or config.get("default_delivery")) if self.vault_secrets else "",
            "vault_secrets": [{**s.serialize(), "targets": s.targets} for s in self.vault_secrets],
        }
        return json.dumps(request, sort_keys=True)

    @classmethod
    def get_serialized_fields(cls) -> Any:
        """Return the attributes that Airflow writes into the serialized DAG."""
        return super().get_serialized_fields() | {"vault_request"}  # type: ignore[no-untyped-call]

    @classmethod
    def partial(cls, **kwargs: Any) -> OperatorPartial:
        """Return Airflow's partial of a mapped task, whose `expand` raises what can be told of it at import."""
        cls.check_names(str(kwargs.get("task_id")), kwargs)
        return CheckedPartial.of(super().partial(**kwargs))

    @classmethod
    def checked(
        cls, task_id: str, given: Mapping[str, Any], passed: Mapping[str, Any], unknown: Collection[str] = ()
    ) -> tuple[TaskRequest, PodTemplate | None]:
        """Return the request of a DAG and its template; raise one error with every mistake that can be told now.

        given: all arguments, with the DAG's defaults. passed: those that are not from there, among which nothing
        may be misspelt. unknown: what only the run of a mapped task tells.
        """
        argument_names.require_readable(task_id, given)
        request = TaskRequest.of(task_id, given, _POD_ARGUMENTS - cls.set_itself.keys(), unknown)
        with import_check.ErrorCollector() as errors:
            errors(cls.check_names, task_id, [*passed, *unknown])
            template = import_check.check(request, errors)
        return request, template

    @classmethod
    def check_names(cls, task_id: str, names: Iterable[str]) -> None:
        """Raise ArgumentError for each of the names that is no argument of this class, or not the DAG's to set."""
        mixins.require_none(cls, VaultPodOperator, task_id)
        argument_names.check(cls, task_id, names, cls.set_itself)

    def _require_seen(self, request: TaskRequest, team: Team) -> None:
        """Raise PolicyError where Airflow took an argument from the defaults that the checks did not see there."""
        applied: Mapping[str, Any] = vars(self)["_BaseOperator__init_kwargs"]
        seen = {*request.set_by_dag, *_DEFAULTS, *self.set_itself, *self.named_itself}
        hidden = [
            name
            for name in _POD_ARGUMENTS - seen
            if name in applied and applied[name] is not _PARAMETERS[name].default
        ]
        if refusal := argument_refusal(request.task_id, team, hidden):
            raise PolicyError(refusal)

    def _passed(self, kwargs: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return those of the arguments that the DAG gave."""
        return kwargs

    def execute(self, context: Any) -> Any:
        with for_good.where(True):
            frozen_arguments.require_unstarted(self)
        return super().execute(context)

    def _do_render_template_fields(
        self, parent: Any, template_fields: Any, context: Any, *others: Any, **named: Any
    ) -> None:
        # A mapped task passes them by name.
        super()._do_render_template_fields(parent, template_fields, context, *others, **named)
        if parent is self:
            shown_fields.show(self, context)


def _full_task_id(kwargs: Mapping[str, Any], is_mapped: bool) -> str:
    task_id, group = str(kwargs.get("task_id")), kwargs.get("task_group")
    return task_id if is_mapped or not group else str(group.child_id(task_id))
