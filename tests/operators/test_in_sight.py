"""What Airflow's page shows of a failed delivery without scrolling: it opens at the log's end."""

from __future__ import annotations

import pytest

from airflow_k8s_vault.errors import DeliveryUnavailable
from tests.operators.test_import import operator
from tests.walls import SHIPPED


def waits(deep: int) -> None:
    if deep:
        waits(deep - 1)
    raise DeliveryUnavailable("Vault could not be reached from the pod.")


def test_no_frames_of_the_waiting_stand_between_the_reason_and_the_end_of_the_log(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AIRFLOW__K8S_VAULT__TEMPLATES_DIR", str(SHIPPED))
    monkeypatch.setenv("AIRFLOW__K8S_VAULT__VAULT_ADDR", "https://vault:8200")
    task = operator()

    with pytest.raises(DeliveryUnavailable) as failed, task._run():
        waits(30)

    assert len(failed.traceback) < 5
