"""What a person sees: in a real browser, through Airflow's own API server and login form."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.page import browser
from tests.page.server import ApiServer

PAGES = [
    "/teams",
    "/teams/payments",
    "/teams/hostile",
    "/templates/payments/etl",
    "/templates/data-science/python?v.threads=99",
    "/templates/hostile/python",
    "/secrets",
    "/task?dag_id=payments_load&run_id=manual&task_id=load",
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
def server(tmp_path_factory: pytest.TempPathFactory, templates_dir: Path) -> Iterator[ApiServer]:
    browser.require_chromium()
    hostile = templates_dir / "hostile"
    hostile.mkdir(exist_ok=True)
    team = (templates_dir / "payments" / "team.yaml").read_text()
    (hostile / "team.yaml").write_text(team.replace("payments", "hostile"))
    (hostile / "python.yaml.j2").write_text(HOSTILE_TEMPLATE)
    (hostile / "python.vars.yaml").write_text(HOSTILE_VARIABLES)
    settings = {
        "AIRFLOW__K8S_VAULT__TEMPLATES_DIR": str(templates_dir),
        "AIRFLOW__K8S_VAULT__VAULT_ADDR": "https://vault.invalid:8200",
        "KUBECONFIG": "/nonexistent/kubeconfig",
    }
    server = ApiServer(tmp_path_factory.mktemp("airflow"), Path(__file__).parent / "dags", settings)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def context(server: ApiServer) -> Iterator[Any]:
    with browser.chromium() as chromium:
        context = chromium.new_context()
        browser.log_in(context, server).close()
        yield context


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
    page: Any, server: ApiServer, theme: str
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page.add_init_script(f"localStorage.setItem('theme', '{theme}')")
    for path in PAGES:
        page.goto(f"{server.url}/k8s-vault{path}")

        assert theme == page.evaluate("document.documentElement.dataset.theme")
        for width in (1280, 390):
            page.set_viewport_size({"width": width, "height": 900})
            overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            serious = [
                f"{path}: {result['id']}: {result['nodes'][0]['html']}"
                for result in Axe().run(page).response["violations"]
                if result["impact"] in ("serious", "critical")
            ]

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


def test_who_gets_a_path_is_found_by_typing(page: Any, server: ApiServer) -> None:
    page.goto(f"{server.url}/k8s-vault/secrets")
    page.fill("#q", "PGPASSWORD")
    page.wait_for_selector("text=1 row ·")

    assert "database/creds/payments-ro" in page.locator("#rows").inner_text()


def test_the_page_is_walked_by_keyboard(page: Any, server: ApiServer) -> None:
    page.goto(f"{server.url}/k8s-vault/teams")
    page.keyboard.press("Tab")

    assert "Skip to the content" == page.evaluate("document.activeElement.textContent")

    for _ in range(3):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**/teams/data-science")
