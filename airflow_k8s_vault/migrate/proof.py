"""What an import promises: its files pass lint, and render to the pods that were given."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path as FilePath

from airflow_k8s_vault import templates
from airflow_k8s_vault.errors import MigrationError, error_list
from airflow_k8s_vault.migrate.differences import Merged
from airflow_k8s_vault.migrate.draft import Draft
from airflow_k8s_vault.migrate.target import OF_TEAM, Target
from airflow_k8s_vault.policy import flatten, shown_path
from airflow_k8s_vault.templates import SAMPLE_CONTEXT, lint_folder, lint_templates


def require_the_same(drafts: Sequence[Draft], merged: Merged, files: Mapping[str, str], target: Target) -> None:
    """Raise MigrationError unless the files pass lint, and give each input again."""
    with tempfile.TemporaryDirectory() as scratch:
        root = FilePath(scratch) / target.folder.name
        for name in ("platform.yaml", f"{target.team}/team.yaml"):
            if (target.folder / name).is_file():
                _write(root / name, (target.folder / name).read_text(encoding="utf-8"))
        for name, text in files.items():
            _write(root / name, text)
        findings = [*lint_folder(root), *lint_templates(target.team, root)]
        errors = [f"{finding.where}: {finding.what}" for finding in findings if finding.severity == "error"]
        if any("name a version" in error for error in errors):
            errors.append("Say which with --image python=python:3.12-slim, or by digest.")
        if errors:
            raise MigrationError(
                error_list("The template would not pass `templates lint`:", dict.fromkeys(errors))
            )
        template = templates.find(f"{target.team}/{target.name}", root)
        for number, draft in enumerate(drafts):
            given = flatten(template.render(merged.values(number), SAMPLE_CONTEXT))
            expected = flatten(draft.pod)
            other = [p for p in {**given, **expected} if given.get(p) != expected.get(p) and p not in OF_TEAM]
            other += [
                path
                for path, value in draft.input.items()
                if draft.fate(path) is None and given.get(draft.now(path)) != value
            ]
            if other:
                raise MigrationError(
                    error_list(
                        f"The template gives another pod than {draft.name}, which is a defect of this command:",
                        map(shown_path, other),
                    )
                )


def _write(file: FilePath, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
