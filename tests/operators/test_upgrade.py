"""A deferred task outlives an upgrade: Airflow's database names its trigger by where the class stood then."""

from __future__ import annotations

from airflow.sdk.module_loading import import_string

from airflow_k8s_vault.operators.trigger import VaultPodTrigger


def test_a_trigger_that_the_database_knows_by_its_old_place_is_found() -> None:
    assert import_string("airflow_k8s_vault.pod_watch.VaultPodTrigger") is VaultPodTrigger
