"""A chain that is sound: nothing is red, nothing is changed, and no value is shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.doctor.world import World

Examine = Callable[..., dict[str, Any]]


def one(report: dict[str, Any], code: str) -> dict[str, Any]:
    checks = [check for category in report["categories"] for check in category["checks"]]
    return next(check for check in checks if check["code"] == code)


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
    assert world.ground.canary not in json.dumps(report)


def test_every_login_that_doctor_makes_is_ended(examine: Examine, world: World) -> None:
    before = set(world.vault("LIST", "auth/token/accessors")["data"]["keys"])

    examine(dags=str(world.dags))

    assert before >= set(world.vault("LIST", "auth/token/accessors")["data"]["keys"])


def test_a_real_task_of_the_team_gets_the_canary_it_is_told(examine: Examine, world: World) -> None:
    report = examine(task="secret/payments/partner:api_key")

    (ran,) = [
        check for kind in report["categories"] for check in kind["checks"] if check["code"] == "POD-DELIVERY"
    ]
    assert ("success", "") == (ran["result"], ran["error"])


def test_a_real_task_that_cannot_have_its_secret_is_told_in_the_words_of_its_log(examine: Examine) -> None:
    report = examine(task="secret/payments/nothing:api_key")

    (ran,) = [
        check for kind in report["categories"] for check in kind["checks"] if check["code"] == "POD-DELIVERY"
    ]
    assert "error" == ran["result"]
    assert "There is no secret at 'secret/payments/nothing'" in ran["error"]
