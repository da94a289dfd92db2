"""The line that says what a pod got."""

from __future__ import annotations

from airflow_k8s_vault import VaultSecret
from airflow_k8s_vault.operators import received

LOG = """\
2026-11-25T09:50:36.461342070Z 2026-11-25T09:50:36.457Z [INFO]  agent.sink.file: creating file sink
2026-11-25T09:50:36.461424311Z
no time stamp
2026-11-25T09:50:36.586119800Z [INFO]  agent: (runner) rendered "(dynamic)" => "/vault/files/0/partner.key"
2026-11-25T09:50:36.861342070Z [INFO]  agent: (runner) rendered "(dynamic)" => "/vault/env/base.env"
2026-11-25T09:59:00.000000000Z [INFO]  agent: (runner) rendered "(dynamic)" => "/vault/files/0/partner.key"
"""


def test_the_agent_is_ready_when_all_was_rendered_for_the_first_time() -> None:
    assert received.agent_seconds(LOG.splitlines()) == 0.4


def test_an_agent_that_logs_less_says_no_time() -> None:
    assert received.agent_seconds([]) is None
    assert received.agent_seconds(LOG.splitlines()[:3]) is None


def test_many_names_are_cut() -> None:
    secrets = [VaultSecret("secret/a", env={f"V{number}": "key" for number in range(14)})]

    message = received.sentence(secrets, "payments", "agent ready")

    assert message.startswith("This pod got 1 secret (V0, ")
    assert "V9 and 4 more) as role payments, agent ready." in message
