"""Everything that is wrong, or looks wrong, in a folder of templates, before any DAG uses it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from airflow_k8s_vault import teams, templates
from airflow_k8s_vault.errors import K8sVaultError, did_you_mean
from airflow_k8s_vault.policy import images, pod_security
from airflow_k8s_vault.policy.final_pod import literals_in
from airflow_k8s_vault.policy.manifest import containers
from airflow_k8s_vault.teams import Team
from airflow_k8s_vault.templates import PodTemplate, samples
from airflow_k8s_vault.templates.folder import folder
from airflow_k8s_vault.templates.variables import CONTEXT


class Finding(NamedTuple):
    """One thing to look at. `error` fails the command; `warning` does not."""

    severity: str
    where: str
    what: str


def of_folder(templates_dir: Path) -> Iterator[Finding]:
    """Yield what concerns the folder and its teams, without their templates."""
    names = teams.names(templates_dir)
    if not templates_dir.is_dir():
        yield Finding("error", str(templates_dir), "is no folder.")
    elif not names:
        yield Finding("error", str(templates_dir), "has no team: no sub-folder with a team.yaml.")
    namespaces: dict[str, list[Team]] = defaultdict(list)
    for name in names:
        try:
            team = teams.load(name, templates_dir)
        except K8sVaultError as error:
            yield from _told("error", error)
            continue
        namespaces[team.namespace].append(team)
        yield from _of_team(team)
    for namespace, sharing in namespaces.items():
        if len(sharing) > 1:
            named = ", ".join(team.name for team in sharing)
            where = sharing[0].where("namespace")
            yield Finding("warning", where, f"namespace '{namespace}' is shared by teams {named}.")


def of_team(name: str, templates_dir: Path) -> Iterator[Finding]:
    """Yield what is wrong with a team's templates, each rendered over its variables' limits and enums."""
    try:
        team = teams.load(name, templates_dir)
    except K8sVaultError:
        # Told by `of_folder`.
        return
    used: set[str] = set()
    for short in folder(templates_dir).available(name):
        template = templates.find(f"{name}/{short}", templates_dir)
        yield from _of_template(template, used)
    for alias, image in team.images.items():
        if image not in used:
            yield Finding("warning", team.where("images"), f"image '{alias}' ({image}) is used by no template.")


def _of_template(template: PodTemplate, used: set[str]) -> Iterator[Finding]:
    found: Counter[str] = Counter()
    try:
        yield from _of_names(template)
        for values in samples.over_the_limits(template):
            pod = template.render(values, samples.CONTEXT)
            used.update(str(container.get("image")) for _, container in containers(pod))
            found.update(_of_pod(pod, template.team))
    except K8sVaultError as error:
        for finding in _told("error", error):
            # A parent's line that only this template trips over is found by the name of this template.
            own = template.file in finding.where or template.name in finding.where
            yield finding if own else finding._replace(where=f"{finding.where} ({template.name})")
    for sentence in found:
        yield Finding("error", f"{template.where(None)} ({template.name})", sentence)


def _of_names(template: PodTemplate) -> Iterator[Finding]:
    known = [*template.variables.variables, *CONTEXT]
    for name, file in template.folder.undeclared(template.file).items():
        where = teams.location(template.folder.root / file, template.folder.root, None)
        said = f"uses '{name}', which no .vars.yaml declares.{did_you_mean(name, known)}"
        yield Finding("error", f"{where} ({template.name})", said)
    for name in template.folder.unused(template.file):
        variable = template.variables.variables[name]
        where = teams.location(variable.file, template.folder.root, variable.line)
        yield Finding("warning", where, f"variable '{name}' is used by nothing in {template.name}.")


def _of_pod(pod: dict[str, Any], team: Team) -> Iterator[str]:
    yield from pod_security.violations(pod, team.pod_security)  # type: ignore[arg-type]
    yield from literals_in(pod, frozenset())
    for path, container in containers(pod):
        for said in images.mistakes(container.get("image"), team):
            yield f"container '{path[-1]}' runs {container.get('image')!r}; {said}"


def _of_team(team: Team) -> Iterator[Finding]:
    for image in team.images.values():
        yield from _of_image(image, team)
    for key in ("secrets", "update"):
        for ceiling in getattr(team, key):
            if said := _too_wide(ceiling):
                yield Finding("warning", team.where(key), f"'{ceiling}' {said}")
    written = team.asked_overridable
    for name in sorted(set(written) - set(team.overridable)):
        closed = team.platform_where("overridable")
        yield Finding("error", team.where("overridable"), f"opens {name}, which {closed} keeps closed.")


def _of_image(image: str, team: Team) -> Iterator[Finding]:
    where = team.where("images")
    for said in images.platform_mistakes(image, team):
        yield Finding("error", where, f"{image}: {said}")
    _, _, tag = image.rpartition("/")[2].partition(":")
    if "@" in image or team.platform.digests_only:
        return
    if tag in ("", "latest"):
        yield Finding("error", where, f"{image} is a different image every week; name a version.")
    else:
        yield Finding("warning", where, f"{image} is not pinned; a digest (@sha256:…) cannot be moved.")


def _too_wide(ceiling: str) -> str | None:
    segments = ceiling.split("/")
    if len(segments) == 2 and segments[1] == "*":
        return "covers a whole mount, every team's secrets among them."
    if "*" in segments[1] and segments[1] != "*" and len(segments) > 2:
        return "covers the folders of all whose name starts so; end it at a slash."
    if segments[1] == "*":
        return "covers the same path of every team."
    if len(segments) == 2 and segments[1].endswith("*") and segments[1][-2:-1] not in ("-", "_", "."):
        return "covers every name that starts so; end it in a separator."
    return None


def _told(severity: str, error: K8sVaultError) -> Iterator[Finding]:
    """Yield the lines of an error that lists several mistakes, each with its file and line."""
    headline, *lines = str(error).split("\n")
    listed = [line.strip().removeprefix("- ") for line in lines if line.startswith("  - ")]
    for line in listed or [str(error).replace("\n", " ")]:
        where, separator, what = line.partition(": ")
        if separator and ".yaml" in where:
            yield Finding(severity, where, what)
        elif separator and where.startswith("line "):
            yield Finding(severity, f"{headline.partition(' has ')[0]}, {where}", what)
        else:
            yield Finding(severity, headline.rstrip(":"), line)
