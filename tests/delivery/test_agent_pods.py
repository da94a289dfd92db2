"""The agent's container as the platform has it, in a pod that runs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from airflow_k8s_vault import VaultSecret
from airflow_k8s_vault.teams import AgentSettings
from tests.delivery.pods import NAMESPACE, Pods

PARTNER = VaultSecret("secret/payments/partner", env={"API_KEY": "api_key"}, file="key", key="api_key")


@pytest.mark.integration
def test_an_agent_that_logs_all_it_can_logs_no_value(pods: Pods, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = AgentSettings().with_those_of(
        {"agent": {"log_level": "debug", "run_as_user": 12345, "resources": {"limits": {"cpu": "500m"}}}}
    )
    monkeypatch.setattr(pods, "login", replace(pods.login, agent=settings))
    pod = pods.start("agent", [PARTNER], ["sh", "-c", 'test "$API_KEY" = "$(cat /vault/secrets/key)"'])
    try:
        run = pods.ended(pod)
        message = pods.core.read_namespaced_pod_log(run.name, NAMESPACE, container="vault-agent")
    finally:
        pods.delete(pod)

    assert ("Succeeded", "") == (run.phase, run.problem)
    assert "[DEBUG]" in message
    assert pods.servers.canary not in message
