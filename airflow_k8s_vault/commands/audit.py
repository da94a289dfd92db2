"""`airflow k8s-vault audit`: audit files in, and who read what out."""

from __future__ import annotations

import itertools
import os
import re
import sys
from argparse import Namespace
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow_k8s_vault import audit, config, teams
from airflow_k8s_vault.commands import dag_secrets, output
from airflow_k8s_vault.errors import ConfigError, TeamError, did_you_mean
from airflow_k8s_vault.teams import Team

_SPANS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
# More of them nobody reads in a table.
_MOST_ROWS = 1000
_TITLES = {
    "reads": "Reads",
    "alarms": "Alarms: a team's role was used, and no task did it",
    "never read": "Declared and never read",
    "outlived": "Credentials that outlived their task",
    "others": "Reads of a team's paths with other roles",
}


@output.reports_errors
def run(arguments: Namespace) -> int:
    """Print the answers, or one team's report; status 1 where there is an alarm, or credentials that outlived."""
    listed = _teams(arguments)
    files = audit.LogFiles(arguments.files, _since(arguments.since))
    sessions = audit.Sessions(audit.Roles(listed))
    sessions.take(output.with_count(files.entries(), "entries of the audit files"))
    matches = _matches(arguments, sessions, files, listed)
    until = audit.seconds(files.last) if files.last else 0.0
    if arguments.report:
        (team,) = listed
        _print_report(
            audit.of_team(team, matches, _declared(arguments).get(team.name, ()), until), arguments.output
        )
        bad = _bad(matches, until)
    else:
        answers = _answers(arguments, matches, sessions, until)
        _print(answers, _counted(files), arguments.output)
        bad = bool(answers["alarms"] or answers["outlived"])
    _tell_oddities(files)
    return output.HAS_ERRORS if bad else 0


def _teams(arguments: Namespace) -> list[Team]:
    root = Path(arguments.templates_dir or config.get("templates_dir")).absolute()
    known, chosen = teams.names(root), [arguments.report] if arguments.report else arguments.team or []
    for name in chosen:
        if name not in known:
            raise TeamError(f"There is no team '{name}' in {root}.{did_you_mean(name, known)}")
    return [teams.load(name, root) for name in chosen or known]


def _since(text: str | None) -> datetime | None:
    if not text:
        return None
    if span := re.fullmatch(r"([0-9]{1,6})([mhdw])", text):
        return datetime.now(UTC) - timedelta(**{_SPANS[span[2]]: int(span[1])})
    try:
        result = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(
            f"--since {text} is no time.\n  Write 2026-01-31, 2026-01-31T10:00 (UTC), or a span: 90m, 24h, 7d, 2w."
        ) from None
    return result if result.tzinfo else result.replace(tzinfo=UTC)


def _matches(
    arguments: Namespace, sessions: audit.Sessions, files: audit.LogFiles, listed: Sequence[Team]
) -> list[audit.Match]:
    result = sessions.all()
    if arguments.no_airflow or not result:
        return [audit.Match(session, (), "not asked") for session in result]
    url = arguments.api or _base_url()
    api = audit.AirflowApi(url, os.environ.get("AIRFLOW_API_TOKEN", ""))
    begin, end = (datetime.fromtimestamp(audit.seconds(at), UTC) for at in (files.first, files.last))
    names = {team.name for team in listed}
    tasks = [task for task in api.task_runs(begin, end) if task.team in names]
    return audit.join(result, tasks, audit.Roles(listed))


def _base_url() -> str:
    from airflow.configuration import conf

    return str(conf.get("api", "base_url", fallback="") or "http://localhost:8080")


def _declared(arguments: Namespace) -> Mapping[str, list[tuple[str, str]]]:
    """Return team to task and path, as the DAG files have them; empty without --dags."""
    result = defaultdict[str, list[tuple[str, str]]](list)
    if arguments.dags:
        for declared in dag_secrets.read_dag_secrets(Path(arguments.dags)).declared:
            result[declared.team] += [(declared.task, path) for path in declared.paths]
    return result


def _answers(
    arguments: Namespace, matches: Sequence[audit.Match], sessions: audit.Sessions, until: float
) -> dict[str, Iterable[dict[str, Any]]]:
    path = (arguments.path or "").strip("/")
    expected = set(arguments.team or ())
    declared = {team: pairs for team, pairs in _declared(arguments).items() if not expected or team in expected}
    others = [
        {"who": who, "path": read, "times": times}
        for (who, read), times in sorted(sessions.others.items())
        if path in ("", read)
    ]
    return {
        # There may be a hundred thousand.
        "reads": (row for row in audit.reads(matches) if path in ("", row["path"])),
        "alarms": [row for row in audit.alarms(matches) if not path or path in row["paths"]],
        "never read": [row for row in audit.never_read(declared, matches) if path in ("", row["path"])],
        "outlived": [row for row in audit.outlived(matches, until) if not path or path in row["paths"]],
        "others": others,
    }


def _bad(matches: Sequence[audit.Match], until: float) -> bool:
    return any(True for rows in (audit.alarms(matches), audit.outlived(matches, until)) for _ in rows)


def _counted(files: audit.LogFiles) -> dict[str, Any]:
    return {
        "from": files.first,
        "to": files.last,
        "lines": files.lines,
        "entries": files.entries_read,
        "torn": files.torn,
        "foreign": files.foreign,
        "unknown fields": dict(sorted(files.unknown_fields.items())),
    }


def _print(answers: Mapping[str, Iterable[dict[str, Any]]], counted: Mapping[str, Any], form: str) -> None:
    if form != "table":
        output.stream({"files": counted, **answers}, form)
        return
    print(f"{counted['entries']:,} answers of Vault from {counted['from']} to {counted['to']}.")
    for name, rows in answers.items():
        left = iter(rows)
        shown, more = list(itertools.islice(left, _MOST_ROWS)), sum(1 for _ in left)
        if shown or name in ("reads", "alarms", "outlived"):
            print(f"\n{_TITLES[name]}: {len(shown) + more or 'none'}")
        if shown:
            output.show(shown, form)
        if more:
            print(f"… and {more:,} more: give --path or --team, or --output json.")


def _print_report(report: Mapping[str, Any], form: str) -> None:
    if form != "table":
        output.document(dict(report), form)
        return
    for name, value in report.items():
        is_rows = isinstance(value, list) and value and isinstance(value[0], dict)
        print(f"{name}: {'' if is_rows else output.cell(value) or 'nothing'}")
        if is_rows:
            output.show(value, form)
            print()


def _tell_oddities(files: audit.LogFiles) -> None:
    message = {
        "torn lines (of a file that is being written?)": files.torn,
        "foreign lines, which are no entries of an audit device": files.foreign,
        **{f"entries with the unknown field {name}": number for name, number in files.unknown_fields.items()},
    }
    for what, number in message.items():
        if number:
            print(f"{number:,} {what}.", file=sys.stderr)
