"""Would the API server take a pod of each template? It is asked by a dry run: nothing is created."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from airflow_k8s_vault import config, templates
from airflow_k8s_vault.compile import Source
from airflow_k8s_vault.doctor.check import Outcome
from airflow_k8s_vault.doctor.kube import Answer, Kube
from airflow_k8s_vault.templates import SAMPLE_CONTEXT, simplest_values, template_folder

# How plugin/pkg/admission/resourcequota refuses: more than is left, or a quota for what the pod does not say.
_QUOTA = ("exceeded quota:", "failed quota:")


class Trials:
    """The API server's answers for one team, asked for once."""

    def __init__(self, kube: Kube, source: Source) -> None:
        self._kube, self._source = kube, source

    @cached_property
    def _refused(self) -> dict[str, Answer]:
        """Return how each template's pod was refused; those that would be taken are left out."""
        refused = {}
        team, root = self._source.team, Path(config.get("templates_dir"))
        for short in template_folder(root.absolute()).available(team.name):
            template = templates.find(f"{team.name}/{short}", root)
            pod = template.render(simplest_values(template), SAMPLE_CONTEXT)
            requested = {**pod, "metadata": {**pod["metadata"], "name": f"k8s-vault-doctor-{short}"}}
            try:
                self._kube.post(f"/api/v1/namespaces/{team.namespace}/pods", requested, dryRun="All")
            except Answer as error:
                refused[template.name] = error
        return refused

    def quota(self) -> Outcome:
        """Whether the namespace's quotas leave room for one pod."""
        if unknown := self._without_right():
            return unknown
        refused = {name: error for name, error in self._refused.items() if _by_quota(error)}
        outcome = Outcome.of([f"pod of template {name}: {error}" for name, error in refused.items()])
        if refused:
            # Pods that end make room: the next look asks again.
            vars(self).pop("_refused")
            return Outcome(outcome.result, outcome.message, may_come_up=True)
        return outcome

    def admitted(self) -> Outcome:
        """Whether something else refuses the pod: Pod Security, an admission policy, a limit."""
        return self._without_right() or Outcome.of(
            [f"pod of template {name}: {error}" for name, error in self._refused.items() if not _by_quota(error)]
        )

    def _without_right(self) -> Outcome | None:
        if any("cannot create resource" in str(error) for error in self._refused.values()):
            needed = f"create pods in {self._source.team.namespace}"
            return Outcome("unknown", f"whoever runs this needs the right: {needed}.")
        return None


def _by_quota(error: Answer) -> bool:
    return any(words in str(error) for words in _QUOTA)
