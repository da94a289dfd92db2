"""The policies of one team and their bindings, as Kubernetes' objects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from airflow_k8s_vault.compile import cel
from airflow_k8s_vault.compile.admission import (
    agent_rules,
    container_rules,
    dag_rules,
    limit_rules,
    pod_rules,
    security_rules,
    volume_rules,
)
from airflow_k8s_vault.compile.admission.rule import VARIABLES, Rule
from airflow_k8s_vault.compile.source import Source
from airflow_k8s_vault.delivery import agent

API_VERSION = "admissionregistration.k8s.io/v1"
_PODS = {"operations": ["CREATE", "UPDATE"], "resources": ["pods", "pods/ephemeralcontainers"]}
_EXEC = {"operations": ["CONNECT"], "resources": ["pods/exec", "pods/attach"]}


def rules_of_pods(source: Source) -> list[Rule]:
    """Return all rules on pods; each holds for a new pod and for one whose spec is changed."""
    spec = [
        *pod_rules.of_identity(source),
        *dag_rules.of_dags(source),
        *pod_rules.of_fields(source),
        *container_rules.of_containers(source),
        *agent_rules.of_agent(source),
        *volume_rules.of_volumes(source),
        *security_rules.of_level(source.team.pod_security),  # type: ignore[arg-type]
        *limit_rules.of_limits(source),
    ]
    kept = [Rule(f"variables.unchanged || ({rule.expression})", rule.message) for rule in spec]
    trusted = cel.any_of(_trusted(source))
    every = [*kept, *pod_rules.of_metadata(source)]
    return [
        Rule(f"{trusted} || ({rule.expression})", rule.message) if _trusted(source) else rule for rule in every
    ]


def variables(source: Source) -> dict[str, str]:
    """Return the policy's variables, in the order in which they use each other."""
    is_agent = f"c.name == {cel.literal(agent.CONTAINER)}"
    return {
        **VARIABLES,
        "others": container_rules.others(source),
        **dag_rules.variables(source),
        "agents": f"variables.containers.filter(c, {is_agent})",
    }


def _trusted(source: Source) -> list[str]:
    """Return the terms that tell whether platform.yaml lets whoever asks pass."""
    if not (names := source.team.platform.break_glass):
        return []
    listed = cel.literal(list(names))
    in_groups = f"has(request.userInfo.groups) && request.userInfo.groups.exists(g, g in {listed})"
    return [f"request.userInfo.username in {listed}", in_groups]


def rules_of_exec(source: Source) -> list[Rule]:
    """Return the rule on who may run commands in a pod: Airflow's worker, in the XCom sidecar."""
    options = []
    if source.xcom_sidecar:
        container = cel.literal(source.xcom_sidecar["name"])
        options.append(
            f'request.userInfo.username == {cel.literal(source.worker.user)} && request.subResource == "exec"'
            f" && has(object.container) && object.container == {container}"
        )
    options += _trusted(source)
    allowed = "Airflow's worker, in the XCom sidecar" if source.xcom_sidecar else "nobody"
    message = f"Who runs commands in a pod reads its credentials; allowed here is {allowed}."
    return [Rule(cel.any_of(options), message)]


def of_pods(source: Source, name: str) -> list[dict[str, Any]]:
    """Return the policy on the team's pods and its binding."""
    return _policy(source, name, _PODS, rules_of_pods(source), variables(source))


def of_exec(source: Source, name: str) -> list[dict[str, Any]]:
    """Return the policy on pods/exec and pods/attach and its binding."""
    return _policy(source, name, _EXEC, rules_of_exec(source), {})


def _policy(
    source: Source, name: str, on: Mapping[str, Any], rules: Iterable[Rule], variables: Mapping[str, str]
) -> list[dict[str, Any]]:
    resource_rule = {"apiGroups": [""], "apiVersions": ["v1"], **on, "scope": "*"}
    spec: dict[str, Any] = {
        "failurePolicy": "Fail",
        "matchConstraints": {"matchPolicy": "Equivalent", "resourceRules": [resource_rule]},
        "validations": [rule._asdict() for rule in rules],
    }
    if variables:
        spec["variables"] = [{"name": key, "expression": value} for key, value in variables.items()]
    here = {"matchLabels": {"kubernetes.io/metadata.name": source.team.namespace}}
    binding = {
        "policyName": name,
        "validationActions": ["Deny"],
        "matchResources": {"namespaceSelector": here},
    }
    return [
        {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": content}
        for kind, content in (
            ("ValidatingAdmissionPolicy", spec),
            ("ValidatingAdmissionPolicyBinding", binding),
        )
    ]
