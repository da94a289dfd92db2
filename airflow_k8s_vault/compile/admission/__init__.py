"""Which pods may be in a team's namespace, and who may run commands in them: ValidatingAdmissionPolicies."""

from __future__ import annotations

from airflow_k8s_vault.compile.admission.policies import of_exec, of_pods

__all__ = ["of_exec", "of_pods"]
