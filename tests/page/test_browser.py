"""What a person sees: in a real browser, through Airflow's own API server and login form."""

from __future__ import annotations

import os
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote

import pytest
from kubernetes import client

from tests.page import browser
from tests.page.demo import Demo
from tests.page.server import ApiServer

PAGES = [
    "/teams",
    "/teams/payments",
    "/teams/hostile",
    "/templates/payments/etl",
    "/templates/data-science/python?v.threads=99",
    "/templates/hostile/python",
    "/secrets",
    "/task?{failed}",
    "/task?{running}",
]
# Whoever writes a template chooses these.
MARKUP = "<script>window.hacked=1</script><img src=x onerror=window.hacked=1>"
HOSTILE_TEMPLATE = f"{{# {MARKUP} \u202e desrever {'x' * 10_000} #}}\n" + '{% extends "base.yaml.j2" %}\n'
HOSTILE_VARIABLES = f"""\
word:
  description: '{MARKUP} {"y" * 10_000}'
  type: string
  default: '"><svg onload=window.hacked=1>'
  enum: ['"><svg onload=window.hacked=1>', 'javascript:window.hacked=1', "\u202e"]
"""


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """The demo's DAGs, of which one has failed a task; and a team whose every name is an attack."""
    browser.require_chromium()
    demo = Demo(tmp_path_factory.mktemp("demo"))
    try:
        hostile = demo.templates_dir / "hostile"
        hostile.mkdir()
        team = (demo.templates_dir / "payments" / "team.yaml").read_text()
        (hostile / "team.yaml").write_text(team.replace("payments", "hostile"))
        (hostile / "python.yaml.j2").write_text(HOSTILE_TEMPLATE)
        (hostile / "python.vars.yaml").write_text(HOSTILE_VARIABLES)
        demo.start("kubernetes_sample", "waits")
        yield demo
    finally:
        demo.close()


@pytest.fixture(scope="module")
def server(demo: Demo) -> ApiServer:
    return demo.server


@pytest.fixture(scope="module")
def context(server: ApiServer) -> Iterator[Any]:
    with browser.chromium() as chromium:
        context = chromium.new_context()
        browser.log_in(context, server).close()
        yield context


@pytest.fixture(scope="module")
def running(demo: Demo) -> str:
    """The tab of a task whose pod has its credentials and runs."""
    demo.pod("waits", "runs", lambda pod: any(status.started for status in pod.status.container_statuses or ()))
    return demo.task("waits", "runs")


@pytest.fixture
def page(context: Any) -> Iterator[Any]:
    """A new page that fails the test where its console shows an error."""
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    yield page
    page.close()
    assert not errors


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_page_is_readable_for_all_in_both_themes_and_widths(
    page: Any, demo: Demo, server: ApiServer, running: str, theme: str
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page.add_init_script(f"localStorage.setItem('theme', '{theme}')")
    failed = demo.failed("kubernetes_sample", "failing-task")
    for path in (path.format(failed=failed, running=running) for path in PAGES):
        page.goto(f"{server.url}/k8s-vault{path}")
        assert theme == page.evaluate("document.documentElement.dataset.theme")
        for width in (1280, 390):
            page.set_viewport_size({"width": width, "height": 900})
            overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            # What it looks at differs by theme and by width, and it takes a second a page: each of both once.
            looks = (width > 800) == (theme == "light")
            serious = [
                f"{path}: {result['id']}: {result['nodes'][0]['html']}"
                for result in (Axe().run(page).response["violations"] if looks else ())
                if result["impact"] in ("serious", "critical")
            ]

            if pictures := os.environ.get("K8S_VAULT_TEST_PICTURES"):
                name = re.sub("[^a-z]+", "-", path.split("?")[0] + path.rpartition("task_id")[2]).strip("-")
                page.screenshot(path=Path(pictures) / f"{name}-{width}-{theme}.png", full_page=True)
            assert overflow <= 0, f"{path} is {overflow} pixels wider than {width}"
            assert [] == serious


def test_what_a_template_says_is_never_markup(page: Any, server: ApiServer) -> None:
    for path in ("/teams", "/teams/hostile", "/templates/hostile/python"):
        page.goto(f"{server.url}/k8s-vault{path}")

        assert page.evaluate("window.hacked") is None
        assert page.locator("img, svg").count() == 0
    assert MARKUP in page.locator("p.lead").inner_text()


def test_a_wrong_value_is_told_beside_its_field_and_a_right_one_gives_a_pod(page: Any, server: ApiServer) -> None:
    page.goto(f"{server.url}/k8s-vault/templates/payments/etl")
    page.fill("#v-memory", "9Gi")
    page.wait_for_selector("text=is more than the maximum of 4Gi")

    assert page.locator("pre.yaml").count() == 0

    page.fill("#v-memory", "1Gi")
    page.wait_for_selector("pre.yaml >> text=1Gi")

    assert page.locator("#v-memory-error").inner_text() == ""


def test_the_copied_code_is_a_task_that_imports(page: Any, server: ApiServer) -> None:
    page.goto(f"{server.url}/k8s-vault/templates/payments/etl")
    page.fill("#v-memory", "1Gi")
    page.wait_for_selector("#dag-code >> text=1Gi")
    page.evaluate("navigator.clipboard || null")
    page.click("button.copy")
    page.wait_for_selector("button.copy:has-text('Copied')")
    copied = page.evaluate("getSelection().toString()")
    indented = textwrap.indent(copied.partition("\n\n")[2], "    ")
    dag = (
        "from airflow.sdk import DAG\nfrom airflow_k8s_vault import VaultPodOperator\n\n"
        f"with DAG('pasted', schedule=None) as dag:\n{indented}\nprint(dag.task_ids)\n"
    )

    assert "['etl']" in server.run(dag)


def test_airflows_navigation_opens_the_page_and_the_page_opens_a_dag(page: Any, server: ApiServer) -> None:
    page.goto(f"{server.url}/plugin/k8s-vault")
    frame = page.frame_locator("iframe")
    frame.locator("nav >> text=Who gets what").click()
    frame.locator("a.of-airflow >> text=payments_load").first.click()

    page.wait_for_url(f"{server.url}/dags/payments_load**")


def test_a_failed_tasks_tab_in_airflows_own_page_says_why_at_the_top(
    page: Any, demo: Demo, server: ApiServer
) -> None:
    query = parse_qs(demo.failed("kubernetes_sample", "failing-task"))
    run_id = quote(query["run_id"][0], safe="")
    page.goto(f"{server.url}/dags/kubernetes_sample/runs/{run_id}/tasks/failing-task")
    page.click("text=Pod and credentials")
    note = page.frame_locator("iframe").locator(".note.error")

    assert "ubuntu:24.04' has no executable 'python'" in note.inner_text()
    assert note.bounding_box()["y"] < 500


def test_who_gets_a_path_is_found_by_typing(page: Any, server: ApiServer) -> None:
    page.goto(f"{server.url}/k8s-vault/secrets")
    page.fill("#q", "PGPASSWORD")
    page.wait_for_selector("text=1 row ·")

    assert "database/creds/payments-rw" in page.locator("#rows").inner_text()


def test_the_page_is_walked_by_keyboard(page: Any, server: ApiServer) -> None:
    page.goto(f"{server.url}/k8s-vault/teams")
    page.keyboard.press("Tab")

    assert "Skip to the content" == page.evaluate("document.activeElement.textContent")

    for _ in range(3):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**/teams/data-science")


# The tab of a task that runs: from the cluster, as Airflow's worker may look.


def test_the_tab_of_a_running_pod_is_read_from_the_cluster(demo: Demo, server: ApiServer, running: str) -> None:
    page, twin = server.get(f"/task?{running}").text, server.get(f"/task.json?{running}").json()

    assert "seen" == twin["live"]
    assert ["created", "scheduled", "agent started", "credentials ready", "main process started"] == [
        step["name"] for step in twin["steps"]
    ]
    assert "Scheduled" == twin["events"][0]["reason"]
    assert "Started" == twin["events"][-1]["reason"]
    assert [("secret/payments/partner", "/vault/secrets/partner.key")] == [
        (given["path"], given["target"]) for given in twin["credentials"]
    ]
    assert "Pod" == twin["record"]["manifest"]["kind"]
    assert "postgres:18" in page
    assert demo.servers.canary not in page + str(twin)


def test_the_agents_last_words_of_a_pod_that_was_kept_are_shown(
    demo: Demo, server: ApiServer, running: str
) -> None:
    tab = demo.task("waits", "missing")
    page, twin = server.get(f"/task?{tab}").text, server.get(f"/task.json?{tab}").json()

    assert "There is no secret at 'secret/payments/absent'" in twin["failure"]
    assert "(see VAULT-PATHS)" in twin["failure"]
    assert "no secret exists at secret/data/payments/absent" in page


def test_where_the_api_server_has_no_right_the_pod_is_not_seen_and_the_record_is(
    demo: Demo, server: ApiServer, running: str
) -> None:
    rbac = client.RbacAuthorizationV1Api(demo.servers.api)
    binding = rbac.read_namespaced_role_binding("airflow-worker", "team-payments")
    rbac.delete_namespaced_role_binding("airflow-worker", "team-payments")
    try:
        twin = server.get(f"/task.json?{running}").json()
    finally:
        binding.metadata.resource_version = None
        rbac.create_namespaced_role_binding("team-payments", binding)

    assert "Not seen: the cluster answered the API server's account with 403 Forbidden." == twin["live"]
    assert "runs-" in twin["record"]["pod_name"]


def test_a_cluster_that_hangs_keeps_no_tab_waiting(demo: Demo, server: ApiServer, running: str) -> None:
    server.get(f"/task.json?{running}")
    with demo.servers.hanging():
        # It hangs until this block is left: whatever answers here has a limit of its own.
        twin = server.get(f"/task.json?{running}").json()

    assert twin["live"].startswith("Not seen: the cluster could not be asked (")
