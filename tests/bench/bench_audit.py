"""`airflow k8s-vault audit` on a gigabyte of audit file: streaming, in bounded memory."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.bench.row import Row

SHIPPED = Path(__file__).parents[2] / "pod_templates"
BYTES, SECONDS, MEGABYTES = 1_000_000_000, 60, 500
# A task of two reads, as OpenBao 2.7 writes it: see `entries`.
_READS = ("secret/data/payments/partner", "database/creds/payments-rw")
_BEGIN = datetime(2026, 1, 31, tzinfo=UTC)

# Run in a process of its own, whose memory is what is measured. Tasks come from a list, not from an Airflow.
AUDIT = """
import resource, sys, time
from argparse import Namespace
from airflow_k8s_vault import audit
from airflow_k8s_vault.commands import audit as command

class Api:
    def __init__(self, url, token):
        pass

    def task_runs(self, since, until):
        begin, paths = since.timestamp(), frozenset(sys.argv[4:])
        for number in range(int(sys.argv[3])):
            at = begin + 2 * number
            yield audit.TaskRun(
                "load", "each", "r", 1, number, "payments", "", at - 1, at + 1, (at - 0.5, at + 0.5), paths
            )

audit.AirflowApi = Api
arguments = Namespace(files=[sys.argv[1]], templates_dir=sys.argv[2], output="json", api="-", no_airflow=False)
vars(arguments).update(dict.fromkeys(("since", "team", "path", "report", "dags")))
begin = time.perf_counter()
command.run(arguments)
print(time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000, file=sys.stderr)
"""


def entries(number: int) -> Iterator[dict[str, Any]]:
    """The lines of one task: a login, a renewal, two reads and a revocation, each as request and as response."""
    at = _BEGIN + timedelta(seconds=number * 2)
    accessor = f"hmac-sha256:{number:064x}"
    metadata = {
        "role": "payments",
        "service_account_name": "airflow-payments",
        "service_account_namespace": "team-payments",
        "service_account_secret_name": "",
        "service_account_uid": "68b7cb1f-0e99-4e90-ac07-d0b964ef6ded",
    }
    auth = {
        "client_token": accessor,
        "accessor": accessor,
        "display_name": "kubernetes-team-payments-airflow-payments",
        "policies": ["airflow-payments", "default"],
        "token_policies": ["airflow-payments", "default"],
        "policy_results": {
            "allowed": True,
            "granting_policies": [{"name": "airflow-payments", "namespace_id": "root", "type": "acl"}],
        },
        "metadata": metadata,
        "entity_id": "d5aa8114-f5c1-97cf-6ddb-0fcda2064673",
        "token_type": "service",
        "token_ttl": 600,
        "token_issue_time": at.isoformat(),
    }
    steps = [("update", "auth/kubernetes/login", None), ("update", "auth/token/renew-self", auth)]
    steps += [("read", path, auth) for path in _READS] + [("update", "auth/token/revoke-self", auth)]
    for step, (operation, path, own) in enumerate(steps):
        when = (at + timedelta(milliseconds=step * 10)).strftime("%Y-%m-%dT%H:%M:%S.%f000Z")
        request = {
            "id": "fbd056d8-18b4-8e8c-c23c-85c6159b24ec",
            "client_id": "0DHqvq2D77kL2/JTPSZkTMJbkFVmUu0TzMi0jiXcFy8=",
            "operation": operation,
            "mount_point": f"{path.partition('/')[0]}/",
            "mount_type": "kv" if path.startswith("secret") else "database",
            "mount_accessor": "kv_8660fe46",
            "mount_running_version": "v2.7.2+builtin.bao",
            "mount_class": "secret",
            "client_token": accessor,
            "client_token_accessor": accessor,
            "namespace": {"id": "root"},
            "path": path,
            "remote_address": "10.0.0.1",
            "remote_port": 40262,
        }
        response: dict[str, Any] = {"mount_point": "secret/", "data": {"data": {"k": accessor}, "metadata": {}}}
        if path.startswith("auth/") and "revoke" not in path:
            response["auth"] = auth
        if path.startswith("database"):
            response["secret"] = {"lease_id": f"{path}/bJNoz0aUzaKDfUAMC2ftvL0Z"}
        yield {"time": when, "type": "request", "auth": own, "request": request}
        yield {"time": when, "type": "response", "auth": own, "request": request, "response": response}


def write(file: Path, size: int) -> int:
    """Write an audit file of about that many bytes, and return how many tasks are in it."""
    one = "".join(json.dumps(entry, separators=(",", ":")) + "\n" for entry in entries(7))
    tasks = size // len(one)
    template = one.replace(f"{7:064x}", "\0")
    first = _BEGIN + timedelta(seconds=14)
    with file.open("w") as out:
        for number in range(tasks):
            at = _BEGIN + timedelta(seconds=number * 2)
            text = template.replace("\0", f"{number:064x}")
            out.write(text.replace(first.strftime("%Y-%m-%dT%H:%M:%S"), at.strftime("%Y-%m-%dT%H:%M:%S")))
    return tasks


def run() -> list[Row]:
    folder = Path(tempfile.mkdtemp())
    try:
        tasks = write(folder / "audit.log", BYTES)
        declared = [_READS[0].replace("/data/", "/"), _READS[1]]
        words = [str(folder / "audit.log"), str(SHIPPED), str(tasks), *declared]
        with (folder / "answers.json").open("w") as answers:
            done = subprocess.run(
                [sys.executable, "-c", AUDIT, *words],
                stdout=answers,
                stderr=subprocess.PIPE,
                text=True,
                check=True,
            )
        result = json.loads((folder / "answers.json").read_text())
    finally:
        shutil.rmtree(folder)
    assert (2 * tasks, []) == (len(result["reads"]), result["alarms"])
    assert {"time"} == {row["matched by"] for row in result["reads"]}
    seconds, megabytes = map(float, done.stderr.splitlines()[-1].split())
    work = f"audit of 1 GB: the reads of {tasks:,} tasks"
    return [
        Row(work, None, seconds, "s", f"{SECONDS} s", seconds < SECONDS),
        Row("its memory", None, round(megabytes), "MB", f"{MEGABYTES} MB", megabytes < MEGABYTES),
    ]
