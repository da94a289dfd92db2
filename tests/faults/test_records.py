"""What a task writes down of its pod: names, references and times, for the page; and no value."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_k8s_vault import VaultSecret
from airflow_k8s_vault.operators import pod_record
from tests.faults import worker
from tests.faults.fault_environment import FaultEnvironment

PARTNER = VaultSecret("secret/payments/partner", file="partner.key", key="api_key")


class StateStore:
    """Airflow's task state store as a task sees it, in memory."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def get(self, key: str, default: Any = None) -> Any:
        return self.values.get(key, default)

    def set(self, key: str, value: Any, **_: Any) -> None:
        # As Airflow does, on its way to the database.
        self.values[key] = json.loads(json.dumps(value))


def run(environment: FaultEnvironment, secret: VaultSecret, delivery: str) -> tuple[dict[str, Any], str]:
    """Run a task; return its record, and how it failed."""
    operator = environment.operator("true", [secret], delivery=delivery, cmds=["true"])
    operator.state_store = StateStore()
    failure = ""
    try:
        operator.execute(worker.context(operator))
    except Exception as error:
        failure = str(error)
    return operator.state_store.get(pod_record.KEY), failure


@pytest.mark.parametrize("delivery", ["agent", "secret"])
def test_a_task_writes_down_its_pod_its_credentials_by_name_and_its_steps(
    environment: FaultEnvironment, delivery: str
) -> None:
    record, failure = run(environment, PARTNER, delivery)

    assert "" == failure == record["failure"]
    assert delivery == record["delivery"]
    assert "payments" == record["role"]
    assert [("secret/payments/partner", "/vault/secrets/partner.key")] == [
        (item["path"], item["target"]) for item in record["credentials"]
    ]
    assert "base" == record["manifest"]["spec"]["containers"][0]["name"]
    names = [name for name, _ in record["steps"]]
    assert ["created", "main process started", "main process ended"] == [
        name for name in names if name in ("created", "main process started", "main process ended")
    ]
    assert ("agent started" in names) is (delivery == "agent")


def test_a_task_whose_delivery_fails_writes_down_why_in_the_words_of_its_log(
    environment: FaultEnvironment,
) -> None:
    secret = VaultSecret("secret/payments/partner", file="partner.key", key="nothing")
    record, failure = run(environment, secret, "agent")

    assert "has no key 'nothing'" in failure
    assert failure == record["failure"]


def test_no_value_is_written_down(environment: FaultEnvironment) -> None:
    for delivery in ("agent", "secret"):
        record, _ = run(environment, PARTNER, delivery)

        assert environment.servers.canary not in json.dumps(record)


def test_a_state_store_that_does_not_answer_makes_no_task_fail(environment: FaultEnvironment) -> None:
    class Broken(StateStore):
        def set(self, key: str, value: Any, **_: Any) -> None:
            raise ConnectionError

        def get(self, key: str, default: Any = None) -> Any:
            raise ConnectionError

    operator = environment.operator("true", [PARTNER], reattach_on_restart=False, cmds=["true"])
    operator.state_store = Broken()

    operator.execute(worker.context(operator))
