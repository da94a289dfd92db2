"""What only a pod can tell: whether the agent's image starts there, and reaches Vault (DNS, TCP, TLS, its answer).

A task of the team asks for a secret that nobody wrote. The agent starts, resolves, connects, logs in, and fails
with what Vault says of it; no main process runs. Admission policies admit no other pod with the agent's image.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property, partial

from airflow_k8s_vault import VaultSecret
from airflow_k8s_vault.compile import Source
from airflow_k8s_vault.doctor import task
from airflow_k8s_vault.doctor.check import Check, Outcome
from airflow_k8s_vault.doctor.kube import Kube

# Of a message that Vault's answer is in.
_ANSWERED = ("VAULT-PATHS", "VAULT-LOGIN", "VAULT-TTL")


def checks(kube: Kube, sources: list[Source]) -> Iterator[Check]:
    """Yield two checks of each team whose pods log in themselves."""
    for source in sources:
        if "agent" not in source.deliveries or not source.team.secrets:
            continue
        name, probe = source.team.name, Probe(kube, source)
        after = ("CLUSTER-REACHED", "CLUSTER-NAMESPACE", "CLUSTER-ACCOUNT")
        yield Check("POD-AGENT-IMAGE", partial(_started, probe), name, name, after)
        yield Check("POD-REACHES-VAULT", partial(_reaches, probe), name, name, (*after, "POD-AGENT-IMAGE"))


class Probe:
    """One task, run when it is first asked for."""

    def __init__(self, kube: Kube, source: Source) -> None:
        self._kube, self._source = kube, source

    @cached_property
    def ran(self) -> task.Ran:
        """What became of the task."""
        below = self._source.team.secrets[0].replace("*", "k8s-vault-doctor")
        return task.run(self._kube, self._source, [VaultSecret(below, file="doctor")], "agent")


def _started(probe: Probe) -> Outcome:
    ran = probe.ran
    if ran.lacks:
        return Outcome("unknown", ran.lacks)
    if ran.step == "POD-AGENT-IMAGE":
        return Outcome.of([ran.message])
    if ran.message and ran.step not in (*_ANSWERED, "POD-REACHES-VAULT"):
        return Outcome("unknown", f"no pod of the team came so far: {ran.message}")
    return Outcome("success")


def _reaches(probe: Probe) -> Outcome:
    ran = probe.ran
    if ran.lacks:
        return Outcome("unknown", ran.lacks)
    if ran.step == "POD-REACHES-VAULT":
        return Outcome.of([ran.message])
    if ran.message and ran.step not in _ANSWERED:
        return Outcome("unknown", "see above: no pod of the team came so far.")
    return Outcome("success")
