"""The variables of a template, declared next to it: `etl.vars.yaml` beside `etl.yaml.j2`.

Each is a JSON Schema property with two things added: `required`, true where there is no default, and the type
`quantity` (Kubernetes' "500m" or "2Gi"), whose `minimum` and `maximum` are quantities.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

from airflow_k8s_vault import quantity
from airflow_k8s_vault.errors import TemplateError, did_you_mean, error_list
from airflow_k8s_vault.teams import Document, Mistake, dotted, location, parse_yaml
from airflow_k8s_vault.templates import patterns

VARIABLES_SUFFIX = ".vars.yaml"
# What the rendering context holds beside the variables (see template.context).
CONTEXT_NAMES = ("team", "images", "dag_id", "task_id", "run_id", "try_number", "map_index")
TYPES = ("string", "integer", "number", "boolean", "array", "object", "quantity")
KEYWORDS = (
    *("type", "description", "required", "default", "enum", "const", "examples"),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    *("minLength", "maxLength", "pattern", "items", "minItems", "maxItems", "uniqueItems"),
    *("properties", "additionalProperties", "minProperties", "maxProperties", "propertyNames"),
)
# Where a declaration holds others.
BELOW = ("items", "additionalProperties", "propertyNames")
# Keys and entries of a file, and variables of a template with all that it is made of: each takes its time.
MOST_ENTRIES, MOST_VARIABLES = 2_000, 500
_MOST_MISTAKES = 50
_NAME = re.compile(r"[a-z][a-z0-9_]{0,127}")


@dataclass(frozen=True, eq=False)
class Variable:
    """One declared variable. `default` is None where there is none; `required`: a DAG has to give it."""

    name: str
    schema: dict[str, Any]
    file: Path
    line: int

    @property
    def default(self) -> Any:
        return self.schema.get("default")

    @property
    def required(self) -> bool:
        return bool(self.schema.get("required", "default" not in self.schema))

    def mistakes(self, value: Any) -> list[str]:
        """Return one sentence for each way in which the value is not what the declaration asks for."""
        return [_sentence(self.name, error) for error in _validator(self).iter_errors(value)]


@dataclass(frozen=True, eq=False)
class Declared:
    """The variables of one file, or of a template with all that it extends and includes."""

    variables: dict[str, Variable]

    def mistakes(self, values: Mapping[str, Any], *, skip_jinja: bool) -> list[str]:
        """Return what is wrong with the values: missing, unknown (with did-you-mean), not as declared.

        skip_jinja: leave out values that hold Airflow's own Jinja, which will be something else by run time.
        """
        errors = [
            f"{name} is no variable of this template.{did_you_mean(str(name), self.variables)}"
            for name in values
            if name not in self.variables
        ]
        for name, variable in self.variables.items():
            if name not in values:
                if variable.required:
                    errors.append(f"{name} is missing. {variable.schema.get('description', '')}".strip())
            elif not (skip_jinja and holds_jinja(values[name])):
                errors += variable.mistakes(values[name])
        return errors

    def complete(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values with defaults for what they leave out (None where there is no default)."""
        return {name: values.get(name, variable.default) for name, variable in self.variables.items()}


def holds_jinja(value: object) -> bool:
    """Return whether a value, or anything in it, is text with Jinja in it."""
    if isinstance(value, str):
        return "{{" in value or "{%" in value
    if isinstance(value, Mapping):
        return any(holds_jinja(item) for item in (*value, *value.values()))
    return isinstance(value, list | tuple) and any(holds_jinja(item) for item in value)


@lru_cache(maxsize=1024)
def combined(files: tuple[Declared, ...]) -> Declared:
    """Return the variables of all files, nearest first: a template's own declaration beats its parent's."""
    variables: dict[str, Variable] = {}
    for declared in reversed(files):
        variables |= declared.variables
    return Declared(dict(sorted(variables.items())))


def read(text: str, file: Path, templates_dir: Path) -> Declared:
    """Return the variables that the text of a file declares.

    Raises TemplateError with every mistake, file and line: an unknown keyword, no type, a default or an enum
    value that its own limits refuse, a name that the rendering context already has.
    """
    parsed = parse_yaml(text)
    data = {} if parsed.data is None else parsed.data
    matches = list(parsed.mistakes)
    variables: dict[str, Variable] = {}
    if not isinstance(data, dict):
        matches.append(Mistake(parsed.place(()), "must map each variable's name to its declaration."))
    elif len(parsed.values) > MOST_ENTRIES:
        matches.append(Mistake(parsed.place(()), f"holds more than {MOST_ENTRIES:,} keys and entries."))
    elif not matches:
        for name, schema in data.items():
            if len(matches) > _MOST_MISTAKES:
                break
            errors = list(islice(_declaration_mistakes(name, schema), _MOST_MISTAKES))
            matches += [Mistake(parsed.place((name, *at)), f"{name} {message}") for at, message in errors]
            if not errors:
                variables[name] = Variable(name, schema, file, parsed.place((name,)).line)
                matches += _own_values(variables[name], parsed)
    if matches:
        lines = [f"line {mistake.place.line}: {mistake.sentence}" for mistake in matches[:_MOST_MISTAKES]]
        raise TemplateError(error_list(f"{location(file, templates_dir, None)} has mistakes:", lines))
    return Declared(variables)


def _declaration_mistakes(name: str, schema: Any) -> Iterator[tuple[tuple[str, ...], str]]:
    if not _NAME.fullmatch(name):
        yield (), "is no name of a variable (lower case, digits, _; a letter first)."
    if name in CONTEXT_NAMES:
        yield (), "is a name that every template has already; choose another."
    if not isinstance(schema, dict):
        yield (), "has no declaration; the least is `type: string`."
        return
    if schema.get("type") is None:
        yield (), f"has no type; it is one of {', '.join(TYPES)}."
    elif schema["type"] not in TYPES:
        near = did_you_mean(str(schema.get("type")), TYPES)
        yield ("type",), f"has type {schema.get('type')!r}, which is none of {', '.join(TYPES)}.{near}"
    yield from _unknown_keywords(schema)
    if not isinstance(schema.get("required", True), bool):
        yield ("required",), "has a `required` that is neither true nor false."
    if schema.get("type") == "quantity":
        for limit in ("minimum", "maximum"):
            if limit in schema and not _is_quantity(schema[limit]):
                yield (limit,), f"has {limit} {schema[limit]!r}, which is no quantity ('500m', '2Gi')."


def _unknown_keywords(
    schema: Mapping[str, Any], at: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield each keyword that is none, at any depth: a `$ref` would be fetched, and could lead to itself."""
    for keyword in schema:
        if keyword not in KEYWORDS:
            where = f" in {dotted(at)}" if at else ""
            near = did_you_mean(keyword, KEYWORDS)
            yield (*at, keyword), f"has the unknown keyword '{keyword}'{where}.{near}"
    for place, below in schemas_below(schema):
        yield from _unknown_keywords(below, (*at, *place))


def schemas_below(schema: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    """Yield the declarations that one holds, each with the keys that lead to it."""
    for key in BELOW:
        if isinstance(schema.get(key), Mapping):
            yield (key,), schema[key]
    properties = schema.get("properties")
    for name, below in properties.items() if isinstance(properties, Mapping) else ():
        if isinstance(below, Mapping):
            yield ("properties", name), below


def _own_values(variable: Variable, parsed: Document) -> Iterator[Mistake]:
    import jsonschema

    try:
        # Without its formats: a pattern is RE2's, and not for Python to compile.
        jsonschema.Draft202012Validator.check_schema(_standard(variable.schema), jsonschema.FormatChecker(()))
    except jsonschema.SchemaError as error:
        yield Mistake(parsed.place((variable.name, *error.path)), f"{variable.name}: {error.message}.")
        return
    errors = [
        Mistake(parsed.place((variable.name, *at)), f"{variable.name} has pattern {pattern!r}: {text}")
        for at, pattern in patterns_of(variable.schema)
        if (text := patterns.mistake(pattern))
    ]
    if errors:
        yield from errors
        return
    # Each of an enum is one of them: to compare each with each takes its time.
    others = replace(variable, schema={key: one for key, one in variable.schema.items() if key != "enum"})
    values = [("default", variable, variable.default)] if "default" in variable.schema else []
    values += [("enum", others, value) for value in variable.schema.get("enum", ())]
    for keyword, by, value in values:
        for text in by.mistakes(value):
            yield Mistake(parsed.place((variable.name, keyword)), f"{keyword} of {text}")


def patterns_of(schema: Mapping[str, Any], at: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield each pattern of a valid declaration, with the keys that lead to it."""
    if "pattern" in schema:
        yield (*at, "pattern"), schema["pattern"]
    for place, below in schemas_below(schema):
        yield from patterns_of(below, (*at, *place))


def _standard(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the declaration in JSON Schema's own words, without what we add to them."""
    ours = {"required"} | ({"minimum", "maximum"} if schema["type"] == "quantity" else set())
    kept = {keyword: value for keyword, value in schema.items() if keyword not in ours}
    return kept | ({"type": ["string", "number"]} if schema["type"] == "quantity" else {})


@lru_cache(maxsize=4096)
def _validator(variable: Variable) -> Any:
    schema = {keyword: value for keyword, value in variable.schema.items() if keyword != "required"}
    return _validators(variable.schema["type"] == "quantity")(schema)


@lru_cache(maxsize=2)
def _validators(of_quantities: bool) -> Any:
    # Imported on first use: a DAG whose templates declare nothing does without.
    import jsonschema

    checks = {"pattern": patterns.check, "uniqueItems": _unique_items}
    checks |= {"minimum": _minimum, "maximum": _maximum} if of_quantities else {}
    base = jsonschema.Draft202012Validator
    types = base.TYPE_CHECKER.redefine("quantity", lambda _, value: _is_quantity(value))
    return jsonschema.validators.extend(base, checks, type_checker=types)


def _unique_items(_: Any, is_unique: bool, value: Any, schema: Any) -> Iterator[Any]:
    # jsonschema compares each entry with each.
    import jsonschema

    if is_unique and isinstance(value, list):
        written = [json.dumps(_as_json_has_it(item), sort_keys=True) for item in value]
        if len(set(written)) < len(written):
            yield jsonschema.ValidationError("holds an entry twice")


def _as_json_has_it(value: Any) -> Any:
    """Return the value with 1.0 as 1, which JSON Schema takes for the same number."""
    if isinstance(value, dict):
        return {key: _as_json_has_it(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_json_has_it(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _is_quantity(value: Any) -> bool:
    """Nothing in a pod takes a negative one."""
    amount = quantity.parse(value)
    return amount is not None and not amount.is_signed()


def _minimum(_: Any, limit: Any, value: Any, schema: Any) -> Iterable[Any]:
    return _outside(limit, value, "less than the minimum of", -1)


def _maximum(_: Any, limit: Any, value: Any, schema: Any) -> Iterable[Any]:
    return _outside(limit, value, "more than the maximum of", 1)


def _outside(limit: Any, value: Any, comparison: str, sign: int) -> Iterator[Any]:
    import jsonschema

    requested, allowed = quantity.parse(value), quantity.parse(limit)
    if requested is not None and allowed is not None and (requested - allowed) * sign > 0:
        yield jsonschema.ValidationError(f"{value!r} is {comparison} {limit}")


def _sentence(name: str, error: Any) -> str:
    at = dotted((name, *error.absolute_path))
    text = error.message
    if error.validator == "type":
        text = f"{error.instance!r} is no {error.validator_value}"
        if error.validator_value == "quantity":
            text += " (such as 500m or 2Gi)"
    elif error.validator == "enum":
        allowed = ", ".join(json.dumps(item) for item in error.validator_value)
        text = f"{error.instance!r} is none of {allowed}"
    return f"{at}: {text}."
