"""Who read what: entries of an audit file to logins, and logins to the task instances that they were made for."""

from __future__ import annotations

import gzip
import io
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_k8s_vault import audit, teams
from airflow_k8s_vault.audit.airflow_api import AirflowApi, task_run
from airflow_k8s_vault.errors import ConfigError
from tests.audit.lines import BEGIN, line, login, read, revoke, time
from tests.commands.test_templates import SHIPPED, run

PARTNER = frozenset({"secret/payments/partner"})


@pytest.fixture
def sessions(tmp_path: Path) -> Callable[..., audit.Sessions]:
    def of(*lines: str) -> audit.Sessions:
        (tmp_path / "audit.log").write_text("".join(f"{text}\n" for text in lines))
        matches = audit.Sessions(roles())
        matches.take(audit.LogFiles([str(tmp_path / "audit.log")]).entries())
        return matches

    return of


def roles() -> audit.Roles:
    return audit.Roles([teams.load("payments", SHIPPED)])


def task(task_id: str, at: float, until: float | None = 60, pod: str = "", paths: Any = PARTNER) -> audit.TaskRun:
    end = None if until is None else BEGIN + until
    window = (BEGIN + at - 1, BEGIN + at + 2)
    return audit.TaskRun("load", task_id, "run", 1, -1, "payments", pod, BEGIN + at, end, window, paths)


def joined(matches: audit.Sessions, *tasks: audit.TaskRun) -> list[tuple[str, str]]:
    """How each login was matched, and with which tasks."""
    matches = audit.join(matches.all(), tasks, roles())
    return [(match.how, " ".join(sorted(one.task_id for one in match.tasks))) for match in matches]


Of = Callable[..., audit.Sessions]


def test_a_read_has_its_task_path_lease_policy_and_end(sessions: Of) -> None:
    lease = {"response": {"secret": {"lease_id": "database/creds/payments-ro/x"}}}
    result = sessions(
        login(0, "a"), read(1, "a"), read(2, "a", "database/creds/payments-ro", **lease), revoke(9, "a")
    )
    paths = PARTNER | {"database/creds/payments-ro"}

    first, second = audit.reads(audit.join(result.all(), [task("main", 0, paths=paths)], roles()))

    assert ("secret/payments/partner", "load.main", "run", 1, "time") == tuple(
        first[name] for name in ("path", "task", "run", "try", "matched by")
    )
    assert (["airflow-payments"], time(9)[:23] + "Z") == (first["policies"], first["revoked"])
    assert "database/creds/payments-ro/x" == second["lease"]


def test_a_pod_that_vault_names_is_matched_by_its_name_whenever_it_logs_in(sessions: Of) -> None:
    result = sessions(login(50, "a", pod="main-x"), read(51, "a"), login(55, "b", pod="main-x"))

    assert [("pod", "main"), ("pod", "main")] == joined(result, task("main", 0, pod="main-x"), task("other", 50))


def test_a_pod_that_no_task_has_made_is_an_alarm(sessions: Of) -> None:
    result = sessions(login(0, "a", pod="planted"), read(1, "a"))

    (alarm,) = audit.alarms(audit.join(result.all(), [task("main", 0, pod="main-x")], roles()))

    assert ("planted", ["secret/payments/partner"]) == (alarm["pod"], alarm["paths"])
    assert "No task has made the pod" in alarm["why"]


def test_an_account_that_is_none_of_the_teams_is_an_alarm_even_while_a_task_starts(sessions: Of) -> None:
    result = sessions(login(0, "a", namespace="elsewhere", account="mallory"))

    (alarm,) = audit.alarms(audit.join(result.all(), [task("main", 0)], roles()))

    assert "elsewhere/mallory" == alarm["account"]
    assert "an account that is none of the team's" in alarm["why"]


def test_a_login_at_another_time_or_of_another_path_is_an_alarm(sessions: Of) -> None:
    result = sessions(
        login(0, "a"), read(1, "a"), login(30, "b"), login(0.5, "c"), read(1, "c", "secret/data/other")
    )

    assert ["time", "none", "none"] == [how for how, _ in sorted(joined(result, task("main", 0)), reverse=True)]


def test_as_many_logins_as_tasks_are_theirs_and_one_more_is_nobodys(sessions: Of) -> None:
    tasks = [task(name, 0) for name in ("one", "two", "three")]
    lines = [login(number / 10, f"t{number}") for number in range(3)]

    assert [("one of", "one three two")] * 3 == joined(sessions(*lines), *tasks)
    assert 1 == [how for how, _ in joined(sessions(*lines, login(0.9, "more")), *tasks)].count("none")


def test_an_agent_that_gave_up_logs_in_again_from_where_it_was(sessions: Of) -> None:
    result = sessions(login(0, "a"), login(1, "b"), login(1.5, "c").replace("10.0.0.7", "10.0.0.8"))
    failed = replace(task("main", 0), failed=True)

    assert [("time", "main"), ("again", "main"), ("none", "")] == joined(result, failed)
    assert [("time", "main"), ("none", ""), ("none", "")] == joined(result, task("main", 0))


def test_a_refused_path_is_one_of_kv_2_unless_an_answer_says_otherwise(sessions: Of) -> None:
    refused = {"response": {"data": {"error": "hmac-sha256:x"}}, "error": "permission denied"}

    assert ["secret/payments/partner"] == [one.path for one in sessions(read(0, "a", **refused)).all()[0].reads]


def test_the_most_logins_find_a_task_where_their_paths_leave_a_choice(sessions: Of) -> None:
    both = PARTNER | {"secret/payments/gcp"}
    gcp = read(1, "b", "secret/data/payments/gcp")
    result = sessions(login(0, "a"), read(1, "a"), login(0.1, "b"), gcp)

    matched = joined(result, task("both", 0, paths=both), task("partner", 0))

    assert "none" not in [how for how, _ in matched]
    assert ("one of", "both partner") == matched[0]
    assert "both" == matched[1][1]


def test_a_thousand_tasks_that_start_at_once_are_matched(sessions: Of) -> None:
    lines = [login(number / 1000, f"t{number}") for number in range(1000)]

    matched = joined(sessions(*lines), *[task(f"t{number}", 0) for number in range(1000)])

    assert {"one of"} == {how for how, _ in matched}


def test_what_was_never_read_is_told_with_who_declares_it(sessions: Of) -> None:
    declared = {"payments": [("load.main", "secret/payments/partner"), ("load.b", "secret/payments/gcp")]}
    refused = read(1, "a", "secret/data/payments/gcp", error="1 error occurred:\n\t* permission denied\n\n")
    result = sessions(login(0, "a"), read(1, "a"), refused)
    matches = audit.join(result.all(), [], roles())

    assert [{"team": "payments", "path": "secret/payments/gcp", "declared by": ["load.b"]}] == list(
        audit.never_read(declared, matches)
    )
    assert "permission denied" == list(audit.reads(matches))[1]["refused"]


@pytest.mark.parametrize(
    ("more", "how"),
    [
        ([], "by its TTL"),
        ([revoke(400, "a")], "revoked"),
        ([revoke(70, "a")], None),
        ([line(65, "update", "sys/leases/revoke-prefix/auth/kubernetes")], None),
        ([line(400, "update", "auth/token/renew-self", "a")], "by its TTL"),
    ],
)
def test_credentials_that_outlive_their_task_are_told(sessions: Of, more: list[str], how: str | None) -> None:
    result = sessions(login(0, "a"), read(1, "a"), *more, login(900, "later", role="none", namespace="none"))
    matches = audit.join(result.all(), [task("main", 0, until=60)], roles())

    rows = list(audit.outlived(matches, BEGIN + 900))

    assert ([how] if how else []) == [row["how"] for row in rows]


def test_a_task_that_still_runs_has_outlived_nothing(sessions: Of) -> None:
    matches = audit.join(sessions(login(0, "a")).all(), [task("main", 0, until=None)], roles())

    assert [] == list(audit.outlived(matches, BEGIN + 900))


@pytest.mark.parametrize(
    ("path", "data", "named"),
    [
        ("secret/data/payments/data/x", {"data": {}, "metadata": {}}, "secret/payments/data/x"),
        ("secret/data/payments/x", {"k": "hmac-sha256:x"}, "secret/data/payments/x"),
        ("database/creds/payments-ro", {"username": "u"}, "database/creds/payments-ro"),
    ],
    ids=["KV 2", "a folder of KV 1", "a dynamic one"],
)
def test_a_path_is_told_as_vault_kv_get_takes_it(sessions: Of, path: str, data: Any, named: str) -> None:
    result = sessions(read(0, "a", path, response={"data": data}))

    assert [named] == [one.path for one in result.all()[0].reads]


def test_a_reader_with_another_role_is_counted_and_is_no_alarm(sessions: Of) -> None:
    result = sessions(*[read(0, "r", metadata=None, display_name="root")] * 2, read(1, "r", "x/y", metadata=None))

    assert {("root", "secret/payments/partner"): 2} == dict(result.others)
    assert [] == result.all()


ODD = [
    login(0, "a"),
    "",
    "not of an audit device",
    '{"level": "info", "msg": "hello"}',
    f"@cee: {read(1, 'a')}",
    read(2, "a").replace('"type":', '"of_a_newer_server":{"x":1},"type":'),
    read(3, "a").replace('"remote_address":', '"also_new":1,"remote_address":'),
    read(4, "a")[:80],
]


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_what_is_no_entry_is_counted_and_never_fatal(tmp_path: Path, packed: bool) -> None:
    text = "\n".join(ODD).encode()
    (tmp_path / "audit.log").write_bytes(gzip.compress(text) if packed else text)
    files = audit.LogFiles([str(tmp_path / "audit.log")])

    assert 4 == len(list(files.entries()))
    assert (8, 1, 2) == (files.lines, files.torn, files.foreign)
    assert {"of_a_newer_server": 1, "request.also_new": 1} == dict(files.unknown_fields)


def test_standard_input_and_a_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "\n".join([login(0, "a"), read(10, "a"), read(20, "a")]).encode()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BufferedReader(io.BytesIO(text))))

    files = audit.LogFiles(["-"], since=datetime.fromtimestamp(BEGIN + 10, UTC))

    assert 2 == len(list(files.entries()))


def test_the_command_without_airflow_shows_logins_and_tells_what_it_could_not_read(tmp_path: Path) -> None:
    (tmp_path / "audit.log").write_text("\n".join(ODD))
    words = ("audit", tmp_path / "audit.log", "--no-airflow", "--templates-dir", SHIPPED)

    as_json, table = run(*words, "-o", "json"), run(*words)
    as_yaml, report = run(*words, "-o", "yaml"), run(*words, "--report", "payments", "-o", "json")

    assert 3 == len(as_json.json()["reads"])
    assert {"not asked"} == {row["matched by"] for row in as_json.json()["reads"]}
    assert "path: secret/payments/partner" in as_yaml.out
    assert "Reads: 3" in table.out
    assert "1 torn lines" in table.err
    assert "unknown field request.also_new" in table.err
    assert ["database/creds/payments-*"] == report.json()["ceiling never used"]
    assert [{"path": "secret/payments/partner", "times": 3, "tasks": []}] == report.json()["read"]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("none.log",), "none.log cannot be read: No such file"),
        (("-", "--since", "yesterday"), "--since yesterday is no time"),
        (("-", "--team", "paymets"), "Did you mean 'payments'?"),
    ],
)
def test_what_it_cannot_do_is_told_with_status_2(words: tuple[str, ...], reason: str) -> None:
    ran = run("audit", *words, "--no-airflow", "--templates-dir", SHIPPED)

    assert (2, "") == (ran.status, ran.out)
    assert reason in ran.err


def test_an_airflow_that_is_not_there_is_named() -> None:
    now = datetime.now(UTC)

    with pytest.raises(ConfigError, match=r"http://127\.0\.0\.1:9 cannot be reached"):
        list(AirflowApi("http://127.0.0.1:9", "").task_runs(now, now))


def test_a_task_run_takes_pod_and_window_from_its_record_and_an_earlier_try_from_its_times() -> None:
    at = datetime(2026, 1, 31, 10, tzinfo=UTC)
    shown = {"pod_template": "payments/etl", "team": "payments", "vault_paths": ["secret/payments/x: A (a)"]}
    instance = SimpleNamespace(
        dag_id="d", task_id="t", dag_run_id="r", map_index=-1, try_number=2, rendered_fields=shown,
        start_date=at, end_date=at.replace(minute=5), state="success",
    )  # fmt: skip
    steps = [["created", "2026-01-31T10:00:01Z"], ["main process started", "2026-01-31T10:00:02Z"]]
    times = {"start_date": at.replace(hour=9), "end_date": at.replace(hour=9, minute=5)}
    earlier = SimpleNamespace(try_number=1, state="failed", **times)

    last = task_run(instance, {"pod_name": "t-x", "try_number": 2, "steps": steps})
    first = task_run(instance, {}, earlier)

    assert ("t-x", (BEGIN - 2, BEGIN + 5)) == (last.pod, last.logins)
    assert ("", 1, BEGIN - 3600) == (first.pod, first.try_number, first.begin)
    assert frozenset({"secret/payments/x"}) == last.paths
    assert (False, True) == (last.failed, first.failed)
