"""Where the canary, a value that only one pod may see, is looked for after the runs.

Needed by the demo, and by the canary tests, which look on more surfaces.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import quote, quote_plus

from k8s_vault_devcluster.demo.environment import TEAMS, AirflowEnvironment
from k8s_vault_devcluster.demo.pods import PodRecord
from k8s_vault_devcluster.postgres import BIN

_URL_SAFE = str.maketrans("+/", "-_")


@dataclass(frozen=True)
class Surface:
    """One place that was searched: how many things it holds, and in which of them the canary was."""

    name: str
    searched: int
    found_in: list[str]


def forms(value: str) -> set[str]:
    """Return the value as it is, and as JSON, base64, hexadecimal digits, a URL or Python's repr would show it.

    Base64 also where the value is only a part of what was encoded: what it becomes then depends on its place.

    >>> sorted(forms("a b!"))
    ['61206221', 'EgYi', 'YSBiI', 'a b!', 'a%20b%21', 'a+b%21', 'hIGIh']
    """
    content = value.encode()
    in_urls = {quote(value), quote(value, safe=""), quote_plus(value)}
    plain = {value, *in_urls, json.dumps(value)[1:-1], repr(value)[1:-1]}
    encoded = {_base64_inside(content, place) for place in range(3)}
    encoded |= {text.translate(_URL_SAFE) for text in encoded}
    return plain | encoded | {content.hex(), content.hex().upper()}


def _base64_inside(content: bytes, place: int) -> str:
    """Return the characters that base64 of `place` other bytes and then these has in any case."""
    encoded = base64.b64encode(bytes(place) + content).decode()
    whole = (place + len(content)) * 8 // 6
    return encoded[-(-place * 8 // 6) : whole]


def found_in(places: Mapping[str, str], values: Iterable[str]) -> list[str]:
    """Return the places whose text holds one of the values, in any of its forms."""
    expected = {form for value in values for form in forms(value)}
    texts: dict[str, list[str]] = {}
    for place, text in places.items():
        # A pod has many states and few specs: each text is searched once.
        texts.setdefault(text, []).append(place)
    return [place for text, names in texts.items() if any(form in text for form in expected) for place in names]


def search(environment: AirflowEnvironment, record: PodRecord, values: Iterable[str] = ()) -> list[Surface]:
    """Look for the canary, and other `values`, wherever Airflow, Kubernetes or another pod could show them."""
    texts = {
        "pod specs and states": {f"state {n}": json.dumps(pod) for n, pod in enumerate(record.states)},
        "events, Secrets and ConfigMaps": _objects(environment),
        "Airflow's database": {"dump": _dump(environment)},
        "Airflow's logs": {
            str(path.relative_to(environment.airflow.home)): path.read_text(errors="replace")
            for path in environment.airflow.home.rglob("*")
            if path.is_file()
        },
        "the other team's pod": _other_pod(environment),
    }
    return [
        Surface(name, len(places), found_in(places, [environment.canary, *values]))
        for name, places in texts.items()
    ]


def wait_for_no_roles(environment: AirflowEnvironment, timeout_seconds: float = 10) -> list[str]:
    """Return the PostgreSQL logins that are left `timeout_seconds` after the last task; [] as soon as none is."""
    deadline = time.monotonic() + timeout_seconds
    while (left := environment.roles_left()) and time.monotonic() < deadline:
        time.sleep(0.2)
    return left


def _objects(environment: AirflowEnvironment) -> dict[str, str]:
    core, result = environment.core(), {}
    for namespace in (f"team-{team}" for team in TEAMS):
        result[f"{namespace}: events"] = str(core.list_namespaced_event(namespace))
        result[f"{namespace}: Secrets"] = str(core.list_namespaced_secret(namespace))
        result[f"{namespace}: ConfigMaps"] = str(core.list_namespaced_config_map(namespace))
    return result


def _dump(environment: AirflowEnvironment) -> str:
    server = environment.postgres
    place = ["--host", server.host, "--port", str(server.port), "--username", "postgres", "--dbname", "airflow"]
    # Not in an argument: all users of the machine could read it.
    variables = {**os.environ, "PGPASSWORD": server.password}
    command = [str(BIN / "pg_dump"), *place, "--inserts"]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=variables).stdout


def _other_pod(environment: AirflowEnvironment) -> dict[str, str]:
    """Return what task prove-isolation printed: every variable that its pod has."""
    logs = environment.airflow.logs.rglob("*task_id=prove-isolation*/**/*.log")
    return {path.name: path.read_text(errors="replace") for path in logs}
