"""The page answers whom Airflow's auth manager lets in, with what that user may see, and nobody else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from airflow_k8s_vault.page.application import application
from tests.page.server import ApiServer

TASK = "/task{}?dag_id=payments_load&run_id=manual&task_id=load"
PATHS = {
    "/": "/",
    "/static/{name}": "/static/page.css",
    "/teams": "/teams",
    "/teams.json": "/teams.json",
    "/teams/{team}": "/teams/payments",
    "/templates/{team}/{name}": "/templates/payments/etl",
    "/templates/{team}/{name}/preview": "/templates/payments/etl/preview",
    "/templates/{team}/{name}.json": "/templates/payments/etl.json",
    "/secrets": "/secrets",
    "/secrets.json": "/secrets.json",
    "/secrets.csv": "/secrets.csv",
    "/task": TASK.format(""),
    "/task.json": TASK.format(".json"),
}
TASKS = {"data-science": 1, "payments": 2}
OF_PAYMENTS_ALONE = [path for path in PATHS.values() if "payments" in path]
PAGES = [path for path in PATHS.values() if not path.endswith((".json", ".csv", ".css")) and path != "/"]


def test_every_route_of_the_application_is_walked() -> None:
    assert set(PATHS) == {route.path for route in application().routes}  # type: ignore[attr-defined]


def test_no_route_changes_anything() -> None:
    methods = {method for route in application().routes for method in route.methods}  # type: ignore[attr-defined]

    assert {"GET"} == methods


@pytest.mark.parametrize("path", PATHS.values())
def test_who_is_not_logged_in_gets_nothing(server: ApiServer, path: str) -> None:
    answer = server.get(path, user=None)

    assert answer.status == 401
    assert "payments" not in answer.text


@pytest.mark.parametrize("user", ["nobody", "of_science"])
@pytest.mark.parametrize("path", OF_PAYMENTS_ALONE)
def test_another_teams_user_and_one_without_rights_get_nothing_of_a_team(
    server: ApiServer, path: str, user: str
) -> None:
    answer = server.get(path, user)

    assert answer.status in (403, 404)
    assert "airflow-payments" not in answer.text
    assert "partner" not in answer.text


@pytest.mark.parametrize(
    ("user", "teams"),
    [
        ("admin", ["data-science", "payments"]),
        ("of_payments", ["payments"]),
        ("of_science", ["data-science"]),
        ("nobody", []),
    ],
)
def test_a_user_sees_the_own_teams_with_their_tasks_alone(server: ApiServer, user: str, teams: list[str]) -> None:
    listed = server.get("/teams.json", user).json()
    rows = server.get("/secrets.json", user).json()["rows"]

    assert teams == [team["name"] for team in listed]
    assert set(teams) == {row["team"] for row in rows}
    assert [TASKS[name] for name in teams] == [team["tasks"] for team in listed]


@pytest.mark.parametrize("path", PAGES)
def test_a_page_runs_no_script_but_those_of_its_own_files(server: ApiServer, path: str) -> None:
    answer = server.get(path)

    assert answer.status == 200
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not re.findall(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=|javascript:", answer.text)


def test_a_team_that_is_not_there_and_one_that_is_not_ones_own_look_the_same(server: ApiServer) -> None:
    absent = server.get("/teams/absent", "of_science")
    others = server.get("/teams/payments", "of_science")

    assert absent.status == others.status == 404
    assert absent.text == others.text.replace("payments", "absent")


def test_the_program_s_twin_of_the_template_has_the_manifest_of_the_page(server: ApiServer) -> None:
    twin = server.get("/templates/payments/etl.json?v.memory=1Gi").json()

    assert "memory: 1Gi" in twin["manifest"]
    assert 'template_vars={"memory": "1Gi"}' in twin["code"]


def test_a_wrong_variable_is_told_beside_its_field_in_the_words_of_the_import_check(server: ApiServer) -> None:
    part = server.get("/templates/payments/etl/preview?v.memory=9Gi&v.cpu=lots").text

    assert "memory: &#39;9Gi&#39; is more than the maximum of 4Gi." in part
    assert "cpu: &#39;lots&#39; is no quantity (such as 500m or 2Gi)." in part


def test_a_variable_that_the_template_has_not_is_refused(server: ApiServer) -> None:
    assert "no variable of this template" in server.get("/templates/payments/etl?v.nope=1").text


def test_what_a_task_gets_is_searched_filtered_sorted_and_paged(server: ApiServer) -> None:
    rows = server.get("/secrets.json?q=partner+load&sort=-task_id").json()["rows"]

    assert ["load", "check"] == [row["task_id"] for row in rows]
    assert {"/vault/secrets/partner.key"} == {row["target"] for row in rows}
    assert ["agent", "secret"] == [row["delivery"] for row in rows]


def test_a_path_shows_all_who_get_it(server: ApiServer) -> None:
    rows = server.get("/secrets.json?path=database/creds/payments-ro").json()["rows"]

    assert [("PGPASSWORD", "password"), ("PGUSER", "username")] == [(row["target"], row["key"]) for row in rows]


@pytest.mark.parametrize(
    "odd", ["page=-1", "page=x", "page=99999999999999999999", "sort=nope", "q=%00", "team=%F0"]
)
def test_odd_parameters_are_left_out(server: ApiServer, odd: str) -> None:
    assert server.get(f"/secrets?{odd}").status == 200


def test_a_task_that_has_not_run_shows_what_its_dag_declares(server: ApiServer) -> None:
    page = server.get(TASK.format("")).text

    assert "payments/etl" in page
    assert "database/creds/payments-ro" in page
    assert "Nothing is recorded yet" in page


def test_airflows_ui_leaves_a_placeholder_where_a_task_is_not_mapped(server: ApiServer) -> None:
    assert server.get(f"{TASK.format('.json')}&map_index=%7BMAP_INDEX%7D").json()["map_index"] == -1
    assert server.get(f"{TASK.format('.json')}&map_index=3").json()["map_index"] == 3


def test_a_mapped_task_shows_what_each_of_its_instances_gets(server: ApiServer) -> None:
    (row,) = server.get("/secrets.json?team=data-science").json()["rows"]

    assert ("secret/data-science/registry", "TOKEN", "token") == (row["path"], row["target"], row["key"])


def test_a_template_that_counts_to_a_billion_ends_with_a_sentence(server: ApiServer, templates_dir: Path) -> None:
    endless = templates_dir / "payments" / "endless.yaml.j2"
    loop = "{% for a in range(99999) %}{% for b in range(99999) %}{% set x = b %}{% endfor %}{% endfor %}"
    endless.write_text(f"{loop}\napiVersion: v1\n")
    try:
        answer = server.get("/templates/payments/endless")
    finally:
        endless.unlink()

    assert answer.status == 200
    assert "it loops too often, or over too much" in answer.text


def test_a_template_that_is_a_link_out_of_the_folder_is_described_by_a_sentence(
    server: ApiServer, templates_dir: Path, tmp_path: Path
) -> None:
    outside, link = tmp_path / "outside", templates_dir / "payments" / "linked.yaml.j2"
    outside.write_text("{# hunter2 #}")
    link.symlink_to(outside)
    try:
        answer = server.get("/teams/payments")
    finally:
        link.unlink()

    assert answer.status == 200
    assert "is a link that leaves" in answer.text
    assert "hunter2" not in answer.text
