"""One catalogue: what doctor shows, what a log says and what the docs explain cannot drift apart."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from airflow_k8s_vault import teams, templates
from airflow_k8s_vault.causes import BY_CODE, CATEGORIES, CAUSES
from airflow_k8s_vault.delivery import file_key_ref
from airflow_k8s_vault.doctor import Check, Done, Outcome, lines, run
from airflow_k8s_vault.doctor import check as doctor_check
from airflow_k8s_vault.errors import K8sVaultError, VaultUnavailable
from tests.doctor import messages, troubleshooting

SHIPPED = Path(__file__).parents[2] / "pod_templates"
DOCTOR = Path(__file__).parents[2] / "airflow_k8s_vault" / "doctor"


def test_the_page_is_what_the_catalogue_gives() -> None:
    """To write it anew: python -m tests.doctor.troubleshooting"""
    assert troubleshooting.page() == troubleshooting.PAGE.read_text()


def test_codes_are_unique_and_every_code_kind_and_message_has_a_heading() -> None:
    text = troubleshooting.PAGE.read_text()
    kinds = {kind for kind in messages.KINDS if kind != "K8sVaultError"}

    assert len(CAUSES) == len(BY_CODE)
    assert {*BY_CODE, *kinds, "AirflowException"} == set(re.findall(r"^### (.+)$", text, re.M))
    assert {f"`{message.headline}`" for message in messages.all_messages()} == set(
        re.findall(r"^#### (.+)$", text, re.M)
    )
    assert {cause.category for cause in CAUSES} == set(CATEGORIES)


@pytest.mark.parametrize(
    ("raise_it", "heading"),
    [
        (lambda: teams.load("paymets", SHIPPED), "Team '…' does not exist."),
        (lambda: templates.find("payments/nothing", SHIPPED), "Team '…' has no pod template '…'."),
        (lambda: file_key_ref._missing("it is old"), "This cluster cannot give a container environment variables"),
    ],
)
def test_a_search_for_what_was_raised_finds_its_heading(raise_it: Callable[[], Any], heading: str) -> None:
    """By the first line, as it is told with everything filled in."""
    try:
        message = str(raise_it())
    except K8sVaultError as error:
        message = str(error)

    headings = [row.headline for row in messages.all_messages() if row.is_of(message)]

    assert any(first.startswith(heading) for first in headings), headings


def test_every_code_of_the_catalogue_is_one_that_a_check_has() -> None:
    used = set(
        re.findall(
            r'"((?:HERE|CLUSTER|VAULT|POD)-[A-Z-]+)"',
            "".join(module.read_text() for module in DOCTOR.glob("*.py")),
        )
    )

    assert set(BY_CODE) == used


def test_a_step_that_a_message_names_is_one_of_the_catalogue() -> None:
    named = {
        code
        for module in DOCTOR.parent.rglob("*.py")
        for code in re.findall(r"""(?:doctor|causes\.run)\(["']([A-Z-]+)["']""", module.read_text())
    }

    assert {"VAULT-LOGIN", "VAULT-PATHS", "POD-REACHES-VAULT", "CLUSTER-RIGHTS"} <= named <= set(BY_CODE)


def test_what_an_earlier_failure_makes_meaningless_is_not_run() -> None:
    ran: list[str] = []

    def check(code: str, result: str, *after: str, team: str = "") -> Check:
        def look() -> Outcome:
            ran.append(f"{code} {team}".strip())
            return Outcome(result)  # type: ignore[arg-type]

        return Check(code, look, team=team, after=after)

    report = run(
        [
            check("VAULT-REACHED", "success"),
            check("VAULT-ROLE", "error", team="a"),
            check("VAULT-ROLE", "success", team="b"),
            check("VAULT-LOGIN", "success", "VAULT-ROLE", team="a"),
            check("VAULT-LOGIN", "success", "VAULT-ROLE", team="b"),
            check("VAULT-PATHS", "success", "VAULT-LOGIN", team="a"),
        ],
        lambda done: None,
    )

    assert ["VAULT-REACHED", "VAULT-ROLE a", "VAULT-ROLE b", "VAULT-LOGIN b"] == ran
    assert ["success", "error", "success", "skipped", "success", "skipped"] == [
        done.outcome.result for done in report.done
    ]


def test_what_may_still_come_up_is_looked_at_again_for_as_long_as_one_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(doctor_check, "_PAUSE_SECONDS", 0.01)
    answers, waited = iter(["error", "error", "success"]), []

    def look() -> Outcome:
        if next(answers) == "error":
            raise VaultUnavailable("no answer")
        return Outcome("success")

    @contextmanager
    def waiting(check: Check) -> Iterator[None]:
        waited.append(check.code)
        yield

    checks = [Check("VAULT-REACHED", look)]
    assert "error" == run(checks, lambda done: None, 0, waiting).done[0].outcome.result
    assert [] == waited
    assert "success" == run(checks, lambda done: None, 60, waiting).done[0].outcome.result
    assert ["VAULT-REACHED"] == waited


def test_a_check_that_breaks_is_unknown_and_its_words_are_not_shown() -> None:
    def broken() -> Outcome:
        raise ValueError("s.secret-token")

    (done,) = run([Check("VAULT-REACHED", broken)], lambda done: None).done

    assert "unknown" == done.outcome.result
    assert "s.secret-token" not in done.outcome.message


def test_no_line_is_wider_than_the_terminal() -> None:
    outcome = Outcome("error", "word " * 60, {"team": "payments"})
    shown = list(lines(Done(Check("CLUSTER-RIGHTS", lambda: outcome, "payments", "payments"), outcome), 80))

    assert max(len(line) for line, _ in shown) <= 80
    assert any("--team payments" in line for line, _ in shown)
