"""A pod in which one container is open to another, or to the node, gets no secret by either delivery."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_k8s_vault import VaultPodOperator, VaultSecret
from airflow_k8s_vault.delivery import REQUEST_ANNOTATION, agent, secret
from airflow_k8s_vault.delivery.login import VaultLogin
from airflow_k8s_vault.errors import DeliveryRefused, K8sVaultError

SECRETS = [VaultSecret("secret/payments/warehouse", env={"PGPASSWORD": "password"})]
Attach = Callable[..., dict[str, Any]]


def by_agent(pod: dict[str, Any], secrets: list[VaultSecret] = SECRETS) -> dict[str, Any]:
    return agent.attach(pod, secrets, VaultLogin(address="https://vault:8200", role="payments"))


def by_secret(pod: dict[str, Any], secrets: list[VaultSecret] = SECRETS) -> dict[str, Any]:
    return secret.attach(pod, secrets)


def pod_with(**fields: Any) -> dict[str, Any]:
    base = {"name": "base", "image": "etl:1"}
    metadata = {"name": "load", "annotations": {REQUEST_ANNOTATION: "x"}}
    return {"metadata": metadata, "spec": {"containers": [base], **fields}}


def pod_beside(**fields: Any) -> dict[str, Any]:
    """A pod with a neighbour of the base container that has these fields."""
    return pod_with(containers=[{"name": "base"}, {"name": "neighbour", **fields}])


def context(**fields: Any) -> dict[str, Any]:
    return {"securityContext": fields}


def host_path(path: str) -> dict[str, Any]:
    return pod_with(volumes=[{"name": "node", "hostPath": {"path": path}}])


OPEN = {
    "shareProcessNamespace": pod_with(shareProcessNamespace=True),
    "hostPID": pod_with(hostPID=True),
    "hostIPC": pod_with(hostIPC=True),
    "privileged": pod_beside(**context(privileged=True)),
    "hostProcess": pod_beside(**context(windowsOptions={"hostProcess": True})),
    "spec.securityContext.windowsOptions": pod_with(securityContext={"windowsOptions": {"hostProcess": True}}),
    "procMount": pod_beside(**context(procMount="Unmasked")),
    "spc_t": pod_beside(**context(seLinuxOptions={"type": "spc_t"})),
    "spec.securityContext.seLinuxOptions": pod_with(securityContext={"seLinuxOptions": {"type": "spc_t"}}),
    "unconfined_t": pod_beside(**context(seLinuxOptions={"type": "unconfined_t"})),
    "SYS_PTRACE": pod_beside(**context(capabilities={"add": ["SYS_PTRACE"]})),
    "SYS_ADMIN": pod_beside(**context(capabilities={"add": ["NET_BIND_SERVICE", "SYS_ADMIN"]})),
    "sys_admin": pod_beside(**context(capabilities={"add": ["sys_admin"]})),
    "CAP_DAC_READ_SEARCH": pod_beside(**context(capabilities={"add": ["CAP_DAC_READ_SEARCH"]})),
    "add ALL": pod_beside(**context(capabilities={"add": ["ALL"]})),
    "Bidirectional": pod_beside(
        volumeMounts=[{"name": "a", "mountPath": "/a", "mountPropagation": "Bidirectional"}]
    ),
    "hostPath / ": host_path("/"),
    "hostPath /proc": host_path("/proc/1"),
    "docker.sock": host_path("/var/run/docker.sock"),
    "/var/lib/kubelet": host_path("/var/lib/kubelet/pods"),
    "/mnt/../proc": host_path("/mnt/../proc"),
    "//proc": host_path("//proc"),
    "/mnt ": host_path("/mnt"),
    "/mnt/stateful_partition": host_path("/mnt/stateful_partition"),
    "/sysroot": host_path("/sysroot/ostree"),
    "/data/kubelet": host_path("/data/kubelet/pods"),
    "neighbour": pod_with(initContainers=[{"name": "neighbour", **context(privileged=True)}]),
    "ephemeralContainers": pod_with(ephemeralContainers=[{"name": "debug", **context(privileged=True)}]),
    "subPathExpr writes the secret in DSN": pod_with(
        containers=[
            {
                "name": "base",
                "env": [
                    {"name": "LOGIN", "value": "me:$(PGPASSWORD)"},
                    {"name": "DSN", "value": "postgresql://$(LOGIN)@db"},
                ],
                "volumeMounts": [{"name": "a", "mountPath": "/a", "subPathExpr": "$(DSN)"}],
            }
        ]
    ),
    "subPathExpr writes the secret in PGPASSWORD": pod_with(
        containers=[
            {"name": "base", "volumeMounts": [{"name": "a", "mountPath": "/a", "subPathExpr": "x/$(PGPASSWORD)"}]}
        ]
    ),
}
TOKEN = {"name": "login", "projected": {"sources": [{"serviceAccountToken": {"audience": "vault", "path": "t"}}]}}
LOGS_IN = [{"name": "login", "mountPath": "/login"}]
# What a template could name although only the delivery makes it.
OPEN |= {
    "'neighbour' refers to volume 'vault-files-0'": pod_beside(
        volumeMounts=[{"name": "vault-files-0", "mountPath": "/a"}]
    ),
    "'early' refers to volume 'vault-token'": pod_with(
        initContainers=[{"name": "early", "volumeMounts": [{"name": "vault-token", "mountPath": "/a"}]}]
    ),
    "'neighbour' refers to volume 'vault-env'": pod_beside(
        env=[
            {
                "name": "A",
                "valueFrom": {"fileKeyRef": {"volumeName": "vault-env", "path": "base.env", "key": "PGPASSWORD"}},
            }
        ]
    ),
    "'neighbour' mounts a token of Vault's audience": pod_with(
        containers=[{"name": "base"}, {"name": "neighbour", "volumeMounts": LOGS_IN}], volumes=[TOKEN]
    ),
}
HARMLESS = {
    "a login of the base container's own": pod_with(
        containers=[{"name": "base", "volumeMounts": LOGS_IN}], volumes=[TOKEN]
    ),
    "a volume of the template's own": pod_with(
        containers=[
            {"name": "base"},
            {"name": "neighbour", "volumeMounts": [{"name": "data", "mountPath": "/a"}]},
        ],
        volumes=[{"name": "data", "emptyDir": {}}],
    ),
    "its own process namespace": pod_with(shareProcessNamespace=False, hostPID=False),
    "data of the node": host_path("/mnt/data"),
    "a capability of its own": pod_beside(**context(capabilities={"add": ["CHOWN", "NET_BIND_SERVICE"]})),
    "mounts from the node": pod_beside(
        volumeMounts=[{"name": "a", "mountPath": "/a", "mountPropagation": "HostToContainer"}]
    ),
    "a folder by the pod's name": pod_with(
        containers=[
            {"name": "base", "volumeMounts": [{"name": "a", "mountPath": "/a", "subPathExpr": "$(POD_NAME)"}]}
        ]
    ),
}


@pytest.mark.parametrize("attach", [by_agent, by_secret])
@pytest.mark.parametrize("field", OPEN)
def test_a_container_that_is_open_to_another_gets_no_secret(field: str, attach: Attach) -> None:
    with pytest.raises(DeliveryRefused) as refused:
        attach(OPEN[field])

    assert field.strip() in str(refused.value)


@pytest.mark.parametrize("attach", [by_agent, by_secret])
@pytest.mark.parametrize("path", ["/vault/secrets", "//vault/./secrets/", "/x/../vault", "vault/secrets/sub", "/"])
def test_a_volume_over_the_files_is_refused_however_its_path_is_written(path: str, attach: Attach) -> None:
    mounted = pod_with(containers=[{"name": "base", "volumeMounts": [{"name": "a", "mountPath": path}]}])
    message = pod_with(containers=[{"name": "base", "terminationMessagePath": "/vault//secrets/gcp.json"}])

    for pod in (mounted, message):
        with pytest.raises(DeliveryRefused, match="mounts a volume of its own over /vault/secrets"):
            attach(pod, [VaultSecret("secret/payments/gcp", file="gcp.json", key="a")])


@pytest.mark.parametrize("attach", [by_agent, by_secret])
@pytest.mark.parametrize("what", HARMLESS)
def test_what_opens_nothing_is_left_alone(what: str, attach: Attach) -> None:
    assert "spec" in attach(HARMLESS[what])


def test_a_template_that_opens_its_containers_is_refused_at_import(tmp_path: Any, monkeypatch: Any) -> None:
    team = tmp_path / "pod_templates" / "a"
    team.mkdir(parents=True)
    (team / "team.yaml").write_text(
        "namespace: a\nservice_account: a\nvault_role: a\nimages: {x: etl:1}\nsecrets: [secret/payments/*]\n"
    )
    # So that it is not Pod Security which speaks.
    (team.parent / "platform.yaml").write_text("pod_security: privileged\n")
    (team / "x.yaml.j2").write_text(
        "apiVersion: v1\nkind: Pod\n"
        "spec: {shareProcessNamespace: true, containers: [{name: base, image: etl:1}]}\n"
    )
    monkeypatch.setenv("AIRFLOW__K8S_VAULT__TEMPLATES_DIR", str(team.parent))
    monkeypatch.setenv("AIRFLOW__K8S_VAULT__VAULT_ADDR", "https://vault:8200")

    with pytest.raises(K8sVaultError, match=r"spec\.shareProcessNamespace shows each container"):
        VaultPodOperator(task_id="load", pod_template="a/x", vault_secrets=SECRETS)
    VaultPodOperator(task_id="load", pod_template="a/x")
