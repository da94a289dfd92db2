"""A template's variables as a form: fields made from their schema, and what was typed turned into values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from airflow_k8s_vault.teams import parse_yaml
from airflow_k8s_vault.templates import PodTemplate, Variable

# Form fields are named so that no variable can be taken for a parameter of the page.
PREFIX = "v."
# A form is part of a URL: more than this is no variable that somebody types.
LONGEST_TEXT = 4000
_TEXT = ("string", "quantity")


class Field(NamedTuple):
    """One variable: how it is shown, what was typed, and what is wrong with that in the import check's words."""

    name: str
    kind: str
    text: str
    placeholder: str
    description: str
    required: bool
    choices: tuple[str, ...]
    limits: tuple[tuple[str, Any], ...]
    errors: tuple[str, ...]

    @property
    def hint(self) -> str:
        """Return type, limits and default on one line."""
        parts = [self.kind, *(f"{name} {value}" for name, value in self.limits)]
        return ", ".join([*parts, "required" if self.required else f"default {self.placeholder or 'none'}"])


class Form(NamedTuple):
    """The fields, and the values that were typed; `errors` concern no single field."""

    fields: list[Field]
    values: dict[str, Any]
    errors: list[str]

    @property
    def is_valid(self) -> bool:
        return not self.errors and not any(field.errors for field in self.fields)


def read(template: PodTemplate, parameters: Mapping[str, str]) -> Form:
    """Return the form as it was filled in; a field that is empty, or not there, takes the variable's default."""
    typed = {name.removeprefix(PREFIX): text for name, text in parameters.items() if name.startswith(PREFIX)}
    variables = template.variables.variables
    errors = [f"{name[:100]!r} is no variable of this template." for name in typed if name not in variables]
    values: dict[str, Any] = {}
    fields = []
    for name, variable in variables.items():
        text = typed.get(name, "")
        messages: list[str] = []
        if len(text) > LONGEST_TEXT:
            messages = [f"{name}: has {len(text)} characters; the page takes {LONGEST_TEXT}."]
        elif text:
            values[name] = _typed(variable, text)
            messages = variable.mistakes(values[name])
        elif variable.required and typed:
            messages = [f"{name} is missing."]
        fields.append(_field(variable, text, messages))
    return Form(fields, values, errors)


def _typed(variable: Variable, text: str) -> Any:
    """Return text for a variable that is declared as text, and otherwise what YAML makes of it."""
    if variable.schema["type"] in _TEXT:
        return text
    parsed = parse_yaml(text)
    return text if parsed.mistakes else parsed.data


def _field(variable: Variable, text: str, errors: list[str]) -> Field:
    schema = variable.schema
    choices = tuple(_text(value) for value in schema.get("enum", ()))
    if schema["type"] == "boolean":
        choices = ("true", "false")
    limits = tuple((name, schema[key]) for key, name in _LIMITS if key in schema)
    default = "" if "default" not in schema else _text(schema["default"])
    description = str(schema.get("description", ""))
    return Field(
        variable.name,
        schema["type"],
        text,
        default,
        description,
        variable.required,
        choices,
        limits,
        tuple(errors),
    )


_LIMITS = (
    *(("minimum", "at least"), ("maximum", "at most"), ("minLength", "characters at least")),
    *(("maxLength", "characters at most"), ("pattern", "matching"), ("minItems", "items at least")),
    ("maxItems", "items at most"),
)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else repr(value)
