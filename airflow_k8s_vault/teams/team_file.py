"""What team.yaml and platform.yaml may hold: one line of data a key. Checks and JSON Schema are read from it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

from airflow_k8s_vault.errors import did_you_mean
from airflow_k8s_vault.teams.document import Document, Mistake, Path, dotted
from airflow_k8s_vault.teams.pod_arguments import OPENABLE

POD_SECURITY = ("privileged", "baseline", "restricted")

# https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_SUBDOMAIN = r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?"
# https://github.com/distribution/reference/blob/main/reference.go, ASCII and lower case as it is there.
_COMPONENT = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*"
_DOMAIN = r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?"
IMAGE = (
    rf"({_DOMAIN}/)?{_COMPONENT}(/{_COMPONENT})*"
    r"(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(@sha256:[0-9a-f]{64})?"
)
# A ceiling: the mount is literal, `*` is the only wildcard.
_CEILING = r"[A-Za-z0-9_][A-Za-z0-9_.@-]*(/[A-Za-z0-9_*][A-Za-z0-9_.@*-]*)+"


@dataclass(frozen=True)
class Key:
    """One key of the file. `must` finishes the sentence "… must be"; `pattern` holds each text in it."""

    name: str
    kind: Literal["text", "flag", "list", "map"]
    must: str
    description: str
    pattern: str = ""
    choices: tuple[str, ...] = ()
    required: bool = False
    default: Any = None


_OVERRIDABLE = Key(
    "overridable",
    "list",
    "a KubernetesPodOperator argument that can be opened",
    "KubernetesPodOperator arguments that a DAG may set. All others that shape the pod are locked.",
    choices=OPENABLE,
)
_POD_SECURITY = Key(
    "pod_security",
    "text",
    f"one of {', '.join(POD_SECURITY)}",
    "Pod Security Standard that every pod has to meet. A team can only be stricter than the platform.",
    choices=POD_SECURITY,
)

TEAM_KEYS = (
    Key(
        "namespace",
        "text",
        "the name of a Kubernetes namespace (lower case, digits, -)",
        "Namespace of all the team's pods.",
        _LABEL,
        required=True,
    ),
    Key(
        "service_account",
        "text",
        "the name of a Kubernetes service account (lower case, digits, - .)",
        "Service account that the pods run as, and log in to Vault with.",
        _SUBDOMAIN,
        required=True,
    ),
    Key(
        "vault_role",
        "text",
        "the name of a Vault role (letters, digits, _ . -)",
        "Role of Vault's auth method that the pods log in to.",
        r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}",
        required=True,
    ),
    Key(
        "images",
        "map",
        "an image reference ('python:3.12-slim')",
        "Images that the team's containers may run, by the alias that templates use.",
        IMAGE,
        required=True,
    ),
    Key(
        "secrets",
        "list",
        "a Vault path with `*` as the only wildcard, and no wildcard in the mount ('secret/payments/*')",
        "Ceiling of what the team's pods may ask Vault for. `*` stands for anything within one segment; "
        "a path that ends in /* covers everything below.",
        _CEILING,
    ),
    _OVERRIDABLE,
    _POD_SECURITY,
)

PLATFORM_KEYS = (
    _OVERRIDABLE,
    _POD_SECURITY,
    Key(
        "registries",
        "list",
        "a registry, with a path where wanted ('registry.example.com/payments')",
        "Registries that images may come from. Not set: any.",
        rf"{_DOMAIN}(/{_COMPONENT})*",
    ),
    Key(
        "digests_only",
        "flag",
        "true or false",
        "Whether every image has to be named by digest (@sha256:…).",
        default=False,
    ),
    Key(
        "hook_fields",
        "list",
        "a field of the pod ('spec.tolerations', 'metadata.annotations[prometheus.io/scrape]')",
        "Fields that Airflow's pod_mutation_hook may change. What it changes beside them is refused.",
        r"(metadata|spec)(\.[A-Za-z]+(\[[^\[\]]+\])?)+",
    ),
)


def mistakes(document: Document, keys: tuple[Key, ...]) -> list[Mistake]:
    """Return what the file holds wrong, in the order of its lines; empty where it is valid."""
    found = list(document.mistakes)
    data = document.data if document.data is not None or keys is TEAM_KEYS else {}
    if not found and not isinstance(data, dict):
        return [Mistake(document.place(()), "must hold keys and values.")]
    if isinstance(data, dict):
        known = {key.name: key for key in keys}
        for name, value in data.items():
            if name not in known:
                sentence = f"{name} is no key of this file.{did_you_mean(name, known)}"
                found.append(Mistake(document.place((name,)), sentence, (name,)))
            else:
                found += _value_mistakes(document, known[name], value)
        missing = [key for key in keys if key.required and key.name not in data]
        found += [
            Mistake(document.place(()), f"{key.name} is missing. {key.description}", (key.name,))
            for key in missing
        ]
    return sorted(found, key=lambda mistake: mistake.place)


def _value_mistakes(document: Document, key: Key, value: object) -> list[Mistake]:
    whole: dict[str, type] = {"text": str, "flag": bool, "list": list, "map": dict}
    path: Path = (key.name,)
    if not isinstance(value, whole[key.kind]):
        shape = {"list": "a list; each entry must be ", "map": "a mapping; each value must be "}.get(key.kind, "")
        return [Mistake(document.place(path), f"{key.name} is {value!r}; it must be {shape}{key.must}.", path)]
    texts: dict[Path, Any] = {path: value}
    if isinstance(value, list):
        texts = {(*path, index): item for index, item in enumerate(value)}
    elif isinstance(value, dict):
        texts = {(*path, name): item for name, item in value.items()}
    return [
        Mistake(document.place(at), f"{dotted(at)} is {text!r}; it must be {key.must}.{_near(key, text)}", at)
        for at, text in texts.items()
        if not _fits(key, text)
    ]


def _fits(key: Key, text: Any) -> bool:
    if key.kind == "flag":
        return True
    if not isinstance(text, str):
        return False
    return text in key.choices if key.choices else re.fullmatch(key.pattern, text, re.ASCII) is not None


def _near(key: Key, text: Any) -> str:
    return did_you_mean(text, key.choices) if key.choices and isinstance(text, str) else ""


def json_schema(keys: tuple[Key, ...]) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of the file, for editors."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "additionalProperties": False,
        "required": [key.name for key in keys if key.required],
        "properties": {key.name: _property(key) for key in keys},
    }


def _property(key: Key) -> dict[str, Any]:
    item: dict[str, Any] = {"type": "boolean" if key.kind == "flag" else "string"}
    if key.choices:
        item["enum"] = list(key.choices)
    elif key.pattern:
        item["pattern"] = f"^({key.pattern})$"
    if key.kind == "list":
        item = {"type": "array", "items": item}
    elif key.kind == "map":
        item = {"type": "object", "additionalProperties": item}
    return {"description": key.description, **item}
