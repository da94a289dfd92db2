"""What the agent delivery adds to a pod, and what it refuses."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import Any

import pytest

from airflow_k8s_vault.delivery.agent import attach
from airflow_k8s_vault.delivery.login import VaultLogin
from airflow_k8s_vault.delivery.placement import conflicts
from airflow_k8s_vault.errors import DeliveryRefused
from airflow_k8s_vault.teams import AgentSettings
from airflow_k8s_vault.vault_secret import VaultSecret

LOGIN = VaultLogin(address="https://vault:8200", role="payments")
POD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "load", "namespace": "team-payments"},
    "spec": {
        "initContainers": [{"name": "prepare", "image": "alpine"}],
        "containers": [{"name": "base", "image": "postgres:18"}, {"name": "proxy", "image": "envoy"}],
        "volumes": [{"name": "scratch", "emptyDir": {}}],
    },
}
PASSWORD = VaultSecret("secret/payments/warehouse", env={"PGPASSWORD": "password"})
KEY_FILE = VaultSecret("secret/payments/gcp", file="gcp.json", key="service_account")


def container(pod: dict[str, Any], name: str) -> dict[str, Any]:
    spec = pod["spec"]
    return next(c for c in [*spec["initContainers"], *spec["containers"]] if c["name"] == name)


def agent_config(pod: dict[str, Any]) -> dict[str, Any]:
    env = {variable["name"]: variable["value"] for variable in container(pod, "vault-agent")["env"]}
    return dict(json.loads(env["AGENT_CONFIG"].replace("$$", "$")))


def test_a_pod_without_secrets_stays_as_it_is() -> None:
    assert attach(POD, [], LOGIN) == POD


def test_the_manifest_that_was_given_is_not_changed() -> None:
    before = copy.deepcopy(POD)

    attach(POD, [PASSWORD, KEY_FILE], LOGIN)

    assert before == POD


def test_the_agent_is_a_native_sidecar_that_starts_before_all_other_containers() -> None:
    first = attach(POD, [PASSWORD], LOGIN)["spec"]["initContainers"][0]

    assert first["name"] == "vault-agent"
    assert first["restartPolicy"] == "Always"
    assert first["lifecycle"]["postStart"]["exec"]["command"][-1] == "/vault/env/base.env"


def test_a_variable_refers_to_a_file_in_a_volume_that_only_the_agent_mounts() -> None:
    pod = attach(POD, [PASSWORD], LOGIN)

    reference = {"volumeName": "vault-env", "path": "base.env", "key": "PGPASSWORD"}
    assert container(pod, "base")["env"] == [{"name": "PGPASSWORD", "valueFrom": {"fileKeyRef": reference}}]
    mounting = [
        c["name"]
        for c in [*pod["spec"]["initContainers"], *pod["spec"]["containers"]]
        if any(mount["name"] == "vault-env" for mount in c.get("volumeMounts", []))
    ]
    assert mounting == ["vault-agent"]


def test_a_file_is_mounted_read_only_and_only_where_it_was_asked_for() -> None:
    pod = attach(POD, [PASSWORD, VaultSecret("secret/payments/gcp", file="k", container="proxy")], LOGIN)

    (mount,) = container(pod, "proxy")["volumeMounts"]
    assert (mount["mountPath"], mount["readOnly"]) == ("/vault/secrets", True)
    assert "volumeMounts" not in container(pod, "base")
    assert "volumeMounts" not in container(pod, "prepare")
    volume = next(v for v in pod["spec"]["volumes"] if v["name"] == mount["name"])
    assert volume["emptyDir"]["medium"] == "Memory"


def test_the_login_token_has_vaults_audience_and_reaches_the_agent_alone() -> None:
    pod = attach(POD, [PASSWORD, KEY_FILE], LOGIN)

    volume = next(v for v in pod["spec"]["volumes"] if "projected" in v)
    source = volume["projected"]["sources"][0]["serviceAccountToken"]
    assert (source["audience"], source["expirationSeconds"]) == ("vault", 600)
    for name in ("prepare", "base", "proxy"):
        assert volume["name"] not in [m["name"] for m in container(pod, name).get("volumeMounts", [])]


@pytest.mark.parametrize(("pods_own", "agents"), [(None, 65532), (0, 65532), (10001, None)])
def test_the_agent_never_runs_as_root_nor_as_a_user_without_a_number(
    pods_own: int | None, agents: int | None
) -> None:
    pod = copy.deepcopy(POD)
    pod["spec"]["securityContext"] = {} if pods_own is None else {"runAsUser": pods_own}

    context = container(attach(pod, [PASSWORD], LOGIN), "vault-agent")["securityContext"]

    assert context.get("runAsUser") == agents
    assert context["runAsNonRoot"] is True


SETTINGS: dict[str, Any] = {
    "resources": {"requests": {"cpu": "50m"}, "limits": {"cpu": 1, "memory": "256Mi"}},
    "run_as_user": 1000740000,
    "image_pull_policy": "Always",
    "image_pull_secrets": ["registry", "mirror"],
    "log_level": "debug",
}


def test_platform_and_team_say_what_the_agents_container_is_like() -> None:
    platform = AgentSettings().with_those_of({"agent": SETTINGS})
    team = platform.with_those_of({"agent": {"resources": {"limits": {"cpu": "500m"}}, "run_as_user": "cluster"}})
    pod = copy.deepcopy(POD)
    pod["spec"]["imagePullSecrets"] = [{"name": "registry"}]

    result = {}
    for name, settings in (("platform", platform), ("team", team)):
        made = attach(pod, [PASSWORD], replace(LOGIN, agent=settings))
        result[name] = container(made, "vault-agent")
        assert made["spec"]["imagePullSecrets"] == [{"name": "registry"}, {"name": "mirror"}]
        assert result[name]["imagePullPolicy"] == "Always"
        assert {"name": "AGENT_LOG_LEVEL", "value": "debug"} in result[name]["env"]

    requests = {"cpu": "50m", "memory": "64Mi"}
    assert result["platform"]["resources"] == {"requests": requests, "limits": {"memory": "256Mi", "cpu": "1"}}
    assert result["team"]["resources"] == {"requests": requests, "limits": {"memory": "256Mi", "cpu": "500m"}}
    assert result["platform"]["securityContext"]["runAsUser"] == 1000740000
    assert "runAsUser" not in result["team"]["securityContext"]
    assert all(made["securityContext"]["runAsNonRoot"] for made in result.values())


@pytest.mark.parametrize(
    ("method", "field"), [("kubernetes", "token_path"), ("jwt", "path")], ids=["kubernetes", "jwt"]
)
def test_the_agent_logs_in_as_the_platform_says(method: str, field: str) -> None:
    login = VaultLogin("https://vault:8200", "etl", auth_method=method, auth_mount="clusters/one")

    (auth,) = agent_config(attach(POD, [PASSWORD], login))["auto_auth"]["method"]

    assert (auth["type"], auth["mount_path"]) == (method, "auth/clusters/one")
    assert auth["config"]["role"] == "etl"
    assert auth["config"][field] == "/var/run/secrets/vault/token"
    assert auth["exit_on_err"] is True


def test_two_secrets_for_one_variable_or_file_are_told_apart_by_container() -> None:
    twice = VaultSecret("secret/payments/other", env={"PGPASSWORD": "password"})
    elsewhere = VaultSecret("secret/payments/other", env={"PGPASSWORD": "password"}, container="proxy")

    assert conflicts([PASSWORD, elsewhere], "base") == []
    assert conflicts([PASSWORD, twice], "base") == [
        "variable PGPASSWORD of container 'base' comes from both 'secret/payments/warehouse' and "
        "'secret/payments/other'."
    ]
    assert len(conflicts([KEY_FILE, KEY_FILE], "base")) == 1


def test_everything_that_stands_in_the_way_is_listed_at_once() -> None:
    pod = copy.deepcopy(POD)
    pod["spec"]["containers"][0] |= {
        "env": [{"name": "PGPASSWORD", "value": "literal"}],
        "volumeMounts": [{"name": "scratch", "mountPath": "/vault"}],
    }
    lost = VaultSecret("secret/payments/gcp", file="x", container="prxy")

    with pytest.raises(DeliveryRefused) as refusal:
        attach(pod, [PASSWORD, KEY_FILE, lost], LOGIN)

    assert "container 'base' sets PGPASSWORD itself" in str(refusal.value)
    assert "mounts a volume of its own over /vault/secrets" in str(refusal.value)
    assert "there is no container 'prxy'; the pod has: prepare, base, proxy" in str(refusal.value)
