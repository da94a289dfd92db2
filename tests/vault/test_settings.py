"""The table of settings: what is read from JSON and from the environment, and what an error says."""

from __future__ import annotations

import inspect
import json
from dataclasses import fields
from typing import Any

import pytest
from airflow.providers.hashicorp.secrets.vault import VaultBackend

from airflow_k8s_vault import VaultSecretsBackend
from airflow_k8s_vault.errors import ConfigError
from airflow_k8s_vault.setting_rows import environment_variable
from airflow_k8s_vault.vault.reading import settings_from
from airflow_k8s_vault.vault.settings import Settings

MINIMAL = {"url": "http://127.0.0.1:8200", "token": "t"}
PREFIX = "AIRFLOW__SECRETS__BACKEND_KWARG__"


def read(**given: Any) -> Settings:
    settings, mistakes = settings_from({**MINIMAL, **given}, {})
    if mistakes:
        raise mistakes
    return settings


def mistakes_of(**given: Any) -> str:
    return str(settings_from(given, {})[1])


def test_every_setting_of_airflows_backend_has_the_same_name_and_default() -> None:
    theirs = inspect.signature(VaultBackend.__init__).parameters
    ours = inspect.signature(VaultSecretsBackend).parameters
    known = {name: row.default for name, row in theirs.items() if name not in ("self", "kwargs")}

    assert [name for name in known if name not in ours] == []
    read_alike = {name: read(**{name: default}) for name, default in known.items() if default is not None}
    assert [name for name, settings in read_alike.items() if getattr(settings, name) != ours[name].default] == []


def test_there_is_no_kwargs_that_swallows_a_typo() -> None:
    kinds = {row.kind for row in inspect.signature(VaultSecretsBackend).parameters.values()}

    assert kinds == {inspect.Parameter.KEYWORD_ONLY}


@pytest.mark.parametrize("row", fields(Settings), ids=lambda row: row.name)
def test_every_default_is_of_its_own_type_and_every_setting_has_its_sentence(row: Any) -> None:
    if row.default is not None:
        assert row.metadata["cast"](row.default) == row.default
    assert row.metadata["text"].endswith(".")


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("kv_engine_version", "1", 1),
        ("connections_path", "a/", ("a",)),
        ("connections_path", '["a", "b/"]', ("a", "b")),
        ("connections_path", "", ("",)),
        ("variables_path", "null", None),
        ("config_path", "None", None),
        ("mount_point", "null", None),
        ("use_team_secrets_path", "false", False),
        ("use_team_secrets_path", "1", True),
        ("verify", "False", False),
        ("verify", "/etc/ca.pem", "/etc/ca.pem"),
        ("cert", "a.pem,b.key", ("a.pem", "b.key")),
        ("cert", "both.pem", "both.pem"),
        ("timeout", "2.5", 2.5),
        ("cache_max_entries", "7", 7),
        ("proxies", '{"https": "http://p"}', {"https": "http://p"}),
        ("radius_port", "1812", 1812),
    ],
)
def test_strings_from_the_environment_are_cast(name: str, text: str, value: Any) -> None:
    assert getattr(read(**{name: text}), name) == value


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("kv_engine_version", "3", "one of 1, 2, not '3'"),
        ("kv_engine_version", True, "one of 1, 2, not True"),
        ("connections_path", 5, "a path or a list of paths, not 5"),
        ("connections_path", '["a"', "a path or a list of paths"),
        ("use_team_secrets_path", "maybe", "true or false, not 'maybe'"),
        ("timeout", "soon", "a number of seconds, 0 or more, not 'soon'"),
        ("timeout", -1, "a number of seconds, 0 or more, not -1"),
        ("timeout", "inf", "a number of seconds, 0 or more"),
        ("cache_max_entries", 1.5, "a whole number, not 1.5"),
        ("cache_max_entries", "-1", "a whole number, 0 or more"),
        ("radius_port", "http", "a whole number, not 'http'"),
        ("auth_type", "aprole", "one of token, approle"),
        ("proxies", "[]", "a JSON object"),
        ("cert", ["a", "b", "c"], "the path of a PEM file"),
        ("url", 5, "a string, not 5"),
        ("auth_type", None, "may not be null"),
        ("fall_through", "sometimes", "one of never, unavailable, always"),
        ("url", "vault:8200", "has to begin with https://"),
        ("team_namespace", "teams", "has to hold {team}"),
        ("team_namespace", "{team}/{other}", "no other braces"),
        ("team_role", "{team}", "auth_type 'token' has no roles"),
    ],
)
def test_a_wrong_value_is_an_error_that_names_setting_variable_and_what_is_wanted(
    name: str, value: Any, expected: str
) -> None:
    with pytest.raises(ConfigError) as error:
        read(**{name: value})

    assert expected in str(error.value)
    assert f"{name} ({PREFIX}{name.upper()})" in str(error.value)


# Nested 100,000 deep, and numbers that Python does not write.
ODD: dict[str, tuple[Any, str]] = {
    "proxies": ('{"a":' * 100_000, "a JSON object"),
    "connections_path": ("[" * 100_000, "a path or a list of paths"),
    "gcp_keyfile_dict": ('{"a":' * 100_000, "a JSON object"),
    "cache_ttl_seconds": (10**5000, "a number of seconds, 0 or more, not int"),
    "cache_max_entries": ("9" * 5000, "a whole number"),
    "kv_engine_version": (10**5000, "one of 1, 2, not int"),
    "url": (10**5000, "a string, not int"),
    "verify": (10**5000, "true, false, the path of a CA file"),
}


@pytest.mark.parametrize("name", ODD)
def test_a_value_that_python_can_hardly_read_or_write_is_an_error_like_others(name: str) -> None:
    with pytest.raises(ConfigError) as error:
        read(**{name: ODD[name][0]})

    assert ODD[name][1] in str(error.value)


def test_an_unknown_setting_names_the_nearest_known_one() -> None:
    message = mistakes_of(**MINIMAL, connection_path="x", rolle_id="y")

    assert f"connection_path ({PREFIX}CONNECTION_PATH) is no setting. Did you mean 'connections_path'?" in message
    assert "Did you mean 'role_id'?" in message


@pytest.mark.parametrize(
    ("settings", "missing"),
    [
        ({"auth_type": "token"}, "token .* or token_path"),
        ({"auth_type": "approle"}, "role_id"),
        ({"auth_type": "kubernetes"}, "kubernetes_role"),
        ({"auth_type": "jwt", "jwt_role": "r"}, "jwt_token .* or jwt_token_path"),
        ({"auth_type": "jwt", "jwt_token": "t"}, "jwt_role"),
        ({"auth_type": "userpass", "username": "u"}, "password"),
        ({"auth_type": "ldap", "password": "p"}, "username"),
        ({"auth_type": "radius"}, "username"),
        ({"auth_type": "cert"}, "cert"),
        ({"auth_type": "github"}, "token"),
        ({"auth_type": "azure", "role_id": "r"}, "azure_resource"),
        ({"auth_type": "gcp"}, "role_id"),
    ],
)
def test_a_login_without_what_it_needs_is_an_error(settings: dict[str, Any], missing: str) -> None:
    message = mistakes_of(url="http://vault", **settings)

    assert f"auth_type {settings['auth_type']!r} needs" in message
    assert __import__("re").search(rf"needs {missing}", message)


def test_all_mistakes_are_listed_at_once() -> None:
    message = mistakes_of(urll="x", timeout="soon", auth_type="approle")

    assert message.startswith("VaultSecretsBackend: 4 mistakes in [secrets] backend_kwargs:")
    assert message.count("\n  - ") == 4


def test_without_any_settings_the_json_is_suspected() -> None:
    assert "is it valid JSON?" in mistakes_of()


def test_vaults_own_variables_fill_what_is_not_given() -> None:
    environment = {
        "VAULT_ADDR": "https://from-env",
        "VAULT_TOKEN": "t",
        "VAULT_NAMESPACE": "ns",
        "VAULT_CACERT": "/ca.pem",
        "VAULT_CLIENT_CERT": "/c.pem",
        "VAULT_CLIENT_KEY": "/c.key",
    }

    settings, mistakes = settings_from({}, environment)
    given, _ = settings_from({"url": "https://given", "namespace": "mine", "verify": True}, environment)

    assert mistakes is None
    assert (settings.url, settings.namespace, settings.verify) == ("https://from-env", "ns", "/ca.pem")
    assert settings.cert == ("/c.pem", "/c.key")
    assert (given.url, given.namespace, given.verify) == ("https://given", "mine", True)


@pytest.mark.parametrize("name", ["token", "password", "secret_id", "jwt_token", "gcp_keyfile_dict", "proxies"])
def test_no_message_and_no_repr_shows_a_secret(name: str) -> None:
    for value in ("s3cr3t-value", ["s3cr3t-value"], {"a": "s3cr3t-value"}, 5):
        settings, mistakes = settings_from({**MINIMAL, name: value, "typo": 1}, {})
        assert "s3cr3t-value" not in str(mistakes) + repr(settings) + repr(mistakes)


def test_a_fingerprint_tells_settings_apart_and_none_of_them() -> None:
    assert read().fingerprint() == read().fingerprint()
    assert read().fingerprint() != read(token="other").fingerprint()
    assert "other" not in read(token="other").fingerprint()


def test_the_environment_variable_of_a_setting_is_the_one_that_airflow_reads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from airflow._shared.configuration.parser import _build_kwarg_env_prefix, _collect_kwarg_env_vars

    monkeypatch.setenv(environment_variable("role_id"), "from the environment")
    result = _collect_kwarg_env_vars(_build_kwarg_env_prefix("secrets", "backend_kwargs"))

    assert json.dumps(result) == '{"role_id": "from the environment"}'
