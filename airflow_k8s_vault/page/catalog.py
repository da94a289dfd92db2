"""What the pages say of teams and templates: read from the templates folder by the code that a task uses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from airflow_k8s_vault import config, teams, templates
from airflow_k8s_vault.errors import K8sVaultError
from airflow_k8s_vault.page.usage import Task
from airflow_k8s_vault.teams import Team
from airflow_k8s_vault.templates import SUFFIX, Finding, PodTemplate, lint_templates, template_folder

# Lint renders each template several times, about 10 ms in all: a list of more would keep the API server busy.
CHECKED_TEMPLATES = 60
_Stamp = tuple[tuple[str, int, int], ...]


class TeamPage(NamedTuple):
    """One team as the page shows it; `team` is None where its file is broken, and `findings` says how."""

    name: str
    team: Team | None
    templates: list[str]
    dags: int
    tasks: int
    findings: list[Finding]
    # False: its templates were not rendered to look for mistakes, because the page lists too many.
    is_checked: bool

    def facts(self) -> list[dict[str, Any]]:
        """Return what the team's file says: name, values, and where the line stands."""
        if self.team is None:
            return []
        team = self.team
        rows = [
            ("Namespace", [team.namespace], "namespace"),
            ("Service account", [team.service_account], "service_account"),
            ("Vault role", [team.vault_role], "vault_role"),
            ("May ask Vault for", list(team.secrets) or ["nothing"], "secrets"),
            *([("May have Vault make", list(team.update), "update")] if team.update else []),
            ("A DAG may set", list(team.overridable) or ["nothing"], "overridable"),
            ("Images", [f"{alias}: {image}" for alias, image in team.images.items()] or ["none"], "images"),
            ("Pod Security Standard", [team.pod_security], "pod_security"),
        ]
        return [{"name": name, "values": values, "where": team.where(key)} for name, values, key in rows]


def root() -> Path:
    """Return the templates folder."""
    return Path(config.get("templates_dir"))


def team_pages(names: Iterable[str], tasks: Iterable[Task]) -> list[TeamPage]:
    """Return the teams of these names; DAGs and tasks are counted among those given."""
    tasks = list(tasks)
    count = Counter(task.team for task in tasks)
    dags = {name: len({task.dag_id for task in tasks if task.team == name}) for name in count}
    names = list(names)
    files = template_folder(root())
    checks = sum(len(files.available(name)) for name in names) <= CHECKED_TEMPLATES or len(names) == 1
    stamp = _stamp(root()) if checks else ()
    return [_team_page(name, dags.get(name, 0), count[name], stamp) for name in names]


def _team_page(name: str, dags: int, tasks: int, stamp: _Stamp) -> TeamPage:
    team, findings = _read(name)
    available = template_folder(root()).available(name) if team is not None else []
    if stamp:
        findings += _linted(name, stamp)
    return TeamPage(name, team, available, dags, tasks, findings, bool(stamp))


def _read(name: str) -> tuple[Team | None, list[Finding]]:
    try:
        return teams.load(name, root()), []
    except K8sVaultError as error:
        return None, [Finding("error", f"{name}/team.yaml", str(error))]


@lru_cache(maxsize=256)
def _linted(name: str, _: _Stamp) -> tuple[Finding, ...]:
    """Return what lint finds in the team's templates, which it renders; once for each state of the folder."""
    return tuple(dict.fromkeys(lint_templates(name, root())))


def _stamp(path: Path) -> _Stamp:
    files = [file for file in sorted(path.rglob("*")) if file.suffix in (".yaml", ".j2")]
    return tuple((file.as_posix(), (stat := file.stat()).st_mtime_ns, stat.st_size) for file in files)


def template(team: str, name: str) -> PodTemplate:
    """Return the team's template; raises TeamError and TemplateError as an import does."""
    return templates.find(f"{team}/{name}", root())


def description(of: PodTemplate) -> str:
    """Return the comment at the top of the template's own file, on one line; empty where there is none."""
    # As a rendering reads it: no more than a template may have, and nothing beyond the folder.
    source = next(of.texts()).lstrip()
    if not source.startswith("{#"):
        return ""
    return " ".join(source.removeprefix("{#").partition("#}")[0].strip("-+ \n").split())


def described(team: str, name: str) -> str:
    """Return the description of a team's template, or what is wrong with it."""
    try:
        return description(template(team, name))
    except K8sVaultError as error:
        return str(error)


def chain(of: PodTemplate) -> list[str]:
    """Return the files that the template is made of, nearest first, with their variables' files."""
    matches = []
    for file in of.folder.chain(of.file):
        matches.append(file)
        declared = file.removesuffix(SUFFIX) + ".vars.yaml"
        if (of.folder.root / declared).is_file():
            matches.append(declared)
    return matches
