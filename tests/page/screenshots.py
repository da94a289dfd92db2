"""`make screenshots`: the pictures of the page in README.md, taken of a real Airflow."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from airflow_k8s_vault import causes
from tests.page import browser
from tests.page.server import ApiServer
from tests.page.test_task_tab import PATH, RECORD, RUN, WRITE

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "docs" / "images"
# Name, path in Airflow, theme, and what has to be on it.
PICTURES = (
    ("template.png", "/k8s-vault/templates/payments/etl?v.memory=1Gi", "light", "Where each field comes from"),
    ("who-gets-what.png", "/k8s-vault/secrets", "light", "Who gets what"),
    ("failed-task.png", f"/k8s-vault/task?{PATH}", "dark", "Why it failed"),
)


def main() -> None:
    """Take the pictures."""
    IMAGES.mkdir(exist_ok=True)
    settings = {
        "AIRFLOW__K8S_VAULT__TEMPLATES_DIR": str(ROOT / "pod_templates"),
        "AIRFLOW__K8S_VAULT__VAULT_ADDR": "https://vault.invalid:8200",
        "KUBECONFIG": "/nonexistent/kubeconfig",
    }
    with tempfile.TemporaryDirectory() as folder:
        server = ApiServer(Path(folder), Path(__file__).parent / "dags", settings)
        try:
            failure = "Vault refused role 'payments' on auth/kubernetes (403 permission denied)."
            failure += "\n  The pod ran as service account 'airflow-payments' in namespace 'team-payments', "
            failure += f"token audience 'vault'.{causes.run('VAULT-LOGIN', 'payments')}"
            server.run(WRITE, "payments_load", RUN, json.dumps(RECORD | {"failure": failure}))
            with browser.chromium() as chromium:
                context = chromium.new_context(viewport={"width": 1280, "height": 800})
                page = browser.log_in(context, server)
                for name, path, theme, words in PICTURES:
                    page.evaluate(f"localStorage.setItem('theme', '{theme}')")
                    page.goto(f"{server.url}{path}")
                    page.wait_for_selector(f"text={words}")
                    page.screenshot(path=IMAGES / name)
        finally:
            server.stop()


if __name__ == "__main__":
    main()
