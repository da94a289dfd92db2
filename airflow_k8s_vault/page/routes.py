"""The pages and their twins for programs: each `….json` and `….csv` holds what its page shows."""

from __future__ import annotations

import csv
import io
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse, Response
from pydantic import BeforeValidator

from airflow_k8s_vault.page import access, catalog, form, html, listing, preview, task_instance, usage
from airflow_k8s_vault.page.access import User

router = APIRouter()


def _map_index(given: object) -> object:
    """Airflow's UI leaves the placeholder where it is for a task that is not mapped."""
    return -1 if given in ("", "{MAP_INDEX}") else given


MapIndex = Annotated[int, BeforeValidator(_map_index)]


@router.get("/")
def start(request: Request) -> Response:
    return RedirectResponse(f"{request.scope.get('root_path', '')}/teams")


@router.get("/static/{name}")
def static(name: str) -> Response:
    file = {file.name: file for file in html.STATIC.iterdir()}.get(name)
    if file is None:
        raise HTTPException(404, f"There is no file '{name}'.")
    return FileResponse(file, headers={"Cache-Control": "private, max-age=3600"})


@router.get("/teams")
def teams(request: Request, user: User) -> Response:
    pages = _team_pages(user)
    return HTMLResponse(html.page("teams.html", request, title="Teams", teams=pages))


@router.get("/teams.json")
def teams_json(user: User) -> Response:
    return JSONResponse([_team_facts(page) for page in _team_pages(user)])


@router.get("/teams/{team}")
def team(request: Request, team: str, user: User) -> Response:
    access.require_team(team, user)
    (page,) = catalog.team_pages([team], usage.tasks(access.readable_dags(user)))
    described = {name: catalog.described(team, name) for name in page.templates}
    return HTMLResponse(html.page("team.html", request, title=team, team=page, described=described))


# Before the page, whose {name} would take `etl.json` for a template's name.
@router.get("/templates/{team}/{name}.json")
def template_json(request: Request, team: str, name: str, user: User) -> Response:
    facts = _template(request, team, name, user)
    shown: preview.Preview = facts["preview"]
    return JSONResponse(
        {
            "name": facts["template"].name,
            "description": facts["description"],
            "files": facts["chain"],
            "variables": [field._asdict() for field in facts["form"].fields],
            "manifest": shown.manifest,
            "fields": [field.row() for field in shown.fields],
            "error": shown.error,
            "code": facts["code"],
        }
    )


@router.get("/templates/{team}/{name}")
def template(request: Request, team: str, name: str, user: User) -> Response:
    facts = _template(request, team, name, user)
    return HTMLResponse(html.page("template.html", request, title=f"{team}/{name}", is_part=False, **facts))


@router.get("/templates/{team}/{name}/preview")
def template_preview(request: Request, team: str, name: str, user: User) -> Response:
    return HTMLResponse(html.page("preview.html", request, is_part=True, **_template(request, team, name, user)))


@router.get("/secrets")
def secrets(request: Request, user: User) -> Response:
    result = _listing(request, user)
    name = "rows.html" if "hx-request" in request.headers else "secrets.html"
    return HTMLResponse(html.page(name, request, title="Who gets what", listing=result))


@router.get("/secrets.json")
def secrets_json(request: Request, user: User) -> Response:
    result = _listing(request, user)
    return JSONResponse({"count": len(result.all), "rows": [row._asdict() for row in result.all]})


@router.get("/secrets.csv")
def secrets_csv(request: Request, user: User) -> Response:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(usage.Row._fields)
    # A cell that starts so is a formula to a spreadsheet, whoever named the task.
    writer.writerows(
        [f"'{cell}" if cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell for cell in row]
        for row in _listing(request, user).all
    )
    headers = {"Content-Disposition": 'attachment; filename="who-gets-what.csv"'}
    return Response(text.getvalue(), media_type="text/csv", headers=headers)


@router.get("/task")
def task(
    request: Request, dag_id: str, run_id: str, task_id: str, user: User, map_index: MapIndex = -1
) -> Response:
    access.require_task_instance(dag_id, user)
    seen = task_instance.of(dag_id, run_id, task_id, map_index)
    return HTMLResponse(html.page("task.html", request, title=task_id, seen=seen, highlight=html.yaml_markup))


@router.get("/task.json")
def task_json(dag_id: str, run_id: str, task_id: str, user: User, map_index: MapIndex = -1) -> Response:
    access.require_task_instance(dag_id, user)
    return JSONResponse(task_instance.of(dag_id, run_id, task_id, map_index).facts())


def _team_pages(user: Any) -> list[catalog.TeamPage]:
    return catalog.team_pages(access.readable_teams(user), usage.tasks(access.readable_dags(user)))


def _team_facts(page: catalog.TeamPage) -> dict[str, Any]:
    return {
        "name": page.name,
        "facts": page.facts(),
        "templates": page.templates,
        "dags": page.dags,
        "tasks": page.tasks,
        "findings": [finding._asdict() for finding in page.findings],
        "is_checked": page.is_checked,
    }


def _template(request: Request, team: str, name: str, user: Any) -> dict[str, Any]:
    access.require_team(team, user)
    result = catalog.template(team, name)
    filled = form.read(result, request.query_params)
    return {
        "team": team,
        "name": name,
        "template": result,
        "description": catalog.description(result),
        "chain": catalog.chain(result),
        "form": filled,
        "preview": preview.of(result, filled),
        "code": preview.code(result, filled.values),
        "highlight": html.yaml_markup,
    }


def _listing(request: Request, user: Any) -> listing.Listing:
    rows = usage.rows(usage.tasks(access.readable_dags(user)))
    return listing.of(rows, request.query_params)
