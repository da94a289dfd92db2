"""The Pod Security Standards: each control refuses what it is there for, and names the field."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from airflow_k8s_vault.policy.pod_security import pod_security_violations

RESTRICTED: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "job"},
    "spec": {
        "securityContext": {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                "name": "base",
                "image": "python:3.12-slim",
                "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
            }
        ],
    },
}
MINIMAL: dict[str, Any] = {"spec": {"containers": [{"name": "base", "image": "python:3.12-slim"}]}}

# Field as the message names it, then the value there.
BASELINE = [
    ("spec.securityContext.windowsOptions.hostProcess", True),
    ("spec.containers[0].securityContext.windowsOptions.hostProcess", True),
    ("spec.hostNetwork", True),
    ("spec.hostPID", True),
    ("spec.hostIPC", True),
    ("spec.containers[0].securityContext.privileged", True),
    ("spec.containers[0].securityContext.capabilities.add", ["SYS_ADMIN"]),
    ("spec.containers[0].securityContext.capabilities.add", ["NET_RAW"]),
    ("spec.containers[0].securityContext.capabilities.add", ["ALL"]),
    ("spec.containers[0].securityContext.capabilities.add", ["chown"]),
    ("spec.containers[0].livenessProbe.httpGet.host", "169.254.169.254"),
    ("spec.containers[0].readinessProbe.tcpSocket.host", "10.0.0.1"),
    ("spec.containers[0].startupProbe.httpGet.host", "10.0.0.1"),
    ("spec.containers[0].lifecycle.postStart.httpGet.host", "10.0.0.1"),
    ("spec.containers[0].lifecycle.preStop.tcpSocket.host", "10.0.0.1"),
    ("spec.securityContext.appArmorProfile.type", "Unconfined"),
    ("spec.containers[0].securityContext.appArmorProfile.type", "Unconfined"),
    ("spec.securityContext.seLinuxOptions.type", "spc_t"),
    ("spec.containers[0].securityContext.seLinuxOptions.user", "root"),
    ("spec.containers[0].securityContext.seLinuxOptions.role", "sysadm_r"),
    ("spec.containers[0].securityContext.procMount", "Unmasked"),
    ("spec.securityContext.seccompProfile.type", "Unconfined"),
    ("spec.containers[0].securityContext.seccompProfile.type", "Unconfined"),
]
RESTRICTED_ONLY = [
    ("spec.containers[0].securityContext.allowPrivilegeEscalation", True),
    ("spec.containers[0].securityContext.allowPrivilegeEscalation", None),
    ("spec.securityContext.runAsNonRoot", False),
    ("spec.containers[0].securityContext.runAsNonRoot", False),
    ("spec.securityContext.runAsUser", 0),
    ("spec.containers[0].securityContext.runAsUser", 0),
    ("spec.containers[0].securityContext.capabilities.drop", None),
    ("spec.containers[0].securityContext.capabilities.drop", ["NET_RAW"]),
    ("spec.containers[0].securityContext.capabilities.add", ["CHOWN"]),
]


def with_value(field: str, value: Any) -> dict[str, Any]:
    pod = copy.deepcopy(RESTRICTED)
    *steps, last = field.replace("[0]", ".0").split(".")
    at: Any = pod
    for step in steps:
        at = at[0] if step == "0" else at.setdefault(step, {})
    at[last] = value
    return pod


def test_a_restricted_pod_meets_every_level() -> None:
    assert [] == pod_security_violations(RESTRICTED, "privileged")
    assert [] == pod_security_violations(RESTRICTED, "baseline")
    assert [] == pod_security_violations(RESTRICTED, "restricted")


def test_a_minimal_pod_meets_baseline_and_not_restricted() -> None:
    message = pod_security_violations(MINIMAL, "restricted")

    assert [] == pod_security_violations(MINIMAL, "baseline")
    assert ["allowPrivilegeEscalation", "runAsNonRoot", "seccompProfile.type", "capabilities.drop"] == [
        sentence.split(" is ")[0].removeprefix("spec.containers[0].securityContext.") for sentence in message
    ]


@pytest.mark.parametrize(("field", "value"), BASELINE)
def test_baseline_refuses_and_names(field: str, value: Any) -> None:
    pod = with_value(field, value)

    assert any(sentence.startswith(f"{field} is ") for sentence in pod_security_violations(pod, "baseline"))
    assert any(sentence.startswith(f"{field} is ") for sentence in pod_security_violations(pod, "restricted"))
    assert [] == pod_security_violations(pod, "privileged")


@pytest.mark.parametrize(("field", "value"), RESTRICTED_ONLY)
def test_restricted_refuses_and_names(field: str, value: Any) -> None:
    pod = with_value(field, value)

    assert any(sentence.startswith(f"{field} is ") for sentence in pod_security_violations(pod, "restricted"))
    assert [] == pod_security_violations(pod, "baseline")


@pytest.mark.parametrize(
    ("volume", "level"),
    [
        ({"hostPath": {"path": "/"}}, "baseline"),
        ({"nfs": {"server": "nfs", "path": "/"}}, "restricted"),
        ({"gitRepo": {"repository": "https://example.com"}}, "restricted"),
        ({"flexVolume": {"driver": "any"}}, "restricted"),
        ({}, "restricted"),
        ({"emptyDir": {}, "nfs": {"server": "nfs", "path": "/"}}, "restricted"),
    ],
)
def test_a_volume_of_another_type_is_refused(volume: dict[str, Any], level: Any) -> None:
    pod = with_value("spec.volumes", [{"name": "work", **volume}])

    assert pod_security_violations(pod, level)


@pytest.mark.parametrize("section", ["initContainers", "ephemeralContainers"])
def test_containers_of_all_kinds_are_held_to_it(section: str) -> None:
    pod = with_value(f"spec.{section}", [{"name": "other", "securityContext": {"privileged": True}}])

    assert any(
        f"spec.{section}[0].securityContext.privileged" in message
        for message in pod_security_violations(pod, "baseline")
    )


def test_host_ports_sysctls_and_apparmor_annotations_are_refused() -> None:
    ports = with_value("spec.containers", [{"name": "base", "ports": [{"containerPort": 80, "hostPort": 80}]}])
    sysctls = with_value("spec.securityContext.sysctls", [{"name": "kernel.msgmax", "value": "1"}])
    key = "container.apparmor.security.beta.kubernetes.io/base"
    apparmor = with_value("metadata.annotations", {key: "unconfined"})

    assert "spec.containers[0].ports[0].hostPort is 80; host ports: none are allowed." in pod_security_violations(
        ports, "baseline"
    )
    assert pod_security_violations(sysctls, "baseline")[0].startswith(
        "spec.securityContext.sysctls[0].name is 'kernel.msgmax'"
    )
    assert pod_security_violations(apparmor, "baseline")[0].startswith(
        f"metadata.annotations[{key}] is 'unconfined'"
    )


def test_a_containers_own_value_beats_the_pods() -> None:
    pod = with_value("spec.containers[0].securityContext.runAsNonRoot", True)
    pod["spec"]["securityContext"] = {}
    pod["spec"]["containers"][0]["securityContext"]["seccompProfile"] = {"type": "Localhost"}

    assert [] == pod_security_violations(pod, "restricted")
