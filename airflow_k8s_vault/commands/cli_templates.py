"""Definition of the commands `templates …` and `secrets …`: `airflow k8s-vault` adds what these return."""

from __future__ import annotations

from airflow.cli.cli_config import ActionCommand, Arg, GroupCommand, lazy_load_command

from airflow_k8s_vault.commands.argument import FOLDER, arg, output

_NAME = arg("name", help="Name of the template, with its team: payments/etl")
_OPTIONAL_NAME = arg("name", nargs="?", help="Name of one template. Default: all of all teams")
_VAR = arg("--var", action="append", metavar="NAME=VALUE", help="A variable of the template; may be repeated")
_OUTPUT = output()
_YAML = output("yaml")
_JSON = output("json")
_LINT_DIR = arg("dir", nargs="?", help="Folder of the templates. Default: [k8s_vault] templates_dir")
_INIT_DIR = arg(
    "dir",
    nargs="?",
    default="pod_templates",
    help="Folder to write; files that are there already are left as they are. Default: pod_templates",
)
_TEAM = arg("--team", default="example", help="Name of the first team. Default: example")
_REV = arg("rev", help="Git revision to compare with: HEAD, main, a commit")
_OF = arg("--of", choices=("team", "platform"), default="team", help="Which file. Default: team")
_DAGS = arg("--dags", required=True, help="Folder, or file, of the DAGs")
_BY = arg("--by", choices=("task", "path"), default="task", help="What the rows are sorted by. Default: task")
_PATH = arg("--path", help="Only who gets this Vault path")

# Names of commands that are no names of functions.
_FUNCTIONS = {"list": "list_", "import": "run"}
_FILES = arg(
    "files",
    nargs="*",
    metavar="FILE",
    help="YAML with pods, with what makes pods, or with what fills their Secrets; - is standard input",
)
_DAG = arg("--dag", action="append", metavar="FILE:TASK", help="A task of KubernetesPodOperator; may be repeated")
_OF_TEAM = arg("--team", required=True, help="Team that gets the template; it need not be there yet")
_TEMPLATE_NAME = arg("--name", help="Name of the template, without the team. Default: the file's, or the task's")
_BASE = arg("--base", metavar="CONTAINER", help="Container that the task runs in, where it is not clear")
_IMAGE = arg(
    "--image", action="append", metavar="OLD=NEW", help="Put an image in another's place; may be repeated"
)
_VAULT_PATH = arg(
    "--vault-path",
    action="append",
    metavar="NAME=PATH",
    help="Path in Vault of what a Kubernetes Secret, or another TODO, holds; may be repeated",
)
_OVERWRITE = arg(
    "--overwrite", action="store_true", help="Replace a template of that name, and extend the team's team.yaml"
)


def _command(
    name: str, help_: str, *args: Arg, description: str | None = None, of: str = "templates"
) -> ActionCommand:
    function = f"airflow_k8s_vault.commands.{of}.{_FUNCTIONS.get(name, name)}"
    return ActionCommand(
        name=name, help=help_, func=lazy_load_command(function), args=args, description=description
    )


def templates_group() -> GroupCommand:
    """Return the group `templates`."""
    commands = (
        _command("list", "List the templates that each team can use", FOLDER, _OUTPUT),
        _command("show", "Show what a template is made of and what it takes", _NAME, FOLDER, _OUTPUT),
        _command(
            "render",
            "Print the pod that a task of the template would send",
            *(_NAME, _VAR, FOLDER, _YAML),
            description="Needs neither a cluster nor Vault. What only a run knows, and secrets, are not in it.",
        ),
        _command(
            "explain",
            "Show where each field comes from, and whether a DAG may change it",
            *(_NAME, _VAR, FOLDER, _OUTPUT),
        ),
        _command(
            "lint",
            "Check a whole folder",
            *(_LINT_DIR, FOLDER, _OUTPUT),
            description="Renders every template of every team over its variables' limits and enums. "
            "Exit status: 0 without errors, 1 with, 2 where it could not run.",
        ),
        _command(
            "diff",
            "Show what a change in git does to the pods",
            *(_REV, _OPTIONAL_NAME, FOLDER, _OUTPUT),
            description="Exit status: 0 where all pods are as they were, 1 where not, 2 where it could not run.",
        ),
        _command("schema", "Print the JSON Schema of team.yaml, for editors", _OF, _JSON),
        _command(
            "import",
            "Make a template of pods as they are",
            *(_FILES, _DAG, _OF_TEAM, _TEMPLATE_NAME, _BASE, _IMAGE, _VAULT_PATH, _OVERWRITE, FOLDER, _OUTPUT),
            description="Pod template files, `kubectl get -o yaml` of pods, Deployments, Jobs, CronJobs. Several "
            "become one template, with variables for what differs. Says what became of each field, and which "
            "VaultSecrets take the place of Secrets: with the paths that External Secrets, the Vault Secrets "
            "Operator, SecretProviderClasses and bank-vaults name, where these are given too. What is written "
            "passes lint and gives the same pod again but for that. Exit status: 0, 1 where something is left to "
            "do by hand, 2 where nothing could be written.",
            of="import_templates",
        ),
        _command("init", "Write a folder to start from", _INIT_DIR, _TEAM, _OUTPUT),
    )
    return GroupCommand(name="templates", help="Pod templates of the teams", subcommands=commands)


def secrets_group() -> GroupCommand:
    """Return the group `secrets`."""
    listing = _command(
        "list",
        "List which task gets which Vault path, or who gets a path",
        *(_DAGS, _BY, _PATH, FOLDER, _OUTPUT),
        description="Reads the DAG files; needs neither a cluster nor Vault. Names and paths only, never values. "
        "Exit status: 1 where a DAG file cannot be imported, a task's secrets are known to its run alone or over "
        "its team's ceiling, or nobody gets --path; 2 where it could not run.",
        of="secrets",
    )
    return GroupCommand(name="secrets", help="Vault secrets of tasks", subcommands=(listing,))
