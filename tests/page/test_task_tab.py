"""The tab of a task instance: what its task wrote down, shown and never followed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.page import browser
from tests.page.server import ApiServer

RUN = "manual__2026-01-31T10:00:00+00:00"
PATH = f"dag_id=payments_load&run_id={RUN.replace('+', '%2B')}&task_id=load"
RECORD = {
    "pod_name": "load-abc",
    "namespace": "team-payments",
    "try_number": 2,
    "template_version": "0123456789ab",
    "delivery": "agent",
    "role": "payments",
    "credentials": [
        {
            "path": "secret/payments/partner",
            "target": "/vault/secrets/partner.key",
            "container": "base",
            "key": "k",
        }
    ],
    "manifest": {"kind": "Pod", "spec": {"containers": [{"name": "base", "image": "postgres:18"}]}},
    "steps": [["created", "2026-01-31T10:00:00Z"], ["agent started", "2026-01-31T10:00:01Z"]],
    "failure": "Vault refused role 'payments' on auth/kubernetes (403 permission denied).\n  <b>not bold</b>",
}
# Writes a run of the DAG and the record of its task into Airflow's database, as the execution API does.
WRITE = """\
import json, sys
from datetime import UTC, datetime
from airflow.models.dagrun import DagRun
from airflow.models.dag_version import DagVersion
from airflow.models.task_state_store import TaskStateStoreModel
from airflow.utils.session import create_session
from airflow.utils.types import DagRunType

dag_id, run_id, text = sys.argv
with create_session() as session:
    run = session.query(DagRun).filter_by(dag_id=dag_id, run_id=run_id).one_or_none()
    if run is None:
        run = DagRun(dag_id=dag_id, run_id=run_id, run_type=DagRunType.MANUAL, run_after=datetime.now(UTC))
        session.add(run)
        session.flush()
    session.query(TaskStateStoreModel).filter_by(dag_run_id=run.id).delete()
    row = TaskStateStoreModel(dag_run_id=run.id, task_id="load", map_index=-1, key="k8s_vault_pod", dag_id=dag_id)
    row.run_id, row.value = run_id, text
    session.add(row)
"""


def write(server: ApiServer, record: Any) -> None:
    server.run(WRITE, "payments_load", RUN, record if isinstance(record, str) else json.dumps(record))


def test_it_shows_pod_credentials_steps_and_why_it_failed(server: ApiServer) -> None:
    write(server, RECORD)

    page = server.get(f"/task?{PATH}").text
    twin = server.get(f"/task.json?{PATH}").json()

    assert "Vault refused role &#39;payments&#39; on auth/kubernetes (403 permission denied)." in page
    assert "&lt;b&gt;not bold&lt;/b&gt;" in page
    for text in ("load-abc", "0123456789ab", "secret/payments/partner", "agent started", "postgres:18"):
        assert text in page
    assert [{"name": "created", "at": "2026-01-31T10:00:00Z"}] == twin["steps"][:1]
    assert RECORD["failure"] == twin["failure"]


def test_another_teams_user_does_not_see_it(server: ApiServer) -> None:
    write(server, RECORD)

    answer = server.get(f"/task?{PATH}", "of_science")

    assert answer.status == 403
    assert "load-abc" not in answer.text


@pytest.mark.parametrize(
    "record",
    ["no JSON", "[]", '{"steps": "x", "credentials": 7, "manifest": []}', '{"steps": [[1]], "credentials": [3]}'],
)
def test_a_record_that_somebody_broke_breaks_no_page(server: ApiServer, record: str) -> None:
    write(server, record)

    assert server.get(f"/task?{PATH}").status == 200


def test_a_record_that_names_another_teams_pod_leads_nobody_there(server: ApiServer) -> None:
    """The pod is looked for by the labels of this task instance, in the namespace of its team's own file."""
    write(server, RECORD | {"namespace": "team-data-science", "pod_name": "theirs"})

    twin = server.get(f"/task.json?{PATH}").json()

    assert "Not seen: the API server has no account in a cluster." == twin["live"]


@pytest.fixture
def failed_task(server: ApiServer) -> Iterator[Any]:
    browser.require_chromium()
    write(server, RECORD)
    with browser.chromium() as chromium:
        context = chromium.new_context(viewport={"width": 1280, "height": 900})
        page = browser.log_in(context, server)
        page.goto(f"{server.url}/k8s-vault/task?{PATH}")
        yield page


def test_a_person_reads_why_it_failed_at_the_top(failed_task: Any, tmp_path: Path) -> None:
    note = failed_task.locator(".note.error")

    assert "403 permission denied" in note.inner_text()
    assert note.bounding_box()["y"] < 200
