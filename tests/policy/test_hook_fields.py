"""What the platform opens to pod_mutation_hook is open to it alone, and never to credentials."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from airflow import settings as airflow_settings
from airflow.policies import hookimpl
from kubernetes.client import V1EnvVar, V1EnvVarSource, V1Pod, V1SecretKeySelector, V1Toleration

from airflow_k8s_vault import VaultPodOperator, VaultSecret
from airflow_k8s_vault.errors import PolicyError
from airflow_k8s_vault.policy import Expected, Hooked, check
from airflow_k8s_vault.teams import Team
from tests.policy import bypasses
from tests.policy.test_final_pod import edited

SHIPPED = Path(__file__).parents[2] / "pod_templates"
SCRAPE = "metadata.annotations[prometheus.io/scrape]"
# All that a platform could open, as widely as it can be written.
EVERYTHING = (
    *("spec.containers", "spec.initContainers", "spec.volumes", "spec.tolerations", "spec.schedulingGates"),
    *("metadata.annotations", "metadata.labels", "spec.automountServiceAccountToken", "spec.securityContext"),
    *("spec.shareProcessNamespace", "spec.hostPID", "spec.ephemeralContainers", "spec.serviceAccountName"),
    *("spec.hostIPC", "metadata.namespace"),
)


def opening(team: Team, *fields: str) -> Team:
    return replace(team, platform=replace(team.platform, hook_fields=fields))


def hooked(expected: Expected, before: dict[str, Any], after: dict[str, Any]) -> Expected:
    return replace(expected, hooked=Hooked(before, after))


def test_the_hook_may_change_what_the_platform_opens_to_it(
    final: dict[str, Any], team: Team, expected: Expected
) -> None:
    pod = edited(final, SCRAPE, "true")

    check(pod, opening(team, SCRAPE), hooked(expected, final, pod))


def test_what_is_open_to_the_hook_is_not_open_to_the_task(
    final: dict[str, Any], team: Team, expected: Expected
) -> None:
    pod = edited(final, SCRAPE, "true")

    with pytest.raises(PolicyError, match="scrape"):
        check(pod, opening(team, SCRAPE), hooked(expected, pod, pod))
    with pytest.raises(PolicyError, match="scrape"):
        check(pod, opening(team, SCRAPE), hooked(expected, final, final))
    with pytest.raises(PolicyError, match="scrape"):
        check(pod, opening(team, SCRAPE), expected)


def test_what_the_hook_adds_to_does_not_bring_in_what_the_task_began(
    final: dict[str, Any], team: Team, expected: Expected
) -> None:
    closed = replace(opening(team, "spec.tolerations"), overridable=())
    intended = expected.manifest
    theirs, both = [{"key": "gpu"}], [{"key": "gpu"}, {"key": "spot"}]
    by_task, by_both = edited(intended, "spec.tolerations", theirs), edited(intended, "spec.tolerations", both)
    by_hook = edited(intended, "spec.tolerations", [{"key": "spot"}])

    check(by_hook, closed, hooked(expected, intended, by_hook))
    with pytest.raises(PolicyError, match="tolerations"):
        check(by_both, closed, hooked(expected, by_task, by_both))


def test_a_change_after_the_hook_is_not_the_hooks(final: dict[str, Any], team: Team, expected: Expected) -> None:
    by_hook = edited(final, SCRAPE, "true")
    later = edited(final, SCRAPE, "false")

    with pytest.raises(PolicyError, match="scrape"):
        check(later, opening(team, SCRAPE), hooked(expected, final, by_hook))


def test_a_controllers_key_has_to_be_named_to_be_open(
    final: dict[str, Any], team: Team, expected: Expected
) -> None:
    scraped, plain = edited(final, SCRAPE, "true"), edited(final, "metadata.annotations[owner]", "hook")

    check(plain, opening(team, "metadata.annotations"), hooked(expected, final, plain))
    with pytest.raises(PolicyError, match="scrape"):
        check(scraped, opening(team, "metadata.annotations"), hooked(expected, final, scraped))


BASE = bypasses.BASE
NEVER = [
    (f"{BASE}.env+", {"name": "A", "valueFrom": {"secretKeyRef": {"name": "any", "key": "x"}}}),
    (f"{BASE}.env+", {"name": "A", "valueFrom": {"fileKeyRef": {"volumeName": "v", "path": "p", "key": "k"}}}),
    (f"{BASE}.envFrom", [{"secretRef": {"name": "any"}}]),
    (f"{BASE}.env[WAREHOUSE_KEY]", {"name": "WAREHOUSE_KEY", "value": "default"}),
    (f"{BASE}.env[WAREHOUSE_KEY]", bypasses.Gone),
    (f"{BASE}.volumeMounts[/vault/secrets]", bypasses.Gone),
    (f"{BASE}.volumeMounts+", {"name": "vault-token", "mountPath": "/steal"}),
    (f"{BASE}.volumeMounts+", {"name": "keys", "mountPath": "/steal"}),
    ("spec.containers+", bypasses.container(env=[{"name": "A", "valueFrom": {"secretKeyRef": {"name": "a"}}}])),
    ("spec.containers+", bypasses.container(envFrom=[{"secretRef": {"name": "any"}}])),
    ("spec.containers+", bypasses.container(volumeMounts=[{"name": "vault-agent", "mountPath": "/steal"}])),
    ("spec.containers+", bypasses.container(image="evil.example.com/x")),
    ("spec.initContainers[vault-agent].image", "evil.example.com/bao"),
    ("spec.initContainers[vault-agent]", bypasses.Gone),
    ("spec.containers[airflow-xcom-sidecar].command", ["sh"]),
    ("spec.volumes[vault-env].emptyDir.medium", bypasses.Gone),
    ("spec.automountServiceAccountToken", True),
    ("spec.automountServiceAccountToken", bypasses.Gone),
    ("spec.shareProcessNamespace", True),
    ("spec.hostPID", True),
    ("spec.hostIPC", True),
    ("spec.ephemeralContainers", [bypasses.container()]),
    ("spec.serviceAccountName", "airflow-data-science"),
    ("metadata.namespace", "team-data-science"),
    ("spec.serviceAccount", "airflow-data-science"),
    ("metadata.labels[airflow-k8s-vault-pod]", "false"),
    *[
        ("spec.volumes+", {"name": "steal", **kind})
        for kind in (
            {"secret": {"secretName": "any"}},
            {"projected": {"sources": [{"serviceAccountToken": {"audience": "vault", "path": "token"}}]}},
            {"projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}},
            {"projected": {"sources": [{"configMap": {"name": "a"}}, {"secret": {"name": "any"}}]}},
            {"projected": {"sources": [{"podCertificate": {"signerName": "a/b", "keyType": "ED25519"}}]}},
            {"csi": {"driver": "secrets-store.csi.k8s.io"}},
            {"hostPath": {"path": "/var/lib/kubelet"}},
            {"cephfs": {"monitors": ["a"], "secretRef": {"name": "any"}}},
            {"flexVolume": {"driver": "x", "secretRef": {"name": "any"}}},
        )
    ],
    *[
        (f"metadata.{section}[{key}]", "x")
        for section in ("annotations", "labels")
        for key in (
            "vault.hashicorp.com/agent-inject",
            "Vault.HashiCorp.com/role",
            "vault.security.banzaicloud.io/vault-role",
            "iam.amazonaws.com/role",
            "azure.workload.identity/use",
            "aadpodidbinding",
            "secrets.k8s.aws/sidecarInjectorWebhook",
            "airflow-k8s-vault/pod-template",
            "airflow-k8s-vault-delivery",
        )
    ],
]


@pytest.mark.parametrize("level", ["restricted", "privileged"])
@pytest.mark.parametrize(("field", "value"), NEVER, ids=[f"{i}-{field}" for i, (field, _) in enumerate(NEVER)])
def test_no_credential_comes_in_whatever_is_open_and_whoever_brings_it(
    field: str, value: Any, level: str, final: dict[str, Any], team: Team, expected: Expected
) -> None:
    pod = edited(final, field, value)
    # Opened as a whole, and the key by itself.
    trusting = replace(opening(team, *EVERYTHING, field.rstrip("+")), pod_security=level)

    with pytest.raises(PolicyError):
        check(pod, trusting, hooked(expected, final, pod))


def test_the_hook_may_add_what_is_no_credential(final: dict[str, Any], team: Team, expected: Expected) -> None:
    pod = edited(final, "spec.volumes+", {"name": "certificates", "configMap": {"name": "corporate-ca"}})
    pod = edited(pod, f"{BASE}.env+", {"name": "HTTPS_PROXY", "value": "http://proxy:3128"})
    pod = edited(pod, "spec.tolerations", [{"key": "spot"}])

    check(pod, opening(team, *EVERYTHING), hooked(expected, final, pod))


@pytest.fixture
def platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Write a templates folder whose platform opens fields to the hook."""
    folder = Path(shutil.copytree(SHIPPED, tmp_path / "pod_templates"))
    monkeypatch.setenv("AIRFLOW__K8S_VAULT__TEMPLATES_DIR", str(folder))
    monkeypatch.setenv("AIRFLOW__K8S_VAULT__VAULT_ADDR", "https://vault:8200")

    def write(*fields: str) -> Path:
        lines = "".join(f"  - {field}\n" for field in fields)
        (folder / "platform.yaml").write_text(f"hook_fields:\n{lines}")
        return folder

    return write


@pytest.fixture
def hook() -> Iterator[list[Callable[[V1Pod], None]]]:
    """Implementations of pod_mutation_hook, as airflow_local_settings has one."""
    does: list[Callable[[V1Pod], None]] = []

    class Local:
        @staticmethod
        @hookimpl
        def pod_mutation_hook(pod: V1Pod) -> None:
            for change in does:
                change(pod)

    plugins = airflow_settings.get_policy_plugin_manager()
    plugin = Local()
    plugins.register(plugin)
    yield does
    plugins.unregister(plugin)


def tolerating(pod: V1Pod) -> None:
    pod.spec.tolerations = [*(pod.spec.tolerations or []), V1Toleration(key="spot", operator="Exists")]


def reading_a_secret(pod: V1Pod) -> None:
    source = V1EnvVarSource(secret_key_ref=V1SecretKeySelector(name="any", key="x"))
    pod.spec.containers[0].env.append(V1EnvVar(name="A", value_from=source))


def checked(task: VaultPodOperator) -> V1Pod:
    return task._checked(task.build_pod_request_obj(None, dry_run=True))


def made(**given: Any) -> VaultPodOperator:
    secret = VaultSecret("secret/payments/warehouse", env={"WAREHOUSE_KEY": "key"})
    return VaultPodOperator(task_id="load", pod_template="payments/etl", vault_secrets=[secret], **given)


def test_the_operator_lets_airflows_own_hook_change_what_is_open_to_it(
    platform: Callable[..., Path], hook: list[Callable[[V1Pod], None]]
) -> None:
    platform("spec.tolerations")
    hook.append(tolerating)

    assert "spot" == checked(made()).spec.tolerations[-1].key


def test_the_operator_lets_neither_the_task_nor_a_later_step_use_the_hooks_opening(
    platform: Callable[..., Path], hook: list[Callable[[V1Pod], None]]
) -> None:
    platform("spec.tolerations")
    by_task = made()
    by_task.tolerations = [V1Toleration(key="gpu", operator="Exists")]
    later = made()
    pod = later.build_pod_request_obj(None, dry_run=True)
    tolerating(pod)

    with pytest.raises(PolicyError, match="tolerations"):
        checked(by_task)
    with pytest.raises(PolicyError, match="tolerations"):
        later._checked(pod)
    hook.append(tolerating)
    with pytest.raises(PolicyError, match="tolerations"):
        checked(by_task)


def test_the_operator_refuses_a_secret_that_the_hook_brings(
    platform: Callable[..., Path], hook: list[Callable[[V1Pod], None]]
) -> None:
    platform("spec.containers[base].env")
    hook.append(reading_a_secret)

    with pytest.raises(PolicyError, match="takes a secretKeyRef, which neither the template nor a VaultSecret"):
        checked(made())


@pytest.mark.parametrize("section", ["labels", "annotations"])
def test_the_hook_leaves_by_what_the_package_knows_its_pods(
    section: str, platform: Callable[..., Path], hook: list[Callable[[V1Pod], None]]
) -> None:
    platform("metadata.labels", "metadata.annotations", "metadata.annotations[airflow-k8s-vault/pod-template]")
    hook.append(lambda pod: getattr(pod.metadata, section).update(team="a"))
    checked(made())
    hook.append(lambda pod: _without_ours(getattr(pod.metadata, section)))

    with pytest.raises(PolicyError, match=rf"metadata.{section}\[airflow-k8s-vault\S+\] is not set any more"):
        checked(made())


def _without_ours(keys: dict[str, str]) -> None:
    for key in [key for key in keys if key.startswith("airflow-k8s-vault")]:
        del keys[key]
