"""A value is masked in each form in which a task, a hook or a log would print it or a part of it."""

from __future__ import annotations

import base64
import json
import pprint
import shlex
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from airflow._shared.secrets_masker import redact, reset_secrets_masker
from airflow.sdk.definitions.connection import Connection

from airflow_k8s_vault import log_once
from airflow_k8s_vault.secrets_backend import masking
from airflow_k8s_vault.secrets_backend.forms import MOST

KEY = ["MIIEvQIBADANBgkqhkiG9w0BAQEFAASC", "BKcwggSjAgEAAoIBAQDsecondlineXYZ", "x9=="]
PEM = "\n".join(["-----BEGIN PRIVATE KEY-----", *KEY, "-----END PRIVATE KEY-----", ""])
ODD = 'pä/ss "wörd" it\'s+100%\\x'


@pytest.fixture(autouse=True)
def _clean_masker() -> Iterator[None]:
    reset_secrets_masker()
    yield
    reset_secrets_masker()


def in_lines(text: str) -> str:
    """What Airflow's supervisor makes of a task's output: each line by itself."""
    return "\n".join(str(redact(line)) for line in text.splitlines())


# Each way to print a text, as far as it prints all of it.
PRINTED: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "in a sentence": "the value is {}, as wanted".format,
    "stripped": str.strip,
    "as JSON": json.dumps,
    "as JSON with other letters": lambda text: json.dumps(text, ensure_ascii=False),
    "within an object of JSON": lambda text: json.dumps({"a": [text]}, indent=2),
    "as JSON within JSON": lambda text: json.dumps(json.dumps({"a": text})),
    "as Python": lambda text: repr({"a": text}),
    "by pprint": lambda text: pprint.pformat({"key": text, "more": [text]}, width=40),
    "in a URI": lambda text: f"http://me:{quote(text, safe='')}@host",
    "in a query": lambda text: f"http://host/?a={quote_plus(text)}",
    "in a path": lambda text: f"http://host/{quote(text)}",
    "quoted for a shell": lambda text: f"curl -u {shlex.quote(text)}",
    "as bash -x prints it": lambda text: "+ echo '" + text.replace("'", r"'\''") + "'",
    "as base64": lambda text: base64.b64encode(text.encode()).decode(),
    "as base64 for a URI": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
}


@pytest.mark.parametrize(
    "value", ["hunter2-hunter2", ODD, PEM, " spaced value "], ids=["plain", "odd", "pem", "spaces"]
)
@pytest.mark.parametrize("way", PRINTED)
def test_a_value_is_masked_however_it_is_printed(way: str, value: str) -> None:
    printed = PRINTED[way](value)

    masking.mask(masking.words_of_value(value))

    shown = in_lines(printed)
    assert "***" in shown
    assert [] == [part for part in (KEY[:2] if value is PEM else [value.strip()]) if part in shown]


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        (PEM, [*KEY[:2], "".join(KEY)]),
        (PEM.replace("\n", "\r\n"), KEY[:2]),
        (json.dumps({"a": {"b": ["first-part", PEM]}, "n": 4711471147}), ["first-part", KEY[0], "4711471147"]),
        (json.dumps(json.dumps({"a": "deep-part"})), ["deep-part"]),
        (json.dumps({"a": json.dumps({"b": "deep-part"})}), ["deep-part"]),
        ("postgresql://me:pa%2Fss-word@db/x?sslkey=key-part", ["pa/ss-word", "pa%2Fss-word", "key-part"]),
        ("postgresql+psycopg2://me:pass-word@db:5432/x", ["pass-word"]),
        (json.dumps({"dsn": "mysql://me:pass-word@db"}), ["pass-word"]),
        ("host=db user=me password=pass-word sslmode=require", ["pass-word"]),
        ("Server=tcp:x;User ID=me;Password=pass-word;Encrypt=yes", ["pass-word"]),
        (
            "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=abcDEF0123+/456==;EndpointSuffix=x",
            ["abcDEF0123+/456=="],
        ),
        ("[default]\naws_access_key_id = AKIA1\naws_secret_access_key = wJalr/XUtn\n", ["wJalr/XUtn"]),
        ("# comment\nexport API_KEY='key-part'\nURL=https://me:url-part@host/\n", ["key-part", "url-part"]),
        ("users:\n- name: me\n  token: token-part\n  keys:\n  - item-part\n", ["token-part", "item-part"]),
        ("<settings>\n  <server><password>xml-part</password></server>\n</settings>", ["xml-part"]),
        ("me:pass-word", ["pass-word"]),
        (base64.b64encode(b'{"key": "inner-part"}').decode(), ['{"key": "inner-part"}', "inner-part"]),
        (quote_plus('{"key": "inner-part"}'), ["inner-part"]),
        ('{"one": "jsonl-one"}\n{"two": "jsonl-two"}\n', ["jsonl-one", "jsonl-two"]),
        (PEM.replace("\n", "\\n"), KEY[:2]),
        ("<server><password>xml-part</password></server>", ["xml-part"]),
        ('<source url="x" password="attribute-part"/>', ["attribute-part"]),
        ('[db]\npassword = "toml-part"  # of the loader\n', ["toml-part"]),
        ("Bearer bearer-part", ["bearer-part"]),
        ("Basic " + base64.b64encode(b"me:basic-part").decode(), ["basic-part"]),
        ("machine db\nlogin me\npassword netrc-part\n", ["netrc-part"]),
        ("machine db login me password netrc-part", ["netrc-part"]),
        ("first-key-1,second-key-2", ["first-key-1", "second-key-2"]),
    ],
)  # fmt: skip
def test_so_is_each_part_of_what_it_turns_out_to_be(value: str, parts: list[str]) -> None:
    masking.mask(masking.words_of_value(value))

    assert [] == [part for part in parts if redact(f"it is {part} here") != "it is *** here"]


CONNECTIONS: list[tuple[str, dict[str, Any]]] = [
    (
        "fields",
        {"conn_type": "ssh", "login": "me", "password": ODD, "extra": {"private_key": PEM, "k": "extra-part"}},
    ),
    (
        "extra as text",
        {"conn_type": "ssh", "login": "me", "password": ODD, "extra": json.dumps({"private_key": PEM})},
    ),
    (
        "JSON within the extra",
        {"conn_type": "gcp", "password": ODD, "extra": {"keyfile_dict": json.dumps({"private_key": PEM})}},
    ),
    ("a uri among fields", {"uri": f"ssh://me:{quote(ODD, safe='')}@host/?private_key={quote_plus(PEM)}"}),
]


@pytest.mark.parametrize("fields", [fields for _, fields in CONNECTIONS], ids=[name for name, _ in CONNECTIONS])
def test_a_connection_is_masked_as_hooks_print_it(fields: dict[str, Any]) -> None:
    text = json.dumps(fields)
    made = (
        Connection.from_json(text, conn_id="x")
        if "uri" not in fields
        else Connection(conn_id="x", uri=fields["uri"])
    )
    masking.mask(masking.words_of_connection(text))

    printed = [
        text,
        made.get_uri(),
        repr(made.extra_dejson),
        json.dumps(made.extra_dejson, indent=1),
        made.extra or "",
    ]
    shown = "\n".join(in_lines(one) for one in [*printed, PEM, ODD, quote(ODD, safe=""), json.dumps(ODD)])

    for secret in (*KEY[:2], ODD, quote(ODD, safe=""), json.dumps(ODD)[1:-1]):
        assert secret not in shown
    header = base64.b64encode(f"me:{made.password}".encode()).decode()
    assert fields.get("login") is None or header not in str(redact(f"Authorization: Basic {header}"))


def test_a_connection_as_a_uri_is_masked_as_hooks_print_it() -> None:
    uri = f"http://me:{quote(ODD, safe='')}@host/?__extra__={quote_plus(json.dumps({'private_key': PEM}))}"
    masking.mask(masking.words_of_connection(uri))
    made = Connection(conn_id="x", uri=uri)

    shown = "\n".join(
        in_lines(one) for one in (uri, made.get_uri(), str(made.password), repr(made.extra_dejson), PEM)
    )

    assert [] == [secret for secret in (ODD, quote(ODD, safe=""), *KEY[:2]) if secret in shown]


@pytest.mark.parametrize(
    ("value", "readable"),
    [
        ('{"verify": "false", "ssl": "require", "driver": "postgresql"}', "false require postgresql"),
        ("host=warehouse.example user=loader password=x", "warehouse.example loader"),
        (PEM, "-----BEGIN PRIVATE KEY-----"),
        ("BEGIN\nSELECT 'secret-part'\nCOMMIT\nEND\n", "COMMIT"),
        ('{"port": 15432, "since": 2026}', "15432 2026"),
        ("x=abc\ny=abcd\n", "abc abcd"),
    ],
)
def test_what_is_short_or_on_everybodys_lips_stays_readable(value: str, readable: str) -> None:
    masking.mask(masking.words_of_value(value))

    assert readable == redact(readable)


def test_a_password_is_masked_even_where_it_is_a_common_word() -> None:
    masking.mask(masking.words_of_connection('{"conn_type": "http", "password": "production"}'))

    assert "the *** one" == redact("the production one")


def test_of_a_value_of_very_many_parts_the_first_are_masked_and_that_is_logged(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow compiles its pattern from all forms, and looks for each of them in every line of a log."""
    monkeypatch.setattr(log_once, "_logged", {})
    text = "\n".join(f"line-{number}-" for number in range(MOST + 100))

    masking.mask(masking.words_of_value(text))

    assert "***" == redact("line-5-")
    assert f"line-{MOST}-" == redact(f"line-{MOST}-")
    assert "A value has more than 4,000 parts" in caplog.text
