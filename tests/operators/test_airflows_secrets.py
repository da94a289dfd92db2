"""Connections and variables of Airflow in a pod: what a DAG author writes, and where they are looked for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_k8s_vault import VaultPodOperator, VaultSecret, VaultSecretsBackend
from airflow_k8s_vault.errors import ConfigError, K8sVaultError, PolicyError, SecretSpecError
from airflow_k8s_vault.lookups import resolve

ROOT = Path(__file__).parents[2]
OURS = "airflow_k8s_vault.VaultSecretsBackend"
CONNECTION, VARIABLE = VaultSecret.connection("warehouse"), VaultSecret.variable("region")


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__K8S_VAULT__TEMPLATES_DIR", str(ROOT / "pod_templates"))
    monkeypatch.setenv("AIRFLOW__K8S_VAULT__VAULT_ADDR", "https://vault:8200")
    monkeypatch.delenv("VAULT_NAMESPACE", raising=False)


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Set [secrets] backend with these arguments, and Airflow's multi-team."""

    def configure(multi_team: bool = False, backend: str = OURS, section: str = "secrets", **kwargs: Any) -> None:
        option = "BACKEND" if section == "secrets" else "SECRETS_BACKEND"
        monkeypatch.setenv(f"AIRFLOW__{section.upper()}__{option}", backend)
        monkeypatch.setenv(f"AIRFLOW__{section.upper()}__{option}_KWARGS", json.dumps(kwargs))
        monkeypatch.setenv("AIRFLOW__CORE__MULTI_TEAM", str(multi_team))

    return configure


@pytest.fixture
def of_the_team(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections and variables are below the ceiling of team payments; this worker has no backend."""
    message = {"connections_path": "payments/connections", "variables_path": "payments/variables"}
    monkeypatch.setenv("AIRFLOW__K8S_VAULT__SECRETS_BACKEND_KWARGS", json.dumps(message))


def paths(secret: VaultSecret, team: str = "payments") -> tuple[str, ...]:
    (result,) = resolve([secret], team)
    return (result.path, *result.elsewhere)


def test_a_connection_is_where_the_backend_looks_by_default(configured: Any) -> None:
    configured()

    assert ("secret/connections/warehouse",) == paths(CONNECTION)
    assert ("secret/variables/region",) == paths(VARIABLE)


@pytest.mark.parametrize(
    ("multi_team", "kwargs", "expected"),
    [
        (False, {"mount_point": "kv", "connections_path": "airflow/conns"}, ("kv/airflow/conns/warehouse",)),
        (False, {"connections_path": ["a", "b"]}, ("secret/a/warehouse", "secret/b/warehouse")),
        (False, {"connections_path": '["a", "b"]'}, ("secret/a/warehouse", "secret/b/warehouse")),
        (False, {"global_secrets_path": "all"}, ("secret/connections/warehouse", "secret/all/warehouse")),
        (True, {}, ("secret/connections/payments/warehouse",)),
        (True, {"use_team_secrets_path": False}, ("secret/connections/warehouse",)),
        (True, {"team_mount_point": "kv-{team}"}, ("kv-payments/connections/payments/warehouse",)),
        (
            True,
            {"team_fallback_to_shared": True},
            ("secret/connections/payments/warehouse", "secret/connections/warehouse"),
        ),
    ],
    ids=str,
)
def test_it_is_looked_for_where_the_backend_of_these_settings_looks(
    configured: Any, multi_team: bool, kwargs: dict[str, Any], expected: tuple[str, ...]
) -> None:
    configured(multi_team, **kwargs)

    assert expected == paths(CONNECTION)
    backend = VaultSecretsBackend(url="https://vault:8200", token="t", **kwargs)
    requested = backend._lookup_paths(
        backend._connections, "warehouse", "payments" if multi_team else None, backend._rules
    )
    assert expected == tuple(f"{lookup_path.mount}/{lookup_path.path}" for lookup_path in requested)


@pytest.mark.parametrize("version", [1, 2])
def test_it_is_read_as_the_backends_version_of_kv(configured: Any, version: int) -> None:
    configured(kv_engine_version=version)

    (result,) = resolve([CONNECTION], "payments")
    assert f"kv{version}" == result.engine


def test_one_environment_variable_for_each_setting_counts_before_the_json(
    configured: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    configured(connections_path="json")
    monkeypatch.setenv("AIRFLOW__SECRETS__BACKEND_KWARG__CONNECTIONS_PATH", "single")

    assert ("secret/single/warehouse",) == paths(CONNECTION)


def test_the_workers_own_backend_is_asked_first(configured: Any) -> None:
    configured(connections_path="of-the-api-server")
    configured(section="workers", connections_path="of-the-workers")

    assert ("secret/of-the-workers/warehouse",) == paths(CONNECTION)


def test_a_worker_without_a_backend_is_told_where_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__K8S_VAULT__SECRETS_BACKEND_KWARGS", '{"mount_point": "kv"}')

    assert ("kv/connections/warehouse",) == paths(CONNECTION)


def test_airflows_own_vault_backend_will_do(configured: Any) -> None:
    configured(backend="airflow.providers.hashicorp.secrets.vault.VaultBackend", mount_point="airflow")

    assert ("airflow/connections/warehouse",) == paths(CONNECTION)


def refuses(kind: type[K8sVaultError], reason: str, secret: VaultSecret = CONNECTION) -> None:
    with pytest.raises(kind, match=reason):
        resolve([secret], "payments")


def test_without_a_backend_the_error_names_both_ways_out() -> None:
    refuses(ConfigError, r"There is no secrets backend here(.|\n)*\[k8s_vault\] secrets_backend_kwargs")


def test_a_backend_that_is_none_of_vault_is_named(configured: Any) -> None:
    configured(backend="airflow.providers.amazon.aws.secrets.secrets_manager.SecretsManagerBackend")

    refuses(ConfigError, r"\[secrets\] backend is airflow.providers.amazon\S+, which does not read Vault")


def test_a_kind_that_the_backend_does_not_look_up_is_refused(configured: Any) -> None:
    configured(connections_path=None)

    refuses(
        SecretSpecError, "connection 'warehouse' is not looked up by the secrets backend: see .* connections_path"
    )


def test_another_vault_namespace_than_the_pods_is_refused_with_both(configured: Any) -> None:
    configured(namespace="airflow")

    refuses(ConfigError, r"in Vault namespace 'airflow' \(\[secrets\] backend_kwargs\), and pods log in to ''")


def test_the_pods_own_vault_namespace_is_fine(configured: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__K8S_VAULT__VAULT_NAMESPACE", "platform/payments/")
    configured(True, team_namespace="platform/{team}")

    assert ("secret/connections/payments/warehouse",) == paths(CONNECTION)


@pytest.mark.parametrize("text", ["{", "[]", "null"])
def test_arguments_that_are_no_json_object_are_an_error_and_not_shown(
    text: str, configured: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    configured()
    monkeypatch.setenv("AIRFLOW__SECRETS__BACKEND_KWARGS", f"{text} ")

    refuses(ConfigError, r"\[secrets\] backend_kwargs is no JSON object\.$")


def test_a_misspelt_place_is_named_with_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__K8S_VAULT__SECRETS_BACKEND_KWARGS", '{"mount_pint": "kv"}')

    refuses(ConfigError, r"'mount_pint' is none\. Did you mean 'mount_point'\?")


def test_a_place_that_no_pod_may_have_is_refused(configured: Any) -> None:
    configured(connections_path="a}} {{b")

    refuses(SecretSpecError, "connection 'warehouse': path 'secret/a}} {{b/warehouse' holds Jinja")


def operator(*secrets: VaultSecret, **arguments: Any) -> VaultPodOperator:
    return VaultPodOperator(task_id="load", pod_template="payments/etl", vault_secrets=secrets, **arguments)


def test_the_teams_ceiling_holds_for_every_place(configured: Any) -> None:
    configured(mount_point="secret", connections_path=["payments/connections", "shared"])

    with pytest.raises(PolicyError, match="asks for secret/shared/warehouse, which team 'payments' may not read"):
        operator(CONNECTION)


@pytest.mark.parametrize("delivery", ["agent", "secret"])
def test_a_pod_refers_to_the_variable_that_airflow_looks_for(of_the_team: None, delivery: str) -> None:
    task = operator(VaultSecret.connection("my-db.eu:1/x(!)"), VARIABLE, delivery=delivery)

    pod = task.build_pod_request_obj(dry_run=True)

    by_name = {variable.name: variable.value_from for variable in pod.spec.containers[0].env}
    assert {"AIRFLOW_CONN_MY-DB.EU:1/X(!)", "AIRFLOW_VAR_REGION"} <= by_name.keys()
    assert all(by_name[name].secret_key_ref or by_name[name].file_key_ref for name in by_name if "AIRFLOW" in name)


@pytest.mark.parametrize(
    ("secret", "reason"),
    [
        (VaultSecret.connection("a=b"), "'a=b' is no id that a connection can have in a pod"),
        (VaultSecret.connection("../x"), "'../x' is no id"),
        (VaultSecret.variable("a=b"), "'a=b' is no id"),
        (VaultSecret.variable("{{ ds }}"), "'{{ ds }}' is no id"),
        (VaultSecret.connection("a b"), "'a b' is no id"),
        (VaultSecret.connection("é"), "'é' is no id"),
        (VaultSecret.connection(5), "5 is no id"),  # type: ignore[arg-type]
        (VaultSecret.variable("x", container="Up"), "'Up' is no name of a container"),
        (
            VaultSecret("x", engine="connection", env={"LD_PRELOAD": "connection"}),
            r"write VaultSecret.connection\('x'\)",
        ),
        (VaultSecret("x", engine="variable", file="x"), r"write VaultSecret.variable\('x'\)"),
    ],
    ids=str,
)
def test_what_can_be_no_connection_or_variable_is_refused_at_import(secret: VaultSecret, reason: str) -> None:
    with pytest.raises(SecretSpecError, match=reason):
        operator(secret)


def test_two_ids_of_one_variable_are_a_conflict(configured: Any) -> None:
    configured(connections_path="payments/connections")

    with pytest.raises(SecretSpecError, match="variable AIRFLOW_CONN_A of container 'base' comes from both"):
        operator(VaultSecret.connection("a"), VaultSecret.connection("A"))


def test_what_a_dag_writes_into_a_secret_behind_the_checks_does_not_count(of_the_team: None) -> None:
    plain = VaultSecret("secret/payments/warehouse", env={"A": "a"})
    task = operator(plain)
    object.__setattr__(plain, "kind", "connection")
    object.__setattr__(plain, "elsewhere", ("secret/science/warehouse",))

    pod = task.build_pod_request_obj(dry_run=True)

    assert "secret/science" not in str(pod)


@pytest.mark.parametrize(
    "broken",
    [
        {"kv_engine_version": 3},
        {"namespace": "another"},
        "not JSON: hvs.credential",
        '["hvs.credential"]',
        "the package's own setting",
    ],
    ids=str,
)
def test_no_frame_of_an_error_holds_the_backends_credential(
    broken: Any, configured: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Airflow may show the variables of a traceback's frames.
    configured(**{"secret_id": "hvs.credential", **(broken if isinstance(broken, dict) else {})})
    monkeypatch.setenv("AIRFLOW__SECRETS__BACKEND_KWARG__TOKEN", "hvs.credential")
    if broken == "the package's own setting":
        monkeypatch.setenv("AIRFLOW__K8S_VAULT__SECRETS_BACKEND_KWARGS", '{"token": "hvs.credential"}')
    elif isinstance(broken, str):
        monkeypatch.setenv("AIRFLOW__SECRETS__BACKEND_KWARGS", broken)

    with pytest.raises(ConfigError) as refused:
        resolve([CONNECTION], "payments")

    ours = [frame for frame in refused.traceback if "airflow_k8s_vault/lookups" in str(frame.path)]
    assert ours
    assert [] == [str(frame.name) for frame in ours if "hvs.credential" in str(frame.frame.f_locals)]
