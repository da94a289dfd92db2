"""Which arguments of KubernetesPodOperator a DAG may set."""

from __future__ import annotations

import copy
import inspect
from dataclasses import replace
from typing import Any

import pytest
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from kubernetes.client import ApiClient

from airflow_k8s_vault.errors import PolicyError
from airflow_k8s_vault.policy import Expected, arguments, check
from airflow_k8s_vault.policy.manifest import parsed_path
from airflow_k8s_vault.teams import OPENABLE, POD_ARGUMENTS, POD_ARGUMENTS_BY_NAME, Platform, Team

SIGNATURE = [name for name in inspect.signature(KubernetesPodOperator.__init__).parameters if name != "self"]


def test_somebody_has_decided_about_every_argument_of_the_operator() -> None:
    undecided = set(SIGNATURE) - {"kwargs"} - set(POD_ARGUMENTS_BY_NAME)

    assert not undecided, f"new in KubernetesPodOperator: decide in pod_arguments.py: {undecided}"


def test_no_decision_is_about_an_argument_that_is_not_there() -> None:
    assert {"allow_literals"} == set(POD_ARGUMENTS_BY_NAME) - set(SIGNATURE)
    assert len(POD_ARGUMENTS) == len(POD_ARGUMENTS_BY_NAME)


@pytest.mark.parametrize("name", [argument.name for argument in POD_ARGUMENTS if argument.rule == "locked"])
def test_a_locked_argument_is_refused_whatever_a_team_opens(name: str, team: Team) -> None:
    opened = replace(team, overridable=(*OPENABLE, name), platform=Platform(overridable=(*OPENABLE, name)))

    assert [f"{name} is never open to DAGs: {POD_ARGUMENTS_BY_NAME[name].reason}."] == arguments.check(
        opened, [name]
    )


@pytest.mark.parametrize("name", OPENABLE)
def test_an_argument_is_closed_until_a_team_opens_it(name: str, team: Team) -> None:
    closed = replace(team, overridable=())

    assert arguments.check(closed, {name: "x"})
    assert [] == arguments.check(team, {name: "x"})


def test_what_the_platform_closes_no_team_opens(team: Team) -> None:
    narrowed = replace(team, overridable=("cmds",), platform=Platform(overridable=("cmds",)))

    assert ["image is closed to all teams by the defaults (there is no platform.yaml)."] == arguments.check(
        narrowed, ["image", "cmds"]
    )


def test_an_argument_that_nobody_knows_is_refused(team: Team) -> None:
    assert ["novelty is not known to this release of airflow-k8s-vault."] == arguments.check(team, ["novelty"])


def test_a_pod_that_the_operator_builds_from_open_arguments_passes(team: Team, expected: Expected) -> None:
    plain = Expected(expected.rendered, expected.attached, expected.source)

    pod = _built(
        plain,
        cmds=["psql"],
        arguments=["-f", "load.sql"],
        env_vars={"BATCH": "1000"},
        labels={"tier": "batch"},
        annotations={"owner": "etl"},
        container_resources={"limits": {"memory": "1Gi", "cpu": 2}},
        tolerations=[{"key": "a", "operator": "Exists"}],
        node_selector={"disk": "fast"},
        active_deadline_seconds=60,
    )

    check(pod, team, plain)


# Each argument that shapes the pod, with a value that its field takes.
VALUES: dict[str, Any] = {
    "namespace": "team-data-science",
    "image": "evil.example.com/x",
    "ports": [{"containerPort": 1, "hostPort": 1}],
    "volumes": [{"name": "host", "hostPath": {"path": "/"}}],
    "volume_mounts": [{"name": "vault-env", "mountPath": "/steal"}],
    "env_from": [{"secretRef": {"name": "any"}}],
    "env_vars": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "any", "key": "x"}}}],
    "annotations": {"vault.hashicorp.com/agent-inject": "true"},
    "labels": {"azure.workload.identity/use": "true"},
    "image_pull_secrets": [{"name": "any"}],
    "service_account_name": "default",
    "automount_service_account_token": True,
    "hostnetwork": True,
    "host_aliases": [{"ip": "10.0.0.66", "hostnames": ["vault"]}],
    "security_context": {"runAsUser": 0},
    "container_security_context": {"privileged": True},
    "dnspolicy": "Default",
    "dns_config": {"nameservers": ["10.0.0.66"]},
    "runtime_class_name": "any",
    "init_containers": [{"name": "steal", "image": "evil.example.com/x"}],
}


@pytest.mark.parametrize("name", VALUES)
def test_an_argument_that_slipped_past_the_import_is_refused_in_the_final_pod(
    name: str, team: Team, expected: Expected
) -> None:
    plain = Expected(expected.rendered, expected.attached, expected.source)
    pod = _built(plain, **{name: VALUES[name]})

    with pytest.raises(PolicyError) as refused:
        check(pod, team, plain, requested=[name])
    field = parsed_path(POD_ARGUMENTS_BY_NAME[name].fields[0])[-1]
    assert field in str(refused.value)


def _built(expected: Expected, **given: Any) -> dict[str, Any]:
    """Return the manifest that KubernetesPodOperator makes of the expected pod and the arguments."""
    client = ApiClient()
    converted = {name: _model(name, value) for name, value in given.items()}
    operator = KubernetesPodOperator(
        task_id="load", name="load", pod_template_dict=copy.deepcopy(expected.attached), **converted
    )
    pod = operator.build_pod_request_obj(None, dry_run=True)
    manifest: dict[str, Any] = client.sanitize_for_serialization(pod)
    return manifest


def _model(name: str, value: Any) -> Any:
    """Return the argument as the Kubernetes client's model, which is what the operator takes."""
    models = {
        "ports": "list[V1ContainerPort]",
        "volumes": "list[V1Volume]",
        "volume_mounts": "list[V1VolumeMount]",
        "env_from": "list[V1EnvFromSource]",
        "env_vars": "list[V1EnvVar]" if isinstance(value, list) else None,
        "container_resources": "V1ResourceRequirements",
        "tolerations": "list[V1Toleration]",
        "image_pull_secrets": "list[V1LocalObjectReference]",
        "host_aliases": "list[V1HostAlias]",
        "security_context": "V1PodSecurityContext",
        "container_security_context": "V1SecurityContext",
        "dns_config": "V1PodDNSConfig",
        "init_containers": "list[V1Container]",
    }
    model = models.get(name)
    return ApiClient()._ApiClient__deserialize(value, model) if model else value
