"""How Airflow finds the page: its `airflow.plugins` entry point, which every Airflow process loads."""

from __future__ import annotations

from typing import Any

from airflow.plugins_manager import AirflowPlugin

URL_PREFIX = "/k8s-vault"


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Serve the page (ASGI). FastAPI loads with the first request: workers load this plugin too."""
    from airflow_k8s_vault.page.application import application

    await application()(scope, receive, send)


class K8sVaultPlugin(AirflowPlugin):
    """The page in the navigation, and a tab at each task instance.

    Frames of Airflow's own UI (`external_views`), not its React plugin API, which Airflow calls experimental:
    docs/decisions/0007.
    """

    name = "k8s_vault"
    fastapi_apps = [{"app": app, "url_prefix": URL_PREFIX, "name": "Pods and Vault"}]
    external_views = [
        {
            "name": "Pods and Vault",
            "href": f"{URL_PREFIX}/teams",
            "destination": "nav",
            "category": "browse",
            "url_route": "k8s-vault",
        },
        {
            "name": "Pod and credentials",
            "href": URL_PREFIX + "/task?dag_id={DAG_ID}&run_id={RUN_ID}&task_id={TASK_ID}&map_index={MAP_INDEX}",
            "destination": "task_instance",
            "url_route": "pod-and-credentials",
        },
    ]
