"""Side by side with Airflow's own VaultBackend, against one OpenBao.

Every case has one expected answer for both, or, in WANTED, one for each: the differences that the docs list
(docs/secrets-backend.md). A difference that is in neither fails.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from airflow.providers.hashicorp.secrets.vault import VaultBackend
from k8s_vault_devcluster.openbao import OpenBao

from airflow_k8s_vault import VaultSecretsBackend
from tests.vault.mounts import mount_kv

SECRETS = {
    "connections/uri": {"conn_uri": "postgres://user:pass@host:5432/db?sslmode=require"},
    "connections/uri_and_more": {"conn_uri": "http://host", "conn_type": "ftp"},
    "connections/fields": {"conn_type": "postgres", "host": "h", "login": "l", "password": "p", "port": 5432},
    "connections/port_text": {"conn_type": "postgres", "host": "h", "port": "5432"},
    "connections/extra_dict": {"conn_type": "http", "extra": {"a": 1, "b": ["x"]}},
    "connections/extra_text": {"conn_type": "http", "extra": '{"a": 1}'},
    "connections/nested/deeper/db": {"conn_uri": "mysql://host/db"},
    "connections/with space": {"conn_uri": "http://space"},
    "connections/ünï": {"conn_uri": "http://unicode"},
    "connections/per%cent": {"conn_uri": "http://percent"},
    "connections/schema_and_description": {"conn_type": "x", "schema": "s", "description": "d"},
    "more/only_here": {"conn_uri": "http://more", "value": "from more"},
    "variables/text": {"value": "hello"},
    "variables/empty": {"value": ""},
    "variables/json": {"value": '{"a": 1}'},
    "variables/more_keys": {"value": "v", "note": "n"},
    "variables/nested/key": {"value": "nested"},
    "variables/a.b-c_d": {"value": "dotted"},
    "variables/number": {"value": 5},
    "variables/object": {"value": {"a": [1, True]}},
    "variables/null": {"value": None},
    "variables/no_value": {"valeu": "typo"},
    "variables/no_keys": {},
    "config/sql": {"value": "sqlite://"},
    "config/no_value": {"other": "x"},
    "connections/no_keys": {},
    "connections/unknown_field": {"conn_type": "http", "hots": "x"},
    "connections/no_type": {"host": "h", "password": "p"},
    "connections/uri_key": {"uri": "http://u:p@h/x"},
    "connections/empty_uri": {"conn_uri": ""},
    "connections/bad_port": {"conn_type": "http", "port": "eighty"},
    "top": {"value": "at the top", "conn_uri": "http://top"},
}

# What is looked up: method, argument. Both answer alike.
SAME = [
    *(
        ("get_connection", name)
        for name in ("uri", "uri_and_more", "fields", "port_text", "extra_dict", "extra_text")
    ),
    *(("get_connection", name) for name in ("nested/deeper/db", "with space", "ünï", "per%cent", "missing")),
    *(("get_connection", name) for name in ("schema_and_description", "uri/", "/uri", "nested//deeper/db")),
    *(("get_connection", name) for name in ("no_type", "uri_key")),
    *(("get_conn_value", name) for name in ("uri", "fields", "extra_dict", "missing")),
    *(
        ("get_variable", name)
        for name in ("text", "empty", "json", "more_keys", "nested/key", "a.b-c_d", "missing")
    ),
    *(("get_variable", name) for name in ("TEXT", "only_here")),
    *(("get_config", name) for name in ("sql", "missing", "nested/missing")),
]

# What differs, and is wanted to: method, argument, Airflow's answer, ours.
EXPECTED = [
    ("get_variable", "number", 5, "5"),
    ("get_variable", "object", {"a": [1, True]}, '{"a": [1, true]}'),
    ("get_variable", "null", None, "SecretShapeError"),
    ("get_variable", "no_value", None, "SecretShapeError"),
    ("get_variable", "no_keys", None, "SecretShapeError"),
    ("get_config", "no_value", None, "SecretShapeError"),
    ("get_connection", "no_keys", "an empty connection", "SecretShapeError"),
    ("get_connection", "unknown_field", "TypeError", "SecretShapeError"),
    ("get_connection", "empty_uri", "TypeError", "SecretShapeError"),
    ("get_connection", "bad_port", "ValueError", "SecretShapeError"),
    ("get_variable", "../connections/uri", None, None),
    ("get_variable", "../top", "at the top", None),
]

SETTINGS = [
    {},
    {"connections_path": None, "variables_path": None, "config_path": None},
    {"connections_path": ["missing", "connections"], "variables_path": ["variables", "more"]},
    {"connections_path": "connections/", "variables_path": "/variables", "config_path": ["config/"]},
    {"connections_path": "", "variables_path": ""},
    {"global_secrets_path": "more"},
    {"connections_path": [], "config_path": []},
    {"use_team_secrets_path": False},
]


@pytest.fixture(scope="module", params=[1, 2])
def engine(request: pytest.FixtureRequest, openbao: OpenBao) -> Iterator[dict[str, Any]]:
    """A mount of each version, filled with SECRETS, as settings."""
    version, mount = request.param, f"parity-{uuid.uuid4().hex[:6]}"
    mount_kv(openbao, mount, version)
    for path, data in SECRETS.items():
        quoted = path.replace("%", "%25").replace(" ", "%20").replace("ünï", "%C3%BCn%C3%AF")
        if version == 1 and not data:
            # KV 1 cannot hold a secret without keys; looked up, it is not there.
            continue
        where = f"{mount}/data/{quoted}" if version == 2 else f"{mount}/{quoted}"
        openbao.request("POST", where, {"data": data} if version == 2 else data)
    yield {"url": openbao.address, "token": openbao.root_token, "mount_point": mount, "kv_engine_version": version}
    openbao.request("DELETE", f"sys/mounts/{mount}")


def outcome(backend: Any, method: str, argument: str) -> Any:
    """What a look-up gives, in a form that compares: a connection by its fields, an error by its class."""
    try:
        result = getattr(backend, method)(argument)
    except Exception as error:
        return type(error).__name__
    if not hasattr(result, "conn_type"):
        return result
    if not result.conn_type and not result.host:
        return "an empty connection"
    names = ("conn_id", "conn_type", "host", "login", "password", "schema", "port", "description")
    return {name: getattr(result, name) for name in names} | {"extra": json.loads(result.extra or "{}")}


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: "+".join(settings) or "defaults")
@pytest.mark.filterwarnings("ignore:.*global_secrets_path")
def test_both_backends_give_the_same_answers(engine: dict[str, Any], settings: dict[str, Any]) -> None:
    theirs, ours = VaultBackend(**engine, **settings), VaultSecretsBackend(**engine, **settings)

    answers = {case: (outcome(theirs, *case), outcome(ours, *case)) for case in SAME}

    assert {case: both for case, both in answers.items() if both[0] != both[1]} == {}


@pytest.mark.parametrize("settings", [{}, {"connections_path": None, "variables_path": None}], ids=["", "off"])
def test_with_no_mount_point_the_key_names_its_mount(engine: dict[str, Any], settings: dict[str, Any]) -> None:
    mount = engine["mount_point"]
    engine = engine | {"mount_point": None}
    theirs, ours = VaultBackend(**engine, **settings), VaultSecretsBackend(**engine, **settings)
    keys = [f"{mount}/uri", f"{mount}/text", f"{mount}/sql", "uri", f"{mount}/", "", f"{mount}/nested/key"]

    for method in ("get_connection", "get_variable", "get_config"):
        for key in keys:
            assert outcome(theirs, method, key) == outcome(ours, method, key), (method, key)


@pytest.mark.parametrize(("method", "argument", "airflow", "ours"), EXPECTED, ids=lambda value: str(value)[:20])
def test_the_differences_are_the_wanted_ones(
    engine: dict[str, Any], method: str, argument: str, airflow: Any, ours: Any
) -> None:
    if engine["kv_engine_version"] == 1 and argument == "no_keys":
        airflow = ours = None

    assert airflow == outcome(VaultBackend(**engine), method, argument)
    assert ours == outcome(VaultSecretsBackend(**engine), method, argument)


def test_a_deleted_version_is_not_there(engine: dict[str, Any], openbao: OpenBao) -> None:
    version, mount = engine["kv_engine_version"], engine["mount_point"]
    path = f"{mount}/data/variables/deleted" if version == 2 else f"{mount}/variables/deleted"
    openbao.request("POST", path, {"data": {"value": "was here"}, "value": "was here"})
    openbao.request("DELETE", path)

    assert VaultBackend(**engine).get_variable("deleted") is None
    assert VaultSecretsBackend(**engine).get_variable("deleted") is None


def test_both_read_a_namespace(openbao: OpenBao) -> None:
    name = f"ns-{uuid.uuid4().hex[:6]}"
    openbao.request("POST", f"sys/namespaces/{name}")
    mount_kv(openbao, "secret", namespace=name)
    openbao.request("POST", f"{name}/secret/data/variables/where", {"data": {"value": "in the namespace"}})
    settings = {"url": openbao.address, "token": openbao.root_token, "namespace": name}

    assert VaultBackend(**settings).get_variable("where") == "in the namespace"
    assert VaultSecretsBackend(**settings).get_variable("where") == "in the namespace"
