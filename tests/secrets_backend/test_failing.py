"""What a look-up does when there is no answer, or a wrong one: Airflow's search stops, and it says why."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Callable

import pytest
from airflow.sdk.exceptions import AirflowSecretsBackendAccessDenied
from k8s_vault_devcluster.openbao import OpenBao

from airflow_k8s_vault import VaultSecretsBackend
from airflow_k8s_vault.errors import ConfigError, SecretShapeError, VaultError, VaultRefused, VaultUnavailable
from tests.vault.conftest import AppRole
from tests.vault.proxy import FaultyProxy

Make = Callable[..., VaultSecretsBackend]
Put = Callable[..., str]


def test_a_name_that_is_not_there_is_left_to_the_next_backend(backend: VaultSecretsBackend) -> None:
    assert backend.get_connection("none") is None
    assert backend.get_conn_value("none") is None
    assert backend.get_variable("none") is None
    assert backend.get_config("none") is None


def test_a_refused_path_stops_airflow_and_names_path_mount_and_role(make_backend: Make, approle: AppRole) -> None:
    backend = make_backend(mount_point="not-allowed")

    with pytest.raises(AirflowSecretsBackendAccessDenied) as refusal:
        backend.get_connection("db")

    assert isinstance(refusal.value, VaultRefused)
    assert "refused path 'not-allowed/data/connections/db' (403" in str(refusal.value)
    assert f"Login: auth/approle, role '{approle.name}'." in str(refusal.value)


def test_a_refused_login_stops_airflow(make_backend: Make) -> None:
    with pytest.raises(AirflowSecretsBackendAccessDenied, match="refused the login"):
        make_backend(secret_id="wrong").get_variable("x")


def test_an_unavailable_vault_stops_airflow(make_backend: Make, proxy: FaultyProxy) -> None:
    backend = make_backend(deadline_seconds=0.2)
    proxy.fault = 503

    with pytest.raises(AirflowSecretsBackendAccessDenied) as failure:
        backend.get_variable("x")

    assert isinstance(failure.value, VaultUnavailable)


@pytest.mark.parametrize("setting", ["unavailable", "always"])
def test_a_setting_lets_airflow_go_on_when_vault_is_unavailable(
    make_backend: Make, proxy: FaultyProxy, setting: str
) -> None:
    backend = make_backend(deadline_seconds=0.2, fall_through=setting)
    proxy.fault = 503

    with pytest.raises(VaultUnavailable) as failure:
        backend.get_variable("x")

    assert not isinstance(failure.value, AirflowSecretsBackendAccessDenied)


def test_that_setting_does_not_open_the_way_around_a_refusal(make_backend: Make) -> None:
    with pytest.raises(AirflowSecretsBackendAccessDenied):
        make_backend(mount_point="not-allowed", fall_through="unavailable").get_variable("x")


@pytest.mark.parametrize(
    ("method", "path", "data", "reason"),
    [
        ("get_variable", "variables/x", {"valeu": "s3cr3t-value"}, "has no key 'value'.*\n.*Its keys: valeu"),
        ("get_config", "config/x", {"other": "s3cr3t-value"}, "has no key 'value'.*\n.*Its keys: other"),
        (
            "get_connection",
            "connections/x",
            {"conn_type": "http", "pasword": "s3cr3t-value", "hots": "h"},
            "its keys: conn_type, hots, pasword(.|\n)*'hots' is no(.|\n)*'pasword'.*Did you mean 'password'",
        ),
        ("get_connection", "connections/x", {}, "it has no keys"),
        (
            "get_connection",
            "connections/x",
            {"conn_type": "http", "port": "s3cr3t-value"},
            "port is no whole number",
        ),
        ("get_connection", "connections/x", {"conn_uri": "http://h:s3cr3t-value/x"}, "port is no number"),
        ("get_connection", "connections/x", {"conn_uri": ["s3cr3t-value"]}, "conn_uri is no text"),
        ("get_connection", "connections/x", {"conn_uri": "{s3cr3t-value"}, "conn_uri does not begin with"),
        ("get_connection", "connections/x", {"conn_uri": "  "}, "conn_uri does not begin with"),
    ],
)
def test_a_secret_of_the_wrong_shape_is_an_error_that_names_path_and_keys_but_no_value(
    backend: VaultSecretsBackend, put: Put, method: str, path: str, data: dict[str, object], reason: str
) -> None:
    put(path, **data)

    with pytest.raises(SecretShapeError, match=reason) as failure:
        getattr(backend, method)("x")

    assert isinstance(failure.value, AirflowSecretsBackendAccessDenied)
    assert path in str(failure.value) or "connection 'x'" in str(failure.value)
    assert "s3cr3t-value" not in str(failure.value)


def test_a_mistake_of_our_own_stops_airflow_too(
    make_backend: Make, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    put("variables/x", value="s3cr3t-value")

    def broken(data: dict[str, str], where: str) -> str:
        return str(int(data["value"]))

    monkeypatch.setattr("airflow_k8s_vault.secrets_backend.backend.value_text", broken)
    backend = make_backend()

    with pytest.raises(AirflowSecretsBackendAccessDenied, match="failed with ValueError at") as failure:
        backend.get_variable("x")

    assert "s3cr3t-value" not in str(failure.value)


def test_each_failure_is_logged_once_at_warning(
    make_backend: Make, put: Put, proxy: FaultyProxy, caplog: pytest.LogCaptureFixture
) -> None:
    backend = make_backend(deadline_seconds=0.2)
    put("variables/wrong", other="s3cr3t-value")
    put("variables/right", value="s3cr3t-value")

    with caplog.at_level(logging.DEBUG):
        for _ in range(3):
            with pytest.raises(SecretShapeError):
                backend.get_variable("wrong")
        backend.get_variable("right")
        proxy.fault = 503
        for name in ("a", "b", "c"):
            with pytest.raises(VaultUnavailable):
                backend.get_variable(name)

    ours = [record for record in caplog.records if record.name.startswith("airflow_k8s_vault")]
    assert ["no key 'value'" in record.getMessage() for record in ours if record.levelno == logging.WARNING] == [
        True,
        False,
    ]
    assert "s3cr3t-value" not in caplog.text


def test_a_second_outage_is_logged_again(
    make_backend: Make, proxy: FaultyProxy, caplog: pytest.LogCaptureFixture
) -> None:
    backend = make_backend(deadline_seconds=0.2, breaker_seconds=0)
    for fault in (503, None, 503):
        proxy.fault = fault
        try:
            backend.get_variable(f"x{fault}")
        except VaultUnavailable:
            assert fault

    assert caplog.text.count("did not answer") == 2


def test_a_mount_that_is_not_there_is_left_to_the_next_backend_with_a_hint(
    openbao: OpenBao, caplog: pytest.LogCaptureFixture
) -> None:
    backend = VaultSecretsBackend(url=openbao.address, token=openbao.root_token, mount_point="none-such")

    assert backend.get_variable("x") is None
    assert "no handler for route" in caplog.text


def test_the_wrong_kv_version_is_left_to_the_next_backend_with_a_hint(
    openbao: OpenBao, kv_mount: str, caplog: pytest.LogCaptureFixture
) -> None:
    settings = {"url": openbao.address, "token": openbao.root_token, "mount_point": kv_mount}

    assert VaultSecretsBackend(**settings, kv_engine_version=1).get_variable("x") is None
    assert "Invalid path for a versioned K/V secrets engine" in caplog.text


def test_an_airflow_that_cannot_be_stopped_is_refused_unless_the_setting_accepts_it(
    proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("airflow.sdk.exceptions.AirflowSecretsBackendAccessDenied")

    with pytest.raises(ConfigError, match="Upgrade Airflow, or accept that with fall_through 'always'"):
        VaultSecretsBackend(url=proxy.address, token="t")

    backend = VaultSecretsBackend(url=proxy.address, token="t", fall_through="always")
    with pytest.raises(VaultRefused):
        backend.get_variable("x")


@pytest.fixture
def search(monkeypatch: pytest.MonkeyPatch) -> Callable[[VaultSecretsBackend], str | None]:
    """Airflow's own search for variable `shared_name`, which the backend after ours has."""
    from airflow.models import Variable
    from airflow.secrets.environment_variables import EnvironmentVariablesBackend

    monkeypatch.setenv("AIRFLOW_VAR_SHARED_NAME", "from the next backend")

    def run(backend: VaultSecretsBackend) -> str | None:
        path = [backend, EnvironmentVariablesBackend()]
        monkeypatch.setattr("airflow.models.variable.ensure_secrets_loaded", lambda: path)
        return Variable.get_variable_from_secrets("shared_name")

    return run


def test_airflow_asks_its_next_backend_for_what_is_not_in_vault(
    backend: VaultSecretsBackend, search: Callable[[VaultSecretsBackend], str | None]
) -> None:
    assert search(backend) == "from the next backend"


@pytest.mark.parametrize("broken", ["refused", "unavailable", "of the wrong shape"])
def test_airflow_does_not_ask_its_next_backend_for_what_is(
    make_backend: Make, put: Put, proxy: FaultyProxy, search: Callable[[VaultSecretsBackend], str], broken: str
) -> None:
    put("variables/shared_name", valeu="a typo")
    backend = make_backend(deadline_seconds=0.2, **({"mount_point": "not-allowed"} if broken == "refused" else {}))
    proxy.fault = 503 if broken == "unavailable" else None

    with pytest.raises(VaultError):
        search(backend)


def test_with_the_setting_airflow_asks_its_next_backend_while_vault_is_unavailable(
    make_backend: Make, proxy: FaultyProxy, search: Callable[[VaultSecretsBackend], str | None]
) -> None:
    proxy.fault = 503

    assert search(make_backend(deadline_seconds=0.2, fall_through="unavailable")) == "from the next backend"


def test_one_deadline_holds_for_all_the_paths_of_a_look_up(make_backend: Make, proxy: FaultyProxy) -> None:
    backend = make_backend(variables_path=[f"path-{number}" for number in range(20)], deadline_seconds=1)
    backend.get_config("none")
    proxy.seen.clear()
    proxy.fault = ("delay", 0.3)

    with pytest.raises(VaultUnavailable):
        backend.get_variable("x")

    assert len(proxy.seen) < 6


def test_an_error_can_travel_to_another_process(make_backend: Make) -> None:
    with pytest.raises(AirflowSecretsBackendAccessDenied) as refusal:
        make_backend(mount_point="not-allowed").get_variable("x")

    travelled = pickle.loads(pickle.dumps(refusal.value))

    assert type(travelled) is VaultRefused
    assert str(travelled) == str(refusal.value)
