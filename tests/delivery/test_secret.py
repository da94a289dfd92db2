"""What delivery `secret` adds to a pod, and what its Secret holds."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
import traceback
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kubernetes.client import ApiClient

from airflow_k8s_vault import VaultSecret
from airflow_k8s_vault.delivery import REQUEST_ANNOTATION
from airflow_k8s_vault.delivery.secret import GATE, attach, is_gated, login_name, places, secret_name, values
from airflow_k8s_vault.errors import DeliveryRefused

DB = VaultSecret("database/creds/ro", engine="dynamic", env={"PGUSER": "username", "PGPASSWORD": "password"})
KEY = VaultSecret("secret/payments/partner", file="partner.key", key="api_key")
WHOLE = VaultSecret("secret/payments/partner", file="partner.json")
OTHERS = VaultSecret("secret/payments/metrics", env={"METRICS_TOKEN": "token"}, container="metrics")


def pod(**spec: Any) -> dict[str, Any]:
    containers = [{"name": "base", "image": "a:1"}, {"name": "metrics", "image": "b:1"}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"annotations": {REQUEST_ANNOTATION: "0123456789"}},
        "spec": {"containers": containers, **spec},
    }


def container(made: dict[str, Any], name: str) -> dict[str, Any]:
    return next(c for c in made["spec"]["containers"] if c["name"] == name)


def test_a_pod_without_secrets_stays_as_it_is() -> None:
    assert attach(pod(), []) == pod()


def test_the_manifest_that_was_given_is_not_changed() -> None:
    given_pod = pod()
    before = copy.deepcopy(given_pod)

    attach(given_pod, [DB, KEY])

    assert given_pod == before


def test_nothing_runs_until_the_gate_is_off_and_other_gates_stay() -> None:
    made = attach(pod(schedulingGates=[{"name": "example.com/quota"}]), [DB])

    assert made["spec"]["schedulingGates"] == [{"name": "example.com/quota"}, {"name": GATE}]


def test_only_the_container_that_asked_gets_a_variable_or_a_file() -> None:
    made = attach(pod(), [DB, KEY, OTHERS])

    assert [v["name"] for v in container(made, "base")["env"]] == ["PGUSER", "PGPASSWORD"]
    assert [v["name"] for v in container(made, "metrics")["env"]] == ["METRICS_TOKEN"]
    assert [m["mountPath"] for m in container(made, "base")["volumeMounts"]] == ["/vault/secrets"]
    assert "volumeMounts" not in container(made, "metrics")


def test_files_are_single_keys_mounted_read_only() -> None:
    made = attach(pod(), [DB, KEY])

    (volume,) = made["spec"]["volumes"]
    assert volume["secret"]["items"] == [{"key": "value-2", "path": "partner.key"}]
    assert all(mount["readOnly"] for mount in container(made, "base")["volumeMounts"])


def test_no_container_can_name_the_secret_that_keeps_the_login() -> None:
    made = attach(pod(), [DB, KEY, OTHERS])

    assert login_name("0123456789") not in json.dumps(made)
    assert secret_name("0123456789") in json.dumps(made)


def test_what_is_in_the_way_is_listed_at_once() -> None:
    taken = pod()
    taken["spec"]["containers"][0] |= {
        "env": [{"name": "PGUSER", "value": "me"}],
        "volumeMounts": [{"name": "x", "mountPath": "/vault"}],
    }

    with pytest.raises(DeliveryRefused) as error:
        attach(taken, [DB, KEY, VaultSecret("secret/payments/x", env={"X": "x"}, container="nobody")])

    message = str(error.value)
    assert "container 'base' sets PGUSER itself" in message
    assert "mounts a volume of its own over /vault/secrets" in message
    assert "no container 'nobody'" in message


def test_the_secret_holds_each_value_once_under_a_key_that_is_a_number() -> None:
    matches = list(places([DB, KEY, WHOLE], "base"))
    data = {
        DB: {"username": "u", "password": "it's $HOME\n"},
        KEY: {"api_key": "k", "port": 5},
        WHOLE: {"api_key": "k", "port": 5},
    }

    assert values(matches, data) == {
        "value-0": "u",
        "value-1": "it's $HOME\n",
        "value-2": "k",
        "value-3": '{"api_key":"k","port":5}',
    }


def test_missing_keys_are_listed_with_the_keys_that_there_are_and_no_value() -> None:
    matches = list(places([DB, KEY], "base"))

    with pytest.raises(DeliveryRefused) as error:
        values(matches, {DB: {"username": "canary"}, KEY: {}})

    message = str(error.value)
    assert "'database/creds/ro' has no key 'password'; it has: username" in message
    assert "'secret/payments/partner' has no key 'api_key'; it has: nothing" in message
    assert "canary" not in message


def test_a_null_character_cannot_be_a_variable() -> None:
    with pytest.raises(DeliveryRefused, match="holds a NUL"):
        values(list(places([DB], "base")), {DB: {"username": "u", "password": "a\0b"}})


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1))
def test_text_arrives_as_it_is(text: str) -> None:
    made = values(list(places([DB], "base")), {DB: {"username": "u", "password": text}})

    assert made["value-1"] == text


def test_a_gated_pod_is_recognised() -> None:
    api = ApiClient()
    read = lambda manifest: api._ApiClient__deserialize(manifest, "V1Pod")  # type: ignore[attr-defined]  # noqa: E731

    assert is_gated(read(attach(pod(), [DB])))
    assert not is_gated(read(pod()))


def test_the_operator_does_not_load_the_vault_client() -> None:
    code = (
        "import sys, airflow_k8s_vault.operators.vault_pod, airflow_k8s_vault.operators.trigger\n"
        "rooms = ('airflow_k8s_vault.vault', 'airflow_k8s_vault.handover')\n"
        "print([name for name in sys.modules if name in rooms or name.startswith(tuple(f'{r}.' for r in rooms))])"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "[]"


def test_a_missing_key_leaves_no_value_in_the_frames_of_the_exception() -> None:
    requested = VaultSecret("secret/a", env={"A": "a", "B": "b"})
    with pytest.raises(DeliveryRefused) as error:
        values(list(places([requested], "base")), {requested: {"a": "canary-in-a-frame"}})

    shown = traceback.TracebackException.from_exception(error.value, capture_locals=True).stack[-1]
    assert shown.name == "values"
    assert "canary-in-a-frame" not in str(shown.locals)
