"""A chain that is sound: nothing is red, nothing is changed, and no value is shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.doctor.world import World
from tests.faults.worker import wait_until

Examine = Callable[..., dict[str, Any]]


def outcome(report: dict[str, Any], code: str) -> tuple[str, str]:
    checks = [check for category in report["categories"] for check in category["checks"]]
    return next((check["result"], check["error"]) for check in checks if check["code"] == code)


def test_a_sound_chain_is_green_from_settings_to_a_pod_that_reaches_vault(examine: Examine, world: World) -> None:
    report = examine(dags=str(world.dags), from_="pod")

    results = {
        check["code"]: (check["result"], check["error"])
        for category in report["categories"]
        for check in category["checks"]
    }
    assert report["status"] == 0
    assert report["success"] is True
    assert {} == {code: result for code, result in results.items() if result[0] == "error"}
    assert "success" == results["POD-REACHES-VAULT"][0]
    assert "success" == results["VAULT-PATHS"][0]
    assert world.servers.canary not in json.dumps(report)


def test_every_login_that_doctor_makes_is_ended_and_each_lease_that_it_takes_is_revoked(
    examine: Examine, world: World
) -> None:
    before = set(world.vault("LIST", "auth/token/accessors")["data"]["keys"])

    report = examine(dags=str(world.dags), leases=True)

    assert ("success", "leases taken and revoked: 1") == outcome(report, "VAULT-LEASE")
    assert [] == world.servers.roles_left()
    # A pod of an earlier test may still be ending its login.
    wait_until(lambda: before >= set(world.vault("LIST", "auth/token/accessors")["data"]["keys"]))


def test_what_whoever_runs_it_may_not_look_at_is_no_error_and_names_the_right_that_is_missing(
    examine: Examine, world: World
) -> None:
    """As the worker, which has the rights of its tasks alone, and without a token for Vault."""
    world.connection(world.servers.worker_kubeconfig)
    world.environment("VAULT_TOKEN", "")

    report = examine()

    checks = [check for category in report["categories"] for check in category["checks"]]
    unknown = {check["code"]: check["error"] for check in checks if check["result"] == "unknown"}
    assert [] == [check for check in checks if check["result"] == "error"]
    assert "the right: get namespaces" in unknown["CLUSTER-NAMESPACE"]
    assert "impersonate serviceaccounts 'airflow-triggerer' in airflow" in unknown["CLUSTER-RIGHTS-WIDE"]
    assert "create serviceaccounts/token in team-payments" in unknown["VAULT-LOGIN"]
    assert "a Vault token that may read auth/kubernetes/role/payments" in unknown["VAULT-ROLE"]
    of_servers = [words for code, words in unknown.items() if not code.startswith("HERE-")]
    assert all("the right" in words or "Vault token that may" in words for words in of_servers), of_servers


def test_what_is_not_run_after_a_failure_is_told_and_a_mistake_in_the_command_is_status_2(
    examine: Examine, world: World
) -> None:
    world.setting("vault_addr", "")

    report = examine()

    assert 1 == report["status"]
    assert {"VAULT-REACHED", "VAULT-ROLE", "VAULT-LOGIN", "CLUSTER-RIGHTS", "CLUSTER-POD"} <= {
        check["code"]
        for category in report["categories"]
        for check in category["checks"]
        if (check["result"], check["error"]) == ("skipped", "not run: see HERE-SETTINGS")
    }
    assert 2 == examine(dags=str(world.dags.parent / "nowhere"))["status"]


def test_a_real_task_of_the_team_gets_the_canary_it_is_told(examine: Examine, world: World) -> None:
    report = examine(task="secret/payments/partner:api_key")

    assert ("success", "") == outcome(report, "POD-DELIVERY")


def test_a_real_task_that_cannot_have_its_secret_is_told_in_the_words_of_its_log(examine: Examine) -> None:
    report = examine(task="secret/payments/nothing:api_key")

    result, message = outcome(report, "POD-DELIVERY")
    assert "error" == result
    assert "There is no secret at 'secret/payments/nothing'" in message
