"""The text of team.yaml and platform.yaml that an import needs: new ones, or lines in one that is there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_k8s_vault.errors import MigrationError
from airflow_k8s_vault.migrate.template_text import yaml_text
from airflow_k8s_vault.teams import parse_yaml

# What a task of KubernetesPodOperator sets most, and what the starter's team opens.
_OVERRIDABLE = ("arguments", "cmds", "env_vars", "labels")


def new(team: str, entries: Mapping[str, Any], images: Mapping[str, str], level: str) -> str:
    """Return a team.yaml. entries: what the inputs say, with the paths of Vault as far as they are known."""
    defaults = {"namespace": f"team-{team}", "service_account": f"airflow-{team}", "vault_role": team}
    lines = [f"# Team {team}, as its pods were when they were imported."]
    for key, default in defaults.items():
        note = "" if key in entries else "  # TODO: no input says it."
        lines.append(f"{yaml_text({key: entries.get(key, default)}).strip()}{note}")
    lines.append(yaml_text({"images": dict(images)}).rstrip())
    lines.append(
        "# Vault paths that DAGs may ask for, as `vault kv get` takes them. `/*` covers everything below."
    )
    if paths := entries.get("secrets"):
        lines.append(yaml_text({"secrets": paths}).rstrip())
    else:
        lines.append(f"# TODO: secrets: [secret/{team}/*]")
    if entries.get("update"):
        lines.append("# Vault paths where Vault makes a credential on request, with parameters.")
        lines.append(yaml_text({"update": entries["update"]}).rstrip())
    lines.append("# KubernetesPodOperator arguments that DAGs may set. All others that shape the pod are locked.")
    lines.append(f"overridable: [{', '.join(entries.get('overridable', _OVERRIDABLE))}]")
    if entries.get("image_pull_secrets"):
        lines.append(yaml_text({"image_pull_secrets": entries["image_pull_secrets"]}).rstrip())
    if level != "privileged":
        lines.append(f"pod_security: {level}")
    return "\n".join(lines) + "\n"


def platform(level: str) -> str:
    """Return a platform.yaml for pods that do not meet `restricted`, which it would be without one."""
    return (
        "# Limits that no team's file can widen.\n"
        "# TODO: the pods that were imported meet no stricter Pod Security Standard; a team can.\n"
        f"pod_security: {level}\n"
    )


def extended(text: str, additions: Mapping[str, Any], name: str) -> str:
    """Return the text of a team.yaml with further entries of maps and lists; its lines and comments stay.

    Raises MigrationError where its YAML takes none: with what to add by hand.
    """
    result = text
    expected = dict(parse_yaml(text).data or {})
    for key, more in additions.items():
        result = _with(result, key, more)
        old = expected.get(key)
        expected[key] = {**(old or {}), **more} if isinstance(more, Mapping) else [*(old or ()), *more]
    parsed = parse_yaml(result)
    if parsed.mistakes or not _equal(parsed.data, expected):
        raise MigrationError(f"{name} could not be extended. Add by hand:\n{yaml_text(dict(additions))}")
    return result


def _equal(actual: Any, expected: Mapping[str, Any]) -> bool:
    if not isinstance(actual, dict) or set(actual) != set(expected):
        return False
    return all(
        sorted(map(str, actual[key])) == sorted(map(str, value))
        if isinstance(value, list)
        else actual[key] == value
        for key, value in expected.items()
    )


def _with(text: str, key: str, more: Any) -> str:
    """Return the text with the entries first in the key's map or list, written as that is."""
    parsed = parse_yaml(text)
    value = (parsed.data or {}).get(key)
    if not value:
        lines = text.splitlines(keepends=True)
        if key in (parsed.data or {}):
            # Empty: written anew.
            del lines[parsed.keys[(key,)].line - 1]
        end = "" if not lines or lines[-1].endswith("\n") else "\n"
        return "".join(lines) + end + yaml_text({key: more})
    at = parsed.values[(key,)].offset
    entries = yaml_text(more).splitlines()
    if text[at] in "{[":
        return f"{text[: at + 1]}{', '.join(entry.removeprefix('- ') for entry in entries)}, {text[at + 1 :]}"
    first = parsed.keys if isinstance(value, dict) else parsed.values
    place = first[(key, next(iter(value)) if isinstance(value, dict) else 0)]
    start = text.rfind("\n", 0, place.offset) + 1
    indent = len(text[start : place.offset]) - len(text[start : place.offset].lstrip())
    added = "".join(f"{' ' * indent}{entry.strip()}\n" for entry in entries)
    return text[:start] + added + text[start:]
