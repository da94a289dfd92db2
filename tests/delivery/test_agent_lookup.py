"""A pod's agent renders the connection or variable that the secrets backend would return."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from airflow.models.connection import Connection
from airflow.sdk.exceptions import AirflowSecretsBackendAccessDenied
from k8s_vault_devcluster.kubelet.env_file import value_of
from k8s_vault_devcluster.openbao import OpenBao

from airflow_k8s_vault import VaultSecretsBackend
from airflow_k8s_vault.delivery.agent.template import env_file
from airflow_k8s_vault.vault_secret import VaultSecret
from tests.delivery.conftest import Render
from tests.vault.mounts import mount_kv

Put = Callable[[str, dict[str, Any]], None]

CONNECTIONS: dict[str, dict[str, Any]] = {
    "a URI": {"conn_uri": "postgres://etl:p%40ss%20word@db.example.com:5432/sales?sslmode=require"},
    "a URI with a single quote": {"conn_uri": "postgres://etl:it's@db.example.com/o'neill?options='x'"},
    "a URI beside other keys": {"conn_uri": "http://example.com", "owner": "payments"},
    "fields": {"conn_type": "http", "host": "example.com", "login": "etl", "password": 'p$w{{ x }}"\\ \n2'},
    "a field with a single quote": {"conn_type": "http", "password": "it's", "host": "<&>"},
    "a port as a number": {"conn_type": "postgres", "host": "db", "port": 5432},
    "a port as text": {"conn_type": "postgres", "host": "db", "port": "5432"},
    "an empty port": {"conn_type": "postgres", "host": "db", "port": ""},
    "a null port": {"conn_type": "postgres", "host": "db", "port": None},
    "extra as an object": {"conn_type": "aws", "extra": {"region_name": "eu", "nested": {"a": [1, "it's"]}}},
    "extra as text": {"conn_type": "aws", "extra": '{"region_name": "eu"}'},
    "a uri field": {"uri": "http://example.com"},
    "a host with its protocol": {"conn_uri": "http://https://example.com:8443/x?timeout=5"},
    "an encoded URI in a URI": {"conn_uri": "aws://?endpoint_url=http%3A%2F%2Flocalhost%3A4566"},
    "a file": {"conn_uri": "sqlite:///var/lib/etl/a:b@c.db"},
    "an IPv6 host": {"conn_uri": "postgres://etl:pw@[2001:db8::1]:5432/sales"},
    "no authority": {"conn_uri": "google-cloud-platform://?project=etl"},
    "a path with a colon": {"conn_uri": "http://example.com/a:b/@scope"},
    "null fields": {"conn_type": "http", "login": None, "extra": None},
    "an empty extra": {"conn_type": "http", "extra": ""},
}
INVALID: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown field": ({"conn_type": "http", "hots": "example.com"}, "takes conn_uri, or .*, and has hots"),
    "an empty URI": ({"conn_uri": ""}, "conn_uri is empty"),
    "a URI that is no text": ({"conn_uri": 8675309}, "conn_uri is no text"),
    "a port that is no number": ({"conn_type": "http", "port": "http"}, "port is no whole number"),
    "a port with a fraction in text": ({"conn_type": "http", "port": "80.0"}, "port is no whole number"),
    "a password that is a number": ({"conn_type": "http", "password": 8675309}, "password is no text"),
    "a login that is a list": ({"conn_type": "http", "login": ["8675309"]}, "login is no text"),
    "an extra that is no JSON": ({"conn_type": "http", "extra": "8675309x"}, "extra is no JSON object"),
    "an extra that is a list": ({"conn_type": "http", "extra": '["8675309"]'}, "extra is no JSON object"),
    "a uri beside others": ({"uri": "http://8675309", "host": "db.example.com"}, "uri stands beside other fields"),
    "a hash in the password": ({"conn_uri": "postgres://etl:86753#09@db/x"}, "percent-encode"),
    "a slash in the password": ({"conn_uri": "postgres://etl:86753x/09@db/x"}, "percent-encode"),
    "a question mark in the password": ({"conn_uri": "postgres://etl:86753x?09@db/x"}, "percent-encode"),
    "a bracket in the password": ({"conn_uri": "postgres://etl:86753[09@db/x"}, "percent-encode"),
    "a colon in the host": ({"conn_uri": "postgres://etl@db:86753:09/x"}, "percent-encode"),
    "a port that is too large": ({"conn_uri": "postgres://etl@db:86753/x"}, "port is no number up to 65535"),
    "a URI in the query": ({"conn_uri": "http://example.com/?next=https://8675309"}, "second '://'"),
    "three protocols": ({"conn_uri": "http://https://h/?next=ftp://8675309"}, "'://' more than twice"),
    "a newline in the password": ({"conn_uri": "postgres://etl:8675\n309@db/x"}, "control character"),
    "a look-alike of @": ({"conn_uri": "postgres://etl:8675309＠db/x"}, "look-alike"),
    "no type": ({"conn_uri": "8675309"}, "does not begin with a connection type"),
}
VARIABLES: dict[str, Any] = {
    "text": 'p$w{{ x }}"\\ \n2',
    "a number": 5,
    "a boolean": True,
    "an object": {"a": [1, "b", {"c": "it's"}]},
    "a list": ["a", 1],
}


@pytest.fixture(params=[1, 2], ids=["KV 1", "KV 2"])
def kv(request: pytest.FixtureRequest, openbao: OpenBao, kv_mount: str) -> tuple[str, int]:
    """A mount of either version, and that version."""
    if request.param == 1:
        mount_kv(openbao, f"{kv_mount}-1", version=1)
        return f"{kv_mount}-1", 1
    return kv_mount, 2


@pytest.fixture
def put(openbao: OpenBao, kv: tuple[str, int]) -> Put:
    mount, version = kv

    def write(path: str, data: dict[str, Any]) -> None:
        body, middle = ({"data": data}, "data/") if version == 2 else (data, "")
        openbao.request("POST", f"{mount}/{middle}{path}", body)

    return write


@pytest.fixture
def backend(openbao: OpenBao, kv: tuple[str, int]) -> VaultSecretsBackend:
    return VaultSecretsBackend(
        url=openbao.address, token=openbao.root_token, mount_point=kv[0], kv_engine_version=kv[1]
    )


def connection(kv: tuple[str, int], name: str = "x", *folders: str) -> VaultSecret:
    paths = tuple(f"{kv[0]}/{folder}/{name}" for folder in folders or ("connections",))
    return VaultSecret.connection(name).resolved(paths, f"kv{kv[1]}")


def variable(kv: tuple[str, int], key: str = "x") -> VaultSecret:
    return VaultSecret.variable(key).resolved((f"{kv[0]}/variables/{key}",), f"kv{kv[1]}")


def parts(value: str) -> dict[str, Any]:
    """What Airflow reads of it; `extra` is parsed, for spaces in its JSON do not matter."""
    made = Connection.from_json(value) if value.startswith("{") else Connection(uri=value)
    names = ("conn_type", "host", "login", "password", "schema", "port")
    return {**{name: getattr(made, name) for name in names}, "extra": made.extra_dejson}


def test_a_connection_arrives_as_the_backend_has_it(
    render: Render, put: Put, kv: tuple[str, int], backend: VaultSecretsBackend
) -> None:
    ids = {f"x{number}": name for number, name in enumerate(CONNECTIONS)}
    for conn_id, name in ids.items():
        put(f"connections/{conn_id}", CONNECTIONS[name])

    rendered = render(env_file([connection(kv, conn_id) for conn_id in ids])).encode()

    expected = {name: parts(backend.get_conn_value(conn_id) or "") for conn_id, name in ids.items()}
    result = {name: parts(value_of(f"AIRFLOW_CONN_{x.upper()}", rendered)) for x, name in ids.items()}
    assert expected == result


@pytest.mark.parametrize("kv", [2], indirect=True)
@pytest.mark.parametrize("name", INVALID)
def test_what_is_no_connection_is_refused_with_its_place_as_by_the_backend(
    name: str, render: Render, put: Put, kv: tuple[str, int], backend: VaultSecretsBackend
) -> None:
    data, reason = INVALID[name]
    put("connections/x", data)
    with pytest.raises(AirflowSecretsBackendAccessDenied, match="is no connection") as refused:
        backend.get_conn_value("x")
    assert re.search(reason.replace(".*, and has hots", ""), str(refused.value))
    assert "8675" not in str(refused.value)

    with pytest.raises(AssertionError) as failed:
        render(env_file([connection(kv)]))
    # The agent redacts values in its words: an empty one, where it is, between all letters.
    message = str(failed.value).replace("[redacted]", "")
    assert re.search(f"the secret at '{kv[0]}/connections/x' is no connection: .*{reason}", message)
    assert not re.search("8675.*309", message.partition("is no connection: ")[2])


def test_a_variable_arrives_as_the_backend_has_it(
    render: Render, put: Put, kv: tuple[str, int], backend: VaultSecretsBackend
) -> None:
    keys = {f"x{number}": name for number, name in enumerate(VARIABLES)}
    for key, name in keys.items():
        put(f"variables/{key}", {"value": VARIABLES[name], "owner": "payments"})

    rendered = render(env_file([variable(kv, key) for key in keys])).encode()

    for key, name in keys.items():
        expected, result = backend.get_variable(key) or "", value_of(f"AIRFLOW_VAR_{key.upper()}", rendered)
        if not isinstance(VARIABLES[name], str):
            expected, result = json.loads(expected), json.loads(result)
        assert expected == result, name


def test_a_variable_without_value_is_refused_with_the_keys_that_are_there(
    render: Render, put: Put, kv: tuple[str, int]
) -> None:
    put("variables/x", {"valeu": "abc-secret", "owner": "payments"})

    with pytest.raises(
        AssertionError, match="has no key 'value', which a variable needs; it has: owner, valeu"
    ) as no:
        render(env_file([variable(kv)]))
    assert "abc-secret" not in str(no.value)


@pytest.mark.parametrize(("value", "held"), [("it's", "a single quote"), ("a\r\nb", "a carriage return before")])
def test_what_the_kubelets_file_cannot_carry_names_the_delivery_that_can(
    value: str, held: str, render: Render, put: Put, kv: tuple[str, int]
) -> None:
    put("variables/x", {"value": value, "owner": "payments"})

    with pytest.raises(AssertionError) as failed:
        render(env_file([variable(kv)]))
    message = str(failed.value).replace("\\'", "'")
    assert f"holds {held}" in message
    assert "which a variable cannot carry here: use delivery='secret'" in message


@pytest.mark.parametrize("there", [("own",), ("shared",), ("own", "shared")], ids=" and ".join)
def test_the_first_place_that_has_it_counts(
    there: tuple[str, ...], render: Render, put: Put, kv: tuple[str, int]
) -> None:
    for folder in there:
        put(f"{folder}/x", {"conn_uri": f"http://{folder}"})
        put(f"{folder}/another", {"conn_uri": "http://another"})

    rendered = render(env_file([connection(kv, "x", "own", "shared")]))

    assert f"http://{there[0]}" == value_of("AIRFLOW_CONN_X", rendered.encode())


def test_what_is_in_none_of_several_places_is_left_out_for_the_kubelet_to_miss(
    render: Render, put: Put, kv: tuple[str, int]
) -> None:
    put("own/another", {"conn_uri": "http://another"})

    assert render(env_file([connection(kv, "x", "own", "shared")])) == ""


def test_an_id_with_a_dash_has_a_name_of_its_own_in_the_file(
    render: Render, put: Put, kv: tuple[str, int]
) -> None:
    put("connections/my-db", {"conn_uri": "http://example.com"})

    rendered = render(env_file([connection(kv, "my-db")]))

    assert rendered == "AIRFLOW_CONN_MY_x2d_DB='http://example.com'\n"
