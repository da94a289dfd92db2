"""What a change in git does to the rendered pods."""

from __future__ import annotations

import difflib
import io
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from airflow_k8s_vault import teams, templates
from airflow_k8s_vault.errors import K8sVaultError, TemplateError
from airflow_k8s_vault.templates import SAMPLE_CONTEXT, simplest_values, template_folder


class Change(NamedTuple):
    """One template whose pod is not what it was: as YAML, or the error; empty where it is not there."""

    template: str
    before: str
    after: str

    def lines(self) -> Iterator[str]:
        """Yield the lines of a unified diff."""
        return difflib.unified_diff(
            self.before.splitlines(),
            self.after.splitlines(),
            f"a/{self.template}",
            f"b/{self.template}",
            lineterm="",
        )


def since(rev: str, root: Path, name: str | None = None) -> Iterator[Change]:
    """Yield the changes of one template, or of all where name is None, between a git revision and the files now.

    Raises TemplateError where git does not know the revision, or no side has the template.
    """
    with tempfile.TemporaryDirectory() as temporary:
        # The same name, so that messages read the same on both sides.
        old = Path(temporary) / root.name
        old.mkdir()
        _extract(rev, root, old)
        before, after = _rendered(old, name), _rendered(root, name)
    if name and name not in {**before, **after}:
        templates.find(name, root)
    for template in sorted({**before, **after}):
        change = Change(template, before.get(template, ""), after.get(template, ""))
        if change.before != change.after:
            yield change


def _rendered(root: Path, only: str | None) -> dict[str, str]:
    names = [f"{team}/{short}" for team in teams.names(root) for short in template_folder(root).available(team)]
    return {name: _text(name, root) for name in names if only in (None, name)}


def _text(name: str, root: Path) -> str:
    try:
        template = templates.find(name, root)
        pod: Any = template.render(simplest_values(template), SAMPLE_CONTEXT)
    except K8sVaultError as error:
        return f"error: {error}".replace(str(root), root.name)
    return str(yaml.safe_dump(pod, sort_keys=False, allow_unicode=True, width=1000))


def _extract(rev: str, root: Path, target: Path) -> None:
    if rev.startswith("-"):
        # git would take it for an option.
        raise TemplateError(f"'{rev}' is no git revision.")
    # From the top: `git archive` in a folder below it looks for that folder within the tree it is given.
    top, _, prefix = _git(root, rev, "rev-parse", "--show-toplevel", "--show-prefix").decode().partition("\n")
    tree = f"{rev}:{prefix.strip().rstrip('/')}"
    with tarfile.open(fileobj=io.BytesIO(_git(Path(top), rev, "archive", "--format=tar", tree))) as archive:
        archive.extractall(target, filter="data")


def _git(folder: Path, rev: str, *arguments: str) -> bytes:
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, check=False)
    if done.returncode:
        message = done.stderr.decode(errors="replace").strip()
        raise TemplateError(f"git cannot show {folder} at '{rev}'.\n  {message}")
    return done.stdout
