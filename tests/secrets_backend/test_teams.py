"""Airflow's multi-team: whose names are looked up where, and what a key cannot reach."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from airflow.providers.hashicorp.secrets.vault import VaultBackend
from k8s_vault_devcluster.openbao import OpenBao

from airflow_k8s_vault import VaultSecretsBackend
from airflow_k8s_vault.errors import VaultRefused
from airflow_k8s_vault.lookups import Rules, lookup_paths
from tests.vault.conftest import AppRole
from tests.vault.mounts import mount_kv
from tests.vault.proxy import FaultyProxy

Make = Callable[..., VaultSecretsBackend]
Put = Callable[..., str]


@pytest.fixture
def multi_team(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__MULTI_TEAM", "True")


@pytest.fixture
def secrets(put: Put) -> None:
    """Two teams and what they share; each value names its own place."""
    for path in ("payments/db", "science/db", "db", "shared_only", "payments/nested/db", "science/nested/db"):
        put(f"connections/{path}", conn_uri=f"http://{path.replace('/', '.')}")
        put(f"variables/{path}", value=path)


def host(backend: VaultSecretsBackend | VaultBackend, conn_id: str, team: str | None) -> str | None:
    result = backend.get_connection(conn_id, team_name=team)
    return result and result.host


@pytest.mark.usefixtures("multi_team", "secrets")
class TestWithMultiTeam:
    def test_a_team_gets_its_own(self, backend: VaultSecretsBackend) -> None:
        assert host(backend, "db", "payments") == "payments.db"
        assert host(backend, "db", "science") == "science.db"
        assert host(backend, "db", None) == "db"
        assert backend.get_variable("db", team_name="science") == "science/db"

    def test_the_shared_ones_come_after_only_where_the_setting_says_so(self, make_backend: Make) -> None:
        assert host(make_backend(), "shared_only", "payments") is None

        open_to_shared = make_backend(team_fallback_to_shared="true")
        assert host(open_to_shared, "shared_only", "payments") == "shared_only"
        assert host(open_to_shared, "db", "payments") == "payments.db"

    @pytest.mark.parametrize("fallback", [False, True])
    @pytest.mark.parametrize(
        "key",
        [
            "science/db",
            "../science/db",
            "/science/db",
            "./../science/db",
            "x/../../science/db",
            "..%2fscience/db",
            "%2e%2e/science/db",
            "science%2Fdb",
            "//science//db",
            "..//science/db",
            "science/db?x=",
            "science/db#",
            "db/../../science/db",
            "..\\science\\db",
            "science/db\n",
            "science/nested/db",
        ],
    )
    def test_no_key_reaches_another_teams_path(self, make_backend: Make, key: str, fallback: bool) -> None:
        backend = make_backend(team_fallback_to_shared=fallback)

        assert host(backend, key, "payments") is None
        assert host(backend, key, None) is None

    def test_a_nested_key_of_its_own_is_a_teams_own(self, backend: VaultSecretsBackend) -> None:
        assert host(backend, "nested/db", "payments") == "payments.nested.db"

    @pytest.mark.parametrize("team", ["../science", "payments/../science", "", " ", "sci/ence", "science\n"])
    def test_what_is_no_name_of_a_team_gets_nothing_of_a_teams(
        self, backend: VaultSecretsBackend, team: str
    ) -> None:
        assert host(backend, "nested/db", team) is None

    def test_both_backends_agree_about_teams(self, openbao: OpenBao, kv_mount: str) -> None:
        settings = {"url": openbao.address, "token": openbao.root_token, "mount_point": kv_mount}
        for flag in (True, False):
            theirs = VaultBackend(**settings, use_team_secrets_path=flag)
            ours = VaultSecretsBackend(**settings, use_team_secrets_path=flag)
            for team in (None, "payments", "science", "unknown"):
                for key in ("db", "shared_only", "science/db", "nested/db", "payments/nested/db"):
                    assert host(theirs, key, team) == host(ours, key, team), (flag, team, key)

    def test_with_no_mount_point_both_agree_too(self, openbao: OpenBao, kv_mount: str) -> None:
        settings = {"url": openbao.address, "token": openbao.root_token, "mount_point": None}
        theirs, ours = VaultBackend(**settings), VaultSecretsBackend(**settings)
        for team in (None, "payments"):
            for key in (f"{kv_mount}/db", f"{kv_mount}/science/db", f"{kv_mount}/nested/db", "db"):
                assert host(theirs, key, team) == host(ours, key, team), (team, key)

    def test_a_team_may_have_a_role_of_its_own(
        self, openbao: OpenBao, make_backend: Make, approle: AppRole
    ) -> None:
        rule = f'path "{approle.mount}/data/+/payments/*" {{ capabilities = ["read"] }}'
        openbao.request("PUT", f"sys/policies/acl/payments-{approle.name}", {"policy": rule})
        for team, policies in (("payments", [f"payments-{approle.name}"]), ("science", [])):
            role = f"auth/approle/role/{team}-{approle.name}"
            openbao.request(
                "POST",
                role,
                {"token_policies": policies, "bind_secret_id": False, "token_bound_cidrs": "127.0.0.1"},
            )
            openbao.request("POST", f"{role}/role-id", {"role_id": f"{team}-{approle.name}"})
        backend = make_backend(team_role=f"{{team}}-{approle.name}", secret_id=None)

        assert host(backend, "db", "payments") == "payments.db"
        with pytest.raises(VaultRefused, match=rf"role 'science-{approle.name}'"):
            host(backend, "db", "science")

    def test_a_team_may_have_a_namespace_of_its_own(self, openbao: OpenBao) -> None:
        for team in ("payments", "science"):
            openbao.request("POST", f"sys/namespaces/{team}-ns")
            mount_kv(openbao, "secret", namespace=f"{team}-ns")
            path = f"{team}-ns/secret/data/connections/{team}/db"
            openbao.request("POST", path, {"data": {"conn_uri": f"http://{team}"}})
        settings = {"url": openbao.address, "token": openbao.root_token, "team_namespace": "{team}-ns"}
        backend = VaultSecretsBackend(**settings)

        assert host(backend, "db", "payments") == "payments"
        assert host(backend, "db", "science") == "science"
        assert host(backend, "db", None) is None

    def test_a_team_may_have_a_mount_of_its_own(self, openbao: OpenBao, kv_mount: str) -> None:
        mount = f"{kv_mount}-payments"
        mount_kv(openbao, mount)
        openbao.request("POST", f"{mount}/data/connections/db", {"data": {"conn_uri": "http://own-mount"}})
        settings = {"url": openbao.address, "token": openbao.root_token, "mount_point": kv_mount}
        backend = VaultSecretsBackend(
            **settings,
            team_mount_point=f"{kv_mount}-{{team}}",
            use_team_secrets_path=False,
            team_fallback_to_shared=True,
        )

        assert host(backend, "db", "payments") == "own-mount"
        assert host(backend, "db", None) == "db"
        openbao.request("DELETE", f"sys/mounts/{mount}")

    def test_on_a_worker_the_running_tasks_team_is_used(self, backend: VaultSecretsBackend) -> None:
        from airflow.sdk.api.datamodels._generated import DagRun
        from airflow.sdk.execution_time.context import set_current_context

        run = DagRun.model_construct(team_name="science")
        with set_current_context({"dag_run": run}):  # type: ignore[typeddict-item]
            assert host(backend, "db", None) == "science.db"
            assert host(backend, "payments/db", None) is None
        assert host(backend, "db", None) == "db"

    def test_in_a_process_that_the_task_starts_its_team_is_in_the_environment(
        self, backend: VaultSecretsBackend, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AIRFLOW_CONTEXT_TEAM_NAME", "science")

        assert host(backend, "db", None) == "science.db"

    def test_config_values_have_no_team(
        self, backend: VaultSecretsBackend, put: Put, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AIRFLOW_CONTEXT_TEAM_NAME", "science")
        put("config/nested/key", value="for all")

        assert backend.get_config("nested/key") == "for all"


@pytest.mark.usefixtures("secrets")
def test_without_multi_team_nothing_changes(
    make_backend: Make, monkeypatch: pytest.MonkeyPatch, proxy: FaultyProxy
) -> None:
    monkeypatch.setenv("AIRFLOW_CONTEXT_TEAM_NAME", "science")
    backend = make_backend(team_role="{team}", team_namespace="{team}", team_mount_point="{team}")

    assert host(backend, "db", "payments") == "db"
    assert host(backend, "payments/db", None) == "payments.db"
    assert proxy.count("login") == 1


def test_places_are_plain_data() -> None:
    rules = Rules("secret", "{team}-kv", team_folders=True, then_shared=True, multi_team=True)

    result, why_not = lookup_paths(("a", "b"), "key", "payments", rules)

    assert [(lookup_path.mount, lookup_path.path, lookup_path.team) for lookup_path in result] == [
        ("payments-kv", "a/payments/key", "payments"),
        ("payments-kv", "b/payments/key", "payments"),
        ("secret", "a/key", None),
        ("secret", "b/key", None),
    ]
    assert why_not is None


def test_an_id_that_is_no_name_for_its_length_is_not_looked_up_and_not_remembered(
    make_backend: Make, proxy: FaultyProxy, caplog: pytest.LogCaptureFixture
) -> None:
    backend = make_backend()

    assert backend.get_variable("k" * 1024) is None
    assert [backend.get_variable("k" * length) for length in (1025, 1_000_000)] == [None, None]

    assert proxy.count("GET") == 1
    assert "has 1,025 characters, and 1,024 are the most. It is not looked up in Vault." in caplog.text
    assert max(len(record.getMessage()) for record in caplog.records) < 500
