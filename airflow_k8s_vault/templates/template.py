"""One pod template of a team: what it asks for, and the pod that it becomes."""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from jinja2 import TemplateError as JinjaError
from jinja2 import TemplateNotFound, TemplateRuntimeError, TemplateSyntaxError

from airflow_k8s_vault.errors import TemplateError, did_you_mean, error_list
from airflow_k8s_vault.policy import ShapeMistake, shape_mistakes
from airflow_k8s_vault.teams import Document, Mistake, Team, dotted, location, parse_yaml
from airflow_k8s_vault.templates import limits, spelling
from airflow_k8s_vault.templates.folder import Folder
from airflow_k8s_vault.templates.fragment import Fragment, plain
from airflow_k8s_vault.templates.variables import Declared

BASE_CONTAINER = "base"
_LONGEST = 131_072
# A list of more mistakes helps nobody, and looking for near names in each takes its time.
_MOST_MISTAKES = 50


class Rendered(NamedTuple):
    """A pod, and how it came to be: the parsed document, and the pieces that its text was made of."""

    pod: dict[str, Any]
    document: Document
    fragment: Fragment


@dataclass(frozen=True)
class PodTemplate:
    """A template that a team can use. `file` is its path below templates_dir ("payments/etl.yaml.j2")."""

    name: str
    team: Team
    file: str
    folder: Folder

    @property
    def variables(self) -> Declared:
        """The declared variables: the template's own, and those of all that it extends, includes or imports."""
        return self.folder.variables(self.file)

    def check_vars(self, values: Mapping[str, Any] | None) -> None:
        """Raise TemplateError with every mistake in the variables that a DAG gives.

        Values that hold Airflow's Jinja are left for `render`, which sees what they become.
        """
        self._require_small(values or {})
        self._check(values or {}, skip_jinja=True)

    def typed(self, values: Mapping[str, Any], names: frozenset[str]) -> dict[str, Any]:
        """Return the values of a run, with text that spells the declared type cast to it.

        names: of the values that were Jinja, which Airflow renders to text; all others stay as the DAG has them.
        Raises TemplateError, with every mistake, where the values are not as declared then.
        """
        self._require_small(values)
        declared = self.variables.variables
        result = {
            name: spelling.spelled_value(declared[name].schema, one) if name in names and name in declared else one
            for name, one in values.items()
        }
        self._check(result, skip_jinja=False, hints=spelling.hints(declared, result, names))
        return result

    def _check(
        self,
        values: Mapping[str, Any],
        *,
        skip_jinja: bool,
        hints: Iterable[str] = (),
        errors: Iterable[str] = (),
    ) -> None:
        """Raise TemplateError where the values are not as declared. errors: what is wrong with them otherwise."""
        result = self.variables.mistakes(values, skip_jinja=skip_jinja) or list(errors)
        if result:
            result += hints
            known = ", ".join(self.variables.variables) or "none"
            raise TemplateError(
                error_list(f"Variables of pod template '{self.name}' are not as it declares them:", result)
                + f"\n  Declared: {known} ({self._declared_in()})."
            )

    def render(self, values: Mapping[str, Any] | None, context: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the v1 Pod manifest, with the keys that Kubernetes has.

        values: the template's variables; left out ones take their defaults.
        context: dag_id, task_id, run_id, try_number, map_index, as far as they are known.
        Raises TemplateError with every mistake, file and line.
        """
        return self.rendered(values, context).pod

    def rendered(self, values: Mapping[str, Any] | None, context: Mapping[str, Any] | None = None) -> Rendered:
        """Return what `render` does, with the origin of each field."""
        self._require_small(values or {})
        given, others = _plain_where_possible(values or {})
        self._check(given, skip_jinja=False, errors=others)
        names = {**(context or {}), **self.variables.complete(given), **self._own_context()}
        fragment = self._fragment(names)
        text = fragment.text()
        if len(text) > _LONGEST:
            raise TemplateError(
                f"{self.where(None)} gives a pod of {len(text):,} characters; at most {_LONGEST:,} are read."
            )
        parsed = parse_yaml(text, fragment.fill)
        matches = [(mistake.place.offset, self._named(mistake)) for mistake in parsed.mistakes]
        if not matches:
            errors = shape_mistakes(parsed.data, _MOST_MISTAKES) or self._team_mistakes(parsed.data)
            matches = [(parsed.place(at).offset, f"{dotted(at)} {message}".strip()) for at, message in errors]
        if matches:
            raise TemplateError(
                error_list(
                    f"Pod template '{self.name}' does not give a valid pod:",
                    [
                        f"{self._origin(fragment, offset)}: {message}"
                        for offset, message in matches[:_MOST_MISTAKES]
                    ],
                )
            )
        return Rendered(self._completed(parsed.data), parsed, fragment)

    def texts(self) -> Iterator[str]:
        """Yield the text of the template's file, and of all that it is made of."""
        environment = self.folder.environment
        yield from (environment.folder.get_source(environment, name)[0] for name in self.folder.chain(self.file))

    def where(self, line: int | None) -> str:
        """Return the template's file, with the line where one is given, as messages show it."""
        return location(self.folder.root / self.file, self.folder.root, line)

    def _declared_in(self) -> str:
        root = self.folder.root
        files = {location(variable.file, root, None): None for variable in self.variables.variables.values()}
        return ", ".join(files) or self.where(None)

    def _own_context(self) -> dict[str, Any]:
        team = self.team
        return {
            "team": {
                "name": team.name,
                "namespace": team.namespace,
                "service_account": team.service_account,
                "vault_role": team.vault_role,
            },
            "images": team.images,
        }

    def _require_small(self, values: Mapping[str, Any]) -> None:
        try:
            limits.size_of(values)
        except TemplateRuntimeError as error:
            raise TemplateError(
                f"The variables of pod template '{self.name}' are too long: at most {limits.VALUE:,} characters, "
                f"and {limits.BITS:,} bits a number."
            ) from error

    def _fragment(self, names: Mapping[str, Any]) -> Fragment:
        try:
            for file in self.folder.chain(self.file):
                # Compiled once, and not within the time that a rendering has.
                self.folder.environment.get_template(file)
            template = self.folder.environment.get_template(self.file)
            with limits.budget():
                rendered: Any = template.render(names)
        except TemplateError:
            raise
        except Exception as error:
            raise self._jinja_mistake(error) from error
        fragment: Fragment = rendered
        return fragment

    def _jinja_mistake(self, error: Exception) -> TemplateError:
        file, line = self._jinja_place(error)
        text = str(error.message if isinstance(error, JinjaError) and error.message else error)
        if isinstance(error, TemplateNotFound):
            known = self.folder.files()
            text = (
                f"there is no template '{error.name}' in {self.folder.root}.{did_you_mean(str(error.name), known)}"
            )
        where = location(self.folder.root / file, self.folder.root, line)
        return TemplateError(error_list(f"Pod template '{self.name}' cannot be rendered:", [f"{where}: {text}"]))

    def _jinja_place(self, error: Exception) -> tuple[str, int | None]:
        if isinstance(error, TemplateSyntaxError):
            return error.name or self.file, error.lineno
        root = f"{self.folder.root}/"
        for frame in reversed(traceback.extract_tb(error.__traceback__)):
            if frame.filename.startswith(root):
                return frame.filename.removeprefix(root), frame.lineno
        return self.file, None

    def _named(self, mistake: Mistake) -> str:
        return mistake.sentence if mistake.path is None else f"{dotted(mistake.path)}: {mistake.sentence}"

    def _origin(self, fragment: Fragment, offset: int) -> str:
        file, line = fragment.origin(offset)
        return location(self.folder.root / (file or self.file), self.folder.root, line or None)

    def _team_mistakes(self, pod: dict[str, Any]) -> list[ShapeMistake]:
        """Return where the pod is not the team's, or not one that a task can run in."""
        errors = []
        for at, expected in self._team_fields():
            value: Any = pod
            for key in at:
                value = (value or {}).get(key)
            if value not in (None, expected):
                errors.append(ShapeMistake(at, f"is {value!r}; team '{self.team.name}' has '{expected}'."))
        return errors + _container_mistakes(pod["spec"])

    def _team_fields(self) -> tuple[tuple[tuple[str, str], str], ...]:
        return (
            (("metadata", "namespace"), self.team.namespace),
            (("spec", "serviceAccountName"), self.team.service_account),
        )

    def _completed(self, pod: dict[str, Any]) -> dict[str, Any]:
        """Return the pod with what the team's file says, where the template leaves it out."""
        completed: dict[str, Any] = _without_null(pod)
        for (section, key), value in self._team_fields():
            completed[section] = {**completed.get(section, {}), key: value}
        return completed


def _without_null(value: Any) -> Any:
    """Return the manifest without keys that are null, as empty blocks leave them: Kubernetes reads "not set"."""
    if isinstance(value, dict):
        return {key: _without_null(item) for key, item in value.items() if item is not None}
    return [_without_null(item) for item in value] if isinstance(value, list) else value


def _plain_where_possible(values: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the values read once, so that what is checked is what is rendered; and what is wrong with others.

    Those stay as they are, so that the check can say what was declared instead.
    """
    result, errors = {}, []
    for name, value in values.items():
        try:
            result[name] = plain(value)
        except TemplateRuntimeError as error:
            result[name] = value
            errors.append(f"{name}: {error.message}.")
    return result, errors


def _container_mistakes(spec: dict[str, Any]) -> list[ShapeMistake]:
    errors = []
    names: dict[str, str] = {}
    for section in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(section) or ()):
            at = ("spec", section, index, "name")
            if container["name"] in names:
                errors.append(ShapeMistake(at, f"is '{container['name']}' twice: names are unique in a pod."))
            names[container["name"]] = section
    if names.get(BASE_CONTAINER) != "containers":
        message = f"has no container named '{BASE_CONTAINER}', which is the one that the task runs in."
        errors.append(ShapeMistake(("spec", "containers"), message))
    return errors
