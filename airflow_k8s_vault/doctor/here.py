"""What this machine's Airflow knows: settings, backend, templates, versions, entry points, import errors."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from importlib.metadata import PackageNotFoundError, entry_points, version
from pathlib import Path

from packaging.version import Version

from airflow_k8s_vault import config, json_text, teams
from airflow_k8s_vault.config import SETTINGS
from airflow_k8s_vault.doctor.check import Check, Outcome
from airflow_k8s_vault.errors import K8sVaultError
from airflow_k8s_vault.policy import flatten, parsed_path, shown_path
from airflow_k8s_vault.templates import (
    SAMPLE_CONTEXT,
    Finding,
    find,
    lint_folder,
    lint_templates,
    simplest_values,
    template_folder,
)

_NEEDED = {"apache-airflow": "3.2", "apache-airflow-providers-cncf-kubernetes": "10.16"}
_ENTRY_POINTS = {
    "apache_airflow_provider": "provider_info",
    "airflow.plugins": "k8s_vault",
    "airflow.policy": "k8s_vault",
}
_BACKENDS = (("secrets", "backend", "backend_kwargs"), ("workers", "secrets_backend", "secrets_backend_kwargs"))
_SHOWN = 5


def checks(team_names: list[str]) -> Iterator[Check]:
    """Yield the checks of this machine; of the teams, those of these names."""
    yield Check("HERE-SETTINGS", settings)
    yield Check("HERE-BACKEND", backend)
    yield Check("HERE-TEMPLATES", folder, after=("HERE-SETTINGS",))
    for name in team_names:
        yield Check("HERE-TEMPLATES", partial(templates, name), name, name, after=("HERE-SETTINGS",))
    yield Check("HERE-VERSIONS", versions)
    yield Check("HERE-PLUGINS", plugins)
    for name in team_names:
        yield Check("HERE-HOOK", partial(hook, name), name, name, ("HERE-SETTINGS", "HERE-TEMPLATES"))
    yield Check("HERE-IMPORTS", imports)


def settings() -> Outcome:
    """Check every setting of the section."""
    errors = []
    for setting in SETTINGS:
        try:
            config.get(setting.name)
        except K8sVaultError as error:
            errors.append(str(error))
    return Outcome.of(errors)


def backend() -> Outcome:
    """Check that each configured secrets backend is one that Airflow can make with its arguments."""
    from airflow._shared.module_loading import import_string
    from airflow.configuration import conf

    errors = []
    for section, name, kwargs in _BACKENDS:
        path = conf.get(section, name, fallback="") or ""
        if not path:
            continue
        try:
            given = json_text.read(conf.get(section, kwargs, fallback="") or "{}")
            if not isinstance(given, dict):
                raise TypeError
        except (ValueError, TypeError):
            errors.append(f"[{section}] {kwargs} is no JSON object: Airflow warns once, and passes nothing on.")
            continue
        try:
            import_string(path)(**given)
        except K8sVaultError as error:
            errors.append(f"[{section}] {kwargs}: {error}")
        except Exception as error:
            # Its text may hold one of the arguments, and one of them may be a token.
            errors.append(f"[{section}] {name} = {path} cannot be made ({type(error).__name__}).")
    return Outcome.of(errors)


def folder() -> Outcome:
    """Check the folder, and the files of all teams."""
    return _linted(list(lint_folder(Path(config.get("templates_dir")))))


def templates(team: str) -> Outcome:
    """Check the templates of one team, rendered over the limits of their variables."""
    root = Path(config.get("templates_dir"))
    if team not in teams.names(root):
        return Outcome.of([f"there is no team '{team}' in {root}: {', '.join(teams.names(root)) or 'none'}."])
    return _linted(list(lint_templates(team, root)))


def _linted(findings: list[Finding]) -> Outcome:
    errors = [f"{finding.where}: {finding.what}" for finding in findings if finding.severity == "error"]
    warnings = [f"{finding.where}: {finding.what}" for finding in findings if finding.severity != "error"]
    return Outcome.of(_few(errors or warnings), warning=not errors)


def versions() -> Outcome:
    """Check the releases that this package is written against."""
    errors = []
    for name, needed in _NEEDED.items():
        try:
            installed = version(name)
        except PackageNotFoundError:
            errors.append(f"{name} is not installed.")
            continue
        if Version(installed) < Version(needed):
            errors.append(f"{name} is {installed}; needed is {needed} or later.")
    return Outcome.of(errors)


def plugins() -> Outcome:
    """Check that the entry points of this package are registered."""
    errors = [
        f"the entry point {name} of group {group} is not registered."
        for group, name in _ENTRY_POINTS.items()
        if not [point for point in entry_points(group=group) if point.value.startswith("airflow_k8s_vault.")]
    ]
    return Outcome.of(errors)


def hook(name: str) -> Outcome:
    """Let pod_mutation_hook see a pod of the team, and compare what it changes with hook_fields."""
    # Imported here: the provider's operators take two seconds.
    from airflow.providers.cncf.kubernetes.pod_generator import PodGenerator
    from airflow.settings import pod_mutation_hook

    # After Airflow's settings: whoever loads this first has Airflow register its hooks half loaded.
    from airflow_k8s_vault.operators import watched_mutations

    root = Path(config.get("templates_dir")).absolute()
    team, available = teams.load(name, root), template_folder(root).available(name)
    if not available:
        return Outcome("success")
    template = find(f"{name}/{available[0]}", root)
    pod = template.render(simplest_values(template), SAMPLE_CONTEXT)
    with watched_mutations() as seen:
        pod_mutation_hook(PodGenerator.deserialize_model_dict(pod))  # type: ignore[no-untyped-call]
    if not seen:
        return Outcome("unknown", "the policy of this package is not loaded, which takes down what the hook does.")
    before, after = (flatten(pod) for pod in seen[0])
    named = [parsed_path(field) for field in team.platform.hook_fields]
    changed = [path for path in dict.fromkeys([*before, *after]) if before.get(path) != after.get(path)]
    errors = [
        f"pod_mutation_hook changes {shown_path(path)}, which hook_fields does not name."
        for path in changed
        if not any(path[: len(field)] == field for field in named)
    ]
    return Outcome.of(_few(errors))


def imports() -> Outcome:
    """Check Airflow's import errors for those that this package raised."""
    from airflow.models.errors import ParseImportError
    from airflow.utils.session import create_session
    from sqlalchemy import select
    from sqlalchemy.exc import SQLAlchemyError

    try:
        with create_session() as session:
            rows = session.execute(select(ParseImportError.filename, ParseImportError.stacktrace)).all()
    except SQLAlchemyError as error:
        return Outcome("unknown", f"Airflow's database cannot be read from here ({type(error).__name__}).")
    ours = [
        f"{file}: {str(trace).strip().splitlines()[-1]}"
        for file, trace in rows
        if "airflow_k8s_vault.errors." in str(trace)
    ]
    return Outcome.of(_few(ours), warning=True)


def _few(errors: list[str]) -> list[str]:
    more = len(errors) - _SHOWN
    return [*errors[:_SHOWN], f"and {more} more"] if more > 0 else errors
