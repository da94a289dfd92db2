"""Platforms with a registry of their own, and with user ids of the cluster's choice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes.client import ApiException

from airflow_k8s_vault import VaultPodOperator, VaultSecret
from airflow_k8s_vault.errors import ConfigError, PolicyError

DIGEST = f"sha256:{'a' * 64}"
SECRET = VaultSecret("secret/payments/warehouse", file="f", key="password")
TEAM = {
    "namespace": "n",
    "service_account": "a",
    "vault_role": "r",
    "images": {"i": "i:1"},
    "secrets": ["secret/payments/*"],
}
TEMPLATE = {
    "apiVersion": "v1",
    "kind": "Pod",
    "spec": {
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                "name": "base",
                "image": "i:1",
                "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
            }
        ],
    },
}


@pytest.fixture
def platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file platform.yaml of a folder with one team and one template."""
    (tmp_path / "team").mkdir()
    (tmp_path / "team/team.yaml").write_text(yaml.safe_dump(TEAM))
    (tmp_path / "team/t.yaml.j2").write_text(yaml.safe_dump(TEMPLATE))
    monkeypatch.setenv("AIRFLOW__K8S_VAULT__TEMPLATES_DIR", str(tmp_path))
    monkeypatch.setenv("AIRFLOW__K8S_VAULT__VAULT_ADDR", "https://vault:8200")
    return tmp_path / "platform.yaml"


def task(**arguments: Any) -> VaultPodOperator:
    return VaultPodOperator(task_id="t", pod_template="team/t", vault_secrets=[SECRET], **arguments)


def final(made: VaultPodOperator) -> dict[str, Any]:
    made._checked(made.build_pod_request_obj(dry_run=True))
    return made._sent


@pytest.mark.parametrize(
    "image",
    [
        "mirror.example.com:5000/openbao/openbao:2.7.2",
        f"mirror.example.com:5000/openbao@{DIGEST}",
        f"mirror/openbao:2.7.2@{DIGEST}",
        "[fd00::1]:5000/openbao:2",
    ],
)
@pytest.mark.usefixtures("platform")
def test_the_agent_s_image_is_any_that_kubernetes_can_name(image: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__K8S_VAULT__VAULT_AGENT_IMAGE", image)

    assert image == final(task())["spec"]["initContainers"][0]["image"]


@pytest.mark.parametrize(
    "image", ["mirror/OpenBao:2", "https://mirror/openbao:2", "", "openbao:", "openbao@sha256:1"]
)
@pytest.mark.usefixtures("platform")
def test_an_agent_s_image_that_no_registry_has_is_told_at_import(
    image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__K8S_VAULT__VAULT_AGENT_IMAGE", image)

    with pytest.raises(ConfigError, match=r"\[k8s_vault\] vault_agent_image is") as refused:
        task()

    assert "AIRFLOW__K8S_VAULT__VAULT_AGENT_IMAGE" in str(refused.value)


def test_an_xcom_sidecar_of_another_image_than_admission_takes_is_refused_with_the_way_out(
    platform: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform.write_text("xcom_image: mirror:5000/alpine:3\n")
    with pytest.raises(PolicyError) as refused:
        final(task(do_xcom_push=True))
    extra = {"xcom_sidecar_container_image": "mirror:5000/alpine:3"}
    monkeypatch.setenv("AIRFLOW_CONN_KUBERNETES_DEFAULT", json.dumps({"conn_type": "kubernetes", "extra": extra}))

    assert "xcom_sidecar_container_image of Airflow's Kubernetes connection to 'mirror:5000/alpine:3'" in str(
        refused.value
    )
    assert "mirror:5000/alpine:3" == final(task(do_xcom_push=True))["spec"]["containers"][-1]["image"]


def test_pull_secrets_of_platform_team_and_template_are_each_there_once(platform: Path) -> None:
    platform.write_text("agent: {image_pull_secrets: [mirror]}\n")
    template = platform.parent / "team/t.yaml.j2"
    content = yaml.safe_load(template.read_text())
    content["spec"]["imagePullSecrets"] = [{"name": "own"}, {"name": "mirror"}]
    template.write_text(yaml.safe_dump(content))
    team = platform.parent / "team/team.yaml"
    team.write_text(f"{team.read_text()}image_pull_secrets: [own, mirror]\n")

    assert [{"name": "own"}, {"name": "mirror"}] == final(task())["spec"]["imagePullSecrets"]


@pytest.mark.usefixtures("platform")
def test_a_pod_that_openshift_refuses_for_its_users_is_told_what_to_set() -> None:
    made = task()
    final(made)
    reason = (
        'pods "t" is forbidden: unable to validate against any security context constraint: [provider '
        "restricted-v2: .initContainers[0].runAsUser: Invalid value: 65532: must be in the ranges: "
        "[1000680000, 1000689999]]"
    )
    refusal = ApiException(status=403)
    refusal.body = json.dumps({"message": reason})

    assert "agent: {run_as_user: cluster}" in str(made._explained(refusal))
