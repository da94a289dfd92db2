"""Everything that is wrong, or looks wrong, in a folder of templates, before any DAG uses it."""

from __future__ import annotations

import contextlib
import time
from collections import defaultdict
from collections.abc import Iterator
from itertools import islice, product
from pathlib import Path
from typing import Any

from airflow_k8s_vault import teams, templates
from airflow_k8s_vault.errors import K8sVaultError, did_you_mean
from airflow_k8s_vault.policy import image_mistakes, literals_in, named_images, pod_security_violations, shown_path
from airflow_k8s_vault.teams import Team
from airflow_k8s_vault.templates import PodTemplate, lint_team, patterns, samples, strays
from airflow_k8s_vault.templates.explain import explained_fields
from airflow_k8s_vault.templates.folder import template_folder
from airflow_k8s_vault.templates.lint_team import Finding
from airflow_k8s_vault.templates.template import BASE_CONTAINER
from airflow_k8s_vault.templates.variables import CONTEXT_NAMES, patterns_of

__all__ = ["Finding", "lint_folder", "lint_templates"]

# Of one template. What takes longer is told, and the rest of its values is left.
_SECONDS = 10
# That are declared nowhere: near ones are looked for.
_MOST_NAMES = 50
# A variable's declaration limits what a DAG may give by any of these.
_LIMITS = (
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    *("enum", "const", "pattern", "maxLength"),
)
# What runs in the container sets its variables as it likes: no limit on them binds.
_UNBOUND = frozenset(("env_vars", "pod_runtime_info_envs"))


def lint_folder(templates_dir: Path) -> Iterator[Finding]:
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
            yield from _findings("error", error)
            continue
        namespaces[team.namespace].append(team)
        yield from lint_team.of_team(team)
    yield from lint_team.of_own_images([team for sharing in namespaces.values() for team in sharing])
    yield from _of_strays(templates_dir)
    for namespace, sharing in namespaces.items():
        if len(sharing) > 1:
            named = ", ".join(team.name for team in sharing)
            where = sharing[0].where("namespace")
            yield Finding("warning", where, f"namespace '{namespace}' is shared by teams {named}.")


def lint_templates(name: str, templates_dir: Path) -> Iterator[Finding]:
    """Yield what is wrong with a team's templates, each rendered over its variables' limits and enums."""
    try:
        team = teams.load(name, templates_dir)
    except K8sVaultError:
        # Told by `of_folder`.
        return
    used: set[str] = set()
    for short in template_folder(templates_dir).available(name):
        template = templates.find(f"{name}/{short}", templates_dir)
        yield from _of_template(template, used)
    for alias, image in team.images.items():
        if image not in used:
            where = lint_team.image_place(team, alias)
            yield Finding("warning", where, f"image '{alias}' ({image}) is used by no template.")


def _of_strays(root: Path) -> Iterator[Finding]:
    if not root.is_dir():
        return
    files, referenced = template_folder(root), set[str]()
    for file in files.files():
        with contextlib.suppress(K8sVaultError):
            referenced.update(files.chain(file)[1:])
    for stray in strays.of(root, frozenset(referenced)):
        yield Finding("warning", teams.location(root / stray.file, root, None), f"{stray.sentence}.")


def _of_template(template: PodTemplate, used: set[str]) -> Iterator[Finding]:
    result: dict[tuple[str, str], None] = {}
    ends = time.thread_time() + _SECONDS
    try:
        yield from _of_names(template)
        yield from _of_variables(template)
        for values in samples.values_at_the_limits(template):
            pod = template.render(values, samples.SAMPLE_CONTEXT)
            used.update(str(image) for _, image in named_images(pod))
            result.update(dict.fromkeys(_of_pod(pod, template.team)))
            if time.thread_time() > ends:
                result["warning", f"takes so long to render that some values were not tried ({_SECONDS} s)."] = (
                    None
                )
                break
        yield from _of_open_arguments(template)
    except K8sVaultError as error:
        for finding in _findings("error", error):
            # A parent's line that only this template trips over is found by the name of this template.
            own = template.file in finding.where or template.name in finding.where
            yield finding if own else finding._replace(where=f"{finding.where} ({template.name})")
    for severity, sentence in result:
        yield Finding(severity, f"{template.where(None)} ({template.name})", sentence)


def _of_variables(template: PodTemplate) -> Iterator[Finding]:
    for name, variable in template.variables.variables.items():
        where = teams.location(variable.file, template.folder.root, variable.line)
        for _, pattern in patterns_of(variable.schema):
            if not patterns.is_anchored(pattern):
                message = (
                    f"{name}'s pattern {pattern!r} takes any text that it stands in: write ^(?:…)$ for all of it."
                )
                yield Finding("warning", where, message)
        if (values := len(variable.schema.get("enum", ()))) > samples.MOST_VALUES:
            yield Finding(
                "warning", where, f"{name} has {values} values, of which {samples.MOST_VALUES} were tried."
            )


def _of_open_arguments(template: PodTemplate) -> Iterator[Finding]:
    """Yield where a variable's limits do not bind, because an argument that is open sets the same field."""
    limited = {n for n, v in template.variables.variables.items() if any(key in v.schema for key in _LIMITS)}
    seen = set[tuple[str, str]]()
    for field in explained_fields(template, samples.simplest_values(template), samples.SAMPLE_CONTEXT):
        for pair in product(sorted(limited.intersection(field.variables)), set(field.arguments) - _UNBOUND):
            if pair not in seen:
                seen.add(pair)
                where = shown_path(field.path)
                message = f"opens {pair[1]}, which sets {where} past the limits of the variable '{pair[0]}'"
                what = f"{message} of {template.name}: open one of the two."
                yield Finding("warning", template.team.where("overridable"), what)


def _of_names(template: PodTemplate) -> Iterator[Finding]:
    known = [*template.variables.variables, *CONTEXT_NAMES]
    for name, file in islice(template.folder.undeclared(template.file).items(), _MOST_NAMES):
        where = teams.location(template.folder.root / file, template.folder.root, None)
        message = f"uses '{name}', which no .vars.yaml declares.{did_you_mean(name, known)}"
        yield Finding("error", f"{where} ({template.name})", message)
    for name in template.folder.unused(template.file):
        variable = template.variables.variables[name]
        where = teams.location(variable.file, template.folder.root, variable.line)
        yield Finding("warning", where, f"variable '{name}' is used by nothing in {template.name}.")


def _of_pod(pod: dict[str, Any], team: Team) -> Iterator[tuple[str, str]]:
    for message in pod_security_violations(pod, team.pod_security):  # type: ignore[arg-type]
        yield "error", message
    for message in literals_in(pod, frozenset()):
        yield "error", message
    for path, image in named_images(pod):
        for message in image_mistakes(image, team):
            what = f"container '{path[2]}' runs" if path[1] != "volumes" else f"volume '{path[2]}' holds"
            yield "error", f"{what} {image!r}; {message}"
    for container in pod["spec"]["containers"]:
        if container["name"] != BASE_CONTAINER:
            yield (
                "warning",
                f"container '{container['name']}' is an ordinary one beside '{BASE_CONTAINER}': the task lasts "
                "until it ends as well. Where it never ends, make it a native sidecar: an init container with "
                "restartPolicy: Always.",
            )


def _findings(severity: str, error: K8sVaultError) -> Iterator[Finding]:
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
