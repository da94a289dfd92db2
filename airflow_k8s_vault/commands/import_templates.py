"""`airflow k8s-vault templates import`: pods as they are become a team's template."""

from __future__ import annotations

import re
import sys
import textwrap
from argparse import Namespace
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from airflow_k8s_vault import migrate
from airflow_k8s_vault.commands import dag_pods, output
from airflow_k8s_vault.commands.templates import folder_of
from airflow_k8s_vault.errors import ConfigError, MigrationError, error_list
from airflow_k8s_vault.migrate import Imported, Inputs, Origins, Target

_NO_NAME = re.compile(r"[^a-z0-9]+")
_WIDTH = 78


@output.reports_errors
def run(arguments: Namespace) -> int:
    """Write the template, and print what became of each field; status 1 where something is left to do by hand."""
    given, sources = _inputs(arguments)
    target = Target(
        folder=folder_of(arguments),
        team=arguments.team,
        name=arguments.name or _name(sources),
        base=arguments.base,
        images=pairs("--image", arguments.image, "python=python:3.12-slim"),
        paths=pairs("--vault-path", arguments.vault_path, "warehouse=secret/payments/warehouse"),
        origins=Origins.of(given.objects),
    )
    imported = migrate.import_pods(given.pods, target)
    written = _write(imported, target, arguments.overwrite)
    if arguments.output == "table":
        _print(imported, written, target, given.others)
    else:
        output.document(_document(imported, written, target, given.others), arguments.output)
    return output.HAS_ERRORS if _todos(imported) or imported.notes else 0


def _inputs(arguments: Namespace) -> tuple[Inputs, list[str]]:
    """Return what all files and tasks give, and the names of those with pods. Raises MigrationError for none."""
    if not arguments.files and not arguments.dag:
        raise ConfigError("There is nothing to import.\n  Name files, - for standard input, or --dag FILE:TASK.")
    given, sources = Inputs([], [], []), []
    for name in arguments.files:
        more = migrate.of_documents(migrate.read(_text(name), _shown(name)), _shown(name))
        given = Inputs(given.pods + more.pods, given.others + more.others, given.objects + more.objects)
        sources += [Path(name).name.partition(".")[0]] if more.pods and name != "-" else []
    pods = given.pods + [dag_pods.one(text) for text in arguments.dag or ()]
    sources += [text.rpartition(":")[2].rpartition(".")[2] for text in arguments.dag or ()]
    if not pods:
        raise MigrationError(
            error_list("None of the files has a pod:", given.others) + "\n  Name one, or --dag FILE:TASK."
        )
    return given._replace(pods=pods), sources


def _shown(name: str) -> str:
    return "standard input" if name == "-" else name


def _text(name: str) -> str:
    try:
        content = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        return content.decode("utf-8")
    except OSError as error:
        raise ConfigError(f"{name} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{_shown(name)} is no UTF-8 text: {error.reason} at byte {error.start}.") from None


def _name(names: Sequence[str]) -> str:
    made = [_NO_NAME.sub("-", name.lower()).strip("-") for name in names]
    if len(made) == 1 and made[0]:
        return made[0]
    example = next(filter(None, made), "etl")
    raise ConfigError(f"The template of several inputs, or of standard input, needs a name: --name {example}.")


def pairs(flag: str, given: Iterable[str] | None, example: str) -> dict[str, str]:
    """Return what a flag that may be repeated says, as OLD=NEW. Raises ConfigError."""
    result = {}
    for text in given or ():
        old, separator, new = text.partition("=")
        if not (old and separator and new):
            raise ConfigError(f"{flag} {text} is not understood.\n  Write it as {flag} {example}.")
        result[old] = new
    return result


def _write(imported: Imported, target: Target, may_overwrite: bool) -> list[tuple[Path, str]]:
    """Write the files, and return each with what was done. Raises MigrationError where one would be changed."""
    states = []
    for name, text in imported.files.items():
        file = target.folder / name
        same = file.is_file() and file.read_text(encoding="utf-8") == text
        states.append((file, text, "as it was" if same else "changed" if file.exists() else "written"))
    changed = [file for file, _, state in states if state == "changed"]
    if changed and not may_overwrite:
        lines = [str(file) + (_lacks(imported, file, target)) for file in changed]
        raise MigrationError(
            error_list("These files are there and would be changed; nothing was written:", lines)
            + "\n  --overwrite lets them be changed. A template of another name: --name."
        )
    for file, text, state in states:
        if state != "as it was":
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
    return [(file, state) for file, _, state in states]


def _lacks(imported: Imported, file: Path, target: Target) -> str:
    """Return the lines that a file would get beside its own, where all of its own stay."""
    text = imported.files[file.relative_to(target.folder).as_posix()]
    old = file.read_text(encoding="utf-8").splitlines()
    new = [line.strip() for line in text.splitlines() if line not in old]
    return f" (gets: {'; '.join(new)})" if file.name == "team.yaml" else ""


def _todos(imported: Imported) -> list[str]:
    lines = [line for text in imported.files.values() for line in text.splitlines() if "TODO" in line]
    return lines + [
        line for name in imported.needed for line in imported.code(name).splitlines() if "TODO" in line
    ]


def _print(imported: Imported, written: list[tuple[Path, str]], target: Target, others: list[str]) -> None:
    output.show([{"file": str(file), "state": state} for file, state in written], "table")
    for name, fates in imported.fates.items():
        print(f"\n{name}")
        output.show_tree(list(migrate.fate_tree(fates)))
    for name in imported.fates:
        text = "\n".join(_call(imported, target, name))
        print(f"\nAs the DAG has it{f', for {name}' if len(imported.fates) > 1 else ''}:\n\n{text}")
    for note in [*imported.notes, *others]:
        print("\n" + textwrap.fill(note, _WIDTH, subsequent_indent="  ", break_long_words=False))
    print(f"\nNext: airflow k8s-vault templates render {target.team}/{target.name}")


def _call(imported: Imported, target: Target, name: str) -> Iterator[str]:
    yield from imported.call(name, f"{target.team}/{target.name}")


def _document(
    imported: Imported, written: list[tuple[Path, str]], target: Target, others: list[str]
) -> dict[str, object]:
    return {
        "template": f"{target.team}/{target.name}",
        "files": [{"file": str(file), "state": state} for file, state in written],
        "inputs": [
            {
                "input": name,
                "fields": [fate.row() for fate in fates],
                "template_vars": imported.variables[name],
                "code": "\n".join(_call(imported, target, name)),
            }
            for name, fates in imported.fates.items()
        ],
        "notes": [*imported.notes, *others],
    }
