"""kubectl, unmodified."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable

import pytest
from k8s_vault_devcluster.server import DevCluster

pytestmark = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")

Kubectl = Callable[..., "subprocess.CompletedProcess[str]"]

POD = """
apiVersion: v1
kind: Pod
metadata: {name: held, labels: {app: demo}}
spec:
  schedulingGates: [{name: test/hold}]
  containers: [{name: base, image: "python:3.12-slim", command: ["true"]}]
"""


@pytest.fixture
def kubectl(devcluster: DevCluster, namespace: str, tmp_path: object) -> Kubectl:
    environment = {**os.environ, "KUBECONFIG": str(devcluster.kubeconfig), "HOME": str(tmp_path)}

    def run(*arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
        command = ["kubectl", "--namespace", namespace, *arguments]
        return subprocess.run(command, input=text, env=environment, capture_output=True, text=True, timeout=30)

    return run


def test_apply_get_describe_label_and_delete(kubectl: Kubectl) -> None:
    applied = kubectl("apply", "-f", "-", text=POD)
    again = kubectl("apply", "-f", "-", text=POD)
    rows = kubectl("get", "pods").stdout.splitlines()
    described = kubectl("describe", "pod", "held")
    labelled = kubectl("label", "pod", "held", "new=yes")
    selected = kubectl("get", "pods", "-l", "new=yes", "-o", "name")
    deleted = kubectl("delete", "pod", "held")

    assert applied.stdout == "pod/held created\n", applied.stderr
    assert again.stdout == "pod/held unchanged\n", again.stderr
    assert rows[0].split() == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert rows[1].split()[:4] == ["held", "0/1", "SchedulingGated", "0"]
    assert "Image:      python:3.12-slim" in described.stdout, described.stderr
    assert labelled.returncode == 0, labelled.stderr
    assert selected.stdout == "pod/held\n"
    assert deleted.stdout == 'pod "held" deleted\n' or "deleted" in deleted.stdout


def test_apply_on_the_server_says_what_has_no_effect_here(kubectl: Kubectl) -> None:
    policy = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: closed}
spec: {podSelector: {}, policyTypes: [Ingress]}
"""
    answers = [kubectl("apply", "--server-side", "-f", "-", text=policy) for _ in range(2)]

    assert [answer.stdout for answer in answers] == [
        "networkpolicy.networking.k8s.io/closed serverside-applied\n"
    ] * 2, answers
    assert "Warning: devcluster does not enforce this" in answers[0].stderr


def test_apply_of_an_unknown_field_is_refused_with_its_name(kubectl: Kubectl) -> None:
    answer = kubectl("apply", "-f", "-", text=POD.replace("schedulingGates", "schedulingGate"))

    assert answer.returncode == 1
    assert 'unknown field "spec.schedulingGate"' in answer.stderr


def test_get_prints_yaml_and_json_and_tables_of_every_kind(kubectl: Kubectl) -> None:
    kinds = kubectl("api-resources", "--verbs=list", "-o", "name").stdout.split()

    answers = {kind: kubectl("get", kind).returncode for kind in kinds}

    assert len(kinds) == 17
    assert set(answers.values()) == {0}, answers
    assert json.loads(kubectl("get", "sa", "default", "-o", "json").stdout)["metadata"]["name"] == "default"


def test_what_is_not_there_is_said_plainly(kubectl: Kubectl) -> None:
    assert kubectl("get", "pod", "no").stderr == 'Error from server (NotFound): pods "no" not found\n'
    assert "the server doesn't have a resource type" in kubectl("get", "deployments").stderr
