"""`airflow k8s-vault templates …`: each function takes the parsed arguments and returns the exit status."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

from airflow_k8s_vault import config, teams, templates
from airflow_k8s_vault.commands import diff as diffs
from airflow_k8s_vault.commands import exact, output, starter_folder
from airflow_k8s_vault.errors import ConfigError, K8sVaultError, TemplateError
from airflow_k8s_vault.policy import flatten, shown_path
from airflow_k8s_vault.teams import PLATFORM_KEYS, TEAM_KEYS, json_schema
from airflow_k8s_vault.templates import (
    SAMPLE_CONTEXT,
    PodTemplate,
    explained_fields,
    field_tree,
    lint_folder,
    lint_templates,
    spelled_value,
    template_folder,
)

_AUTO = (
    "Secrets reach these pods by agent, or by secret where a task has variables and the\n"
    "cluster is older than Kubernetes 1.35: [k8s_vault] default_delivery is auto."
)


def folder_of(arguments: Namespace) -> Path:
    """Return --templates-dir, or the setting of that name."""
    given = getattr(arguments, "templates_dir", None)
    return Path(given or config.get("templates_dir")).absolute()


def every(root: Path) -> list[str]:
    """Return the names of all templates of all teams ("payments/etl")."""
    return [f"{team}/{short}" for team in teams.names(root) for short in template_folder(root).available(team)]


@output.reports_errors
def list_(arguments: Namespace) -> int:
    """Print every template that a team can use; status 1 where one of them is broken."""
    root = folder_of(arguments)
    rows = [_row(name, root) for name in every(root)]
    output.show(rows, arguments.output)
    return output.HAS_ERRORS if any(row["broken"] for row in rows) else 0


def _row(name: str, root: Path) -> dict[str, Any]:
    """Return what the list says of a template: one team's mistake is no reason to say nothing of the others."""
    row = {"template": name, "file": "", "variables": [], "about": "", "broken": ""}
    try:
        template = templates.find(name, root)
        row |= {"file": template.file, "about": _about(template)}
        row["variables"] = list(template.variables.variables)
    except K8sVaultError as error:
        headline, *lines = str(error).split("\n")
        row["broken"] = " ".join([headline, *(line.strip().removeprefix("- ") for line in lines[:1])])
    return row


@output.reports_errors
def show(arguments: Namespace) -> None:
    """Print what a template is made of, what it takes, and what its team may have."""
    template = templates.find(arguments.name, folder_of(arguments))
    team = template.team
    facts: dict[str, Any] = {
        "template": template.name,
        "about": _about(template),
        "files": template.folder.chain(template.file),
        "namespace": team.namespace,
        "service_account": team.service_account,
        "vault_role": team.vault_role,
        "pod_security": team.pod_security,
        "images": dict(team.images),
        "secrets": list(team.secrets),
        "update": list(team.update),
        "overridable": list(team.overridable),
        "variables": {
            name: {**variable.schema, "required": variable.required}
            for name, variable in template.variables.variables.items()
        },
    }
    if arguments.output != "table":
        output.document(facts, arguments.output)
        return
    variables = facts.pop("variables")
    output.show([{"": key, " ": value} for key, value in facts.items()], "table")
    print()
    columns = ("type", "default", "required", "minimum", "maximum", "enum", "description")
    rows = [{"variable": name, **{key: of.get(key) for key in columns}} for name, of in variables.items()]
    output.show(rows, "table")


@output.reports_errors
def render(arguments: Namespace) -> None:
    """Print the pod that a task of the template would send, without a cluster or Vault."""
    template, values = _with_values(arguments)
    pod = exact.pod(template, values)
    if arguments.output == "table":
        # As JSON: lists have to look like lists.
        rows = [
            {"field": shown_path(path), "value": value if isinstance(value, str) else json.dumps(value)}
            for path, value in flatten(pod).items()
        ]
        output.show(rows, "table")
    else:
        output.document(pod, arguments.output)


@output.reports_errors
def explain(arguments: Namespace) -> None:
    """Print each field of the pod with its value, the file and line that set it, and whether a DAG may."""
    template, values = _with_values(arguments)
    fields = explained_fields(template, values, SAMPLE_CONTEXT)
    if arguments.output == "table":
        output.show_tree(list(field_tree(fields, template.folder.root.name)))
        if config.get("default_delivery") == config.AUTO:
            print(_AUTO)
    else:
        output.show([field.row() for field in fields], arguments.output)


@output.reports_errors
def lint(arguments: Namespace) -> int:
    """Print everything that is wrong with the folder; status 1 where one of it is an error."""
    root = Path(arguments.dir).absolute() if arguments.dir else folder_of(arguments)
    if not root.is_dir():
        raise ConfigError(f"There is no folder {root}.\n  Name the folder of the templates, or set it: --help.")
    matches = list(lint_folder(root))
    for team in output.with_progress(teams.names(root), "Rendering the templates of all teams"):
        matches += lint_templates(team, root)
    rows = [finding._asdict() for finding in dict.fromkeys(matches)]
    output.show(rows, arguments.output)
    return output.HAS_ERRORS if any(row["severity"] == "error" for row in rows) else 0


@output.reports_errors
def diff(arguments: Namespace) -> int:
    """Print what a change in git does to the rendered pods; status 1 where it does something."""
    root = folder_of(arguments)
    changes = list(diffs.since(arguments.rev, root, arguments.name))
    if arguments.output == "table":
        output.coloured_diff(line for change in changes for line in change.lines())
    else:
        output.document([change._asdict() for change in changes], arguments.output)
    return output.HAS_ERRORS if changes else 0


@output.reports_errors
def schema(arguments: Namespace) -> None:
    """Print the JSON Schema of team.yaml, or of platform.yaml, for editors."""
    keys = PLATFORM_KEYS if arguments.of == "platform" else TEAM_KEYS
    if arguments.output == "table":
        rows = [{"key": key.name, "required": key.required, "about": key.description} for key in keys]
        output.show(rows, "table")
    else:
        output.document(json_schema(keys), arguments.output)


@output.reports_errors
def init(arguments: Namespace) -> None:
    """Write a folder to start from; files that are there already are left as they are."""
    target = Path(arguments.dir)
    written = starter_folder.write(target, arguments.team)
    output.show([{"file": str(file), "state": state} for file, state in written], arguments.output)
    if arguments.output == "table":
        print(starter_folder.next_steps(target, arguments.team))


def _with_values(arguments: Namespace) -> tuple[PodTemplate, dict[str, Any]]:
    template = templates.find(arguments.name, folder_of(arguments))
    values = {}
    for assignment in arguments.var or ():
        name, separator, text = assignment.partition("=")
        if not separator:
            raise TemplateError(f"--var {assignment} has no value.\n  Write it as name=value.")
        values[name] = _typed(template, name, text)
    return template, values


def _typed(template: PodTemplate, name: str, text: str) -> Any:
    """Return the text as a value of the variable's declared type, where it spells one."""
    variable = template.variables.variables.get(name)
    return text if variable is None else spelled_value(variable.schema, text)


def _about(template: PodTemplate) -> str:
    """Return the comment at the top of the template's file, on one line."""
    source = next(iter(template.texts())).lstrip()
    if not source.startswith("{#"):
        return ""
    comment, closed, _ = source.removeprefix("{#").partition("#}")
    return " ".join(comment.strip("-+ \n").split()) if closed else ""
