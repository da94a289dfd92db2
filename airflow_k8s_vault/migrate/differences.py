"""What differs between several pods, as variables of one template."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from airflow_k8s_vault import quantity
from airflow_k8s_vault.errors import MigrationError
from airflow_k8s_vault.migrate.template_text import Expression
from airflow_k8s_vault.policy import MERGE_KEYS, FieldPath, shown_path, volume_kinds
from airflow_k8s_vault.templates import BASE_CONTAINER, CONTEXT_NAMES

# What a DAG may choose freely: all else is one of the values that the inputs have.
_FREE = frozenset(("labels", "annotations", "env", "command", "args"))
_TYPES = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array", dict: "object"}


class Variable(NamedTuple):
    """One variable of the template. values: of each input, None where it does not have the field."""

    name: str
    schema: dict[str, Any]
    values: tuple[Any, ...]


class Merged(NamedTuple):
    """One pod for all inputs, with Expressions for what differs. fields: path to variable."""

    pod: dict[str, Any]
    variables: dict[str, Variable]
    fields: dict[FieldPath, str]

    def values(self, number: int) -> dict[str, Any]:
        """Return the template_vars with which the template gives the input of that number."""
        result = {}
        for name, variable in self.variables.items():
            value = variable.values[number]
            if value is not None and value != variable.schema.get("default"):
                result[name] = value
        return result


def merge(pods: Sequence[dict[str, Any]], aliases: Mapping[str, str]) -> Merged:
    """Return the pods as one; aliases: image to its name in team.yaml."""
    merger = _Merger(aliases)
    return Merged(merger.value(list(pods), ()), merger.variables, merger.fields)


class _Merger:
    def __init__(self, aliases: Mapping[str, str]) -> None:
        self.aliases = aliases
        self.variables: dict[str, Variable] = {}
        self.fields: dict[FieldPath, str] = {}

    def value(self, values: list[Any], path: FieldPath) -> Any:
        if _is_image(path) and all(isinstance(value, str) for value in values):
            return self.image(values, path)
        if all(isinstance(value, dict) for value in values) and not _are_other_volumes(values, path):
            keys = dict.fromkeys(key for value in values for key in value)
            return {key: self.value([value.get(key) for value in values], (*path, key)) for key in keys}
        names = [_names(value, path) for value in values]
        if names[0] is not None and all(each == names[0] for each in names):
            return [self.value([value[at] for value in values], (*path, name)) for at, name in enumerate(names[0])]
        if all(value == values[0] for value in values):
            return values[0]
        return self.variable(values, path)

    def image(self, values: list[str], path: FieldPath) -> Expression:
        names = [self.aliases[value] for value in values]
        if len(set(names)) == 1:
            return Expression(_item("images", names[0]))
        return Expression(f"images[{self.variable(names, path).code}]")

    def variable(self, values: list[Any], path: FieldPath) -> Expression:
        schema = _schema(values, path)
        for variable in self.variables.values():
            is_same = _same(variable.values, tuple(values)) and path[-1] in self.last(variable)
            if is_same and variable.schema["type"] == schema["type"]:
                self.fields[path] = variable.name
                return Expression(variable.name)
        name = _free_name(path, self.variables)
        self.variables[name] = Variable(name, schema, tuple(values))
        self.fields[path] = name
        return Expression(name)

    def last(self, variable: Variable) -> set[str]:
        return {path[-1] for path, name in self.fields.items() if name == variable.name}


def _same(one: Any, other: Any) -> bool:
    # As text: to Python 1 is True.
    return json.dumps(one) == json.dumps(other)


def _item(mapping: str, name: str) -> str:
    """Return the expression for an entry; a dict's own methods hide entries that are called like them."""
    return (
        f"{mapping}.{name}"
        if name.isidentifier() and not hasattr(dict, name)
        else f"{mapping}[{json.dumps(name)}]"
    )


def _is_image(path: FieldPath) -> bool:
    in_container = len(path) == 4 and path[1] in ("containers", "initContainers") and path[3] == "image"
    return in_container or (path[:2] == ("spec", "volumes") and path[3:] == ("image", "reference"))


def _are_other_volumes(values: list[Any], path: FieldPath) -> bool:
    """Return whether these are volumes of several kinds: half of each would be none."""
    if len(path) != 3 or path[:2] != ("spec", "volumes"):
        return False
    return any(volume_kinds(value) != volume_kinds(values[0]) for value in values)


def _names(value: Any, path: FieldPath) -> list[str] | None:
    key = MERGE_KEYS.get(path[-1]) if path else None
    if not key or not isinstance(value, list) or not all(isinstance(item, dict) and key in item for item in value):
        return None
    names = [str(item[key]) for item in value]
    return names if len(set(names)) == len(names) else None


def _schema(values: list[Any], path: FieldPath) -> dict[str, Any]:
    given = [value for value in values if value is not None]
    kinds = {_TYPES[type(value)] for value in given}
    is_quantity = "resources" in path and all(quantity.parse(value) is not None for value in given)
    if len(kinds) > 1 and not is_quantity:
        raise MigrationError(
            f"{shown_path(path)} differs in type between the inputs ({', '.join(sorted(kinds))}): "
            "import one by one."
        )
    schema: dict[str, Any] = {"description": f"{shown_path(path)}."}
    schema["type"] = "quantity" if is_quantity else kinds.pop()
    if len(given) == len(values):
        schema["default"] = values[0]
    else:
        schema["required"] = False
    if is_quantity:
        by_amount = sorted(given, key=lambda value: quantity.parse(value) or 0)
        return {**schema, "minimum": by_amount[0], "maximum": by_amount[-1]}
    words = [item for value in given for item in (value if isinstance(value, list) else [value])]
    if _FREE.intersection(path) and all(isinstance(word, str) for word in words):
        return schema | ({"items": {"type": "string"}} if schema["type"] == "array" else {})
    return {**schema, "enum": [json.loads(text) for text in dict.fromkeys(map(json.dumps, given))]}


def _free_name(path: FieldPath, taken: Mapping[str, Any]) -> str:
    of_entry = path[-1] == "value" and "env" in path
    last = path[-2] if of_entry else path[-1].rpartition("/")[2]
    before = path[-2] if len(path) > 1 else ""
    container = path[2] if path[2:] and path[1] in ("containers", "initContainers") else ""
    prefix = "" if container in ("", BASE_CONTAINER) else f"{container}_"
    candidates = [f"{prefix}{last}", f"{prefix}{last}_{before.removesuffix('s')}"]
    candidates += [f"{prefix}{last}_{number}" for number in range(2, len(taken) + 4)]
    names = [_variable_name(candidate) for candidate in candidates]
    return next(name for name in names if name not in taken and name not in CONTEXT_NAMES)


def _variable_name(text: str) -> str:
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", text).lower() if text != text.upper() else text.lower()
    name = re.sub(r"[^a-z0-9]+", "_", words).strip("_")
    return name if name[:1].isalpha() else f"v_{name}"
