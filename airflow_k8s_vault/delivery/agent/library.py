"""The named templates that the agent's templates call: each does one thing with the data that it is given.

They get names and texts as data, so nothing that a task or Vault says is ever part of a template's own text. What
is wrong with a secret makes them fail with a sentence of `failure`; it holds names of keys, never a value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from airflow_k8s_vault.delivery import base64_text, sizes
from airflow_k8s_vault.delivery.agent.failure import fail
from airflow_k8s_vault.delivery.agent.go import call, text, when
from airflow_k8s_vault.delivery.sizes import EMPTY

# What the kubelet's format has no way to write, as Go writes it, and what it is called.
_UNWRITABLE = {"`'`": "a single quote", '"\\r\\n"': "a carriage return before a newline", '"\\x00"': "a NUL"}


def _carried() -> str:
    """Of value, what, way: whether the kubelet's environment file can carry it."""
    # For the kubelet an empty value is a key that is not there.
    checks = [when('eq .value ""', fail(f"%s {EMPTY}", ".what"))]
    for characters, name in _UNWRITABLE.items():
        message = fail(f"%s holds {name}, which a variable cannot carry here: use %s", ".what", ".way")
        checks.append(when(f"sprig_contains {characters} .value", message))
    limit = sizes.AGENT_VARIABLE_BYTES
    too_long = f"%s has %d bytes, and a variable carries {limit} at most here: use %s"
    checks.append(when(f"gt (len .value) {limit}", fail(too_long, ".what", "(len .value)", ".way")))
    return "".join(checks)


_KEYS = '(executeTemplate "keys" .data)'
_KEY = '(executeTemplate "shown" .key)'

BODIES = {
    # Of a map: the names of its keys.
    "keys": '{{ sprig_keys . | sprig_sortAlpha | sprig_join ", " }}',
    # Of answer, path: whether it is what the engine gives.
    "kv2": '{{ $about := sprig_get .answer "metadata" }}'
    + when(
        'sprig_kindIs "map" $about',
        when(
            'sprig_get $about "destroyed"',
            fail("version %s of '%s' was destroyed", '(sprig_toString (sprig_get $about "version"))', ".path"),
        ),
    )
    + when('not (sprig_get .answer "data")', fail("'%s' is no KV 2 secret, or empty: is engine= right?", ".path")),
    # The envelope of KV 2 would pass for a secret with the keys `data` and `metadata`.
    "plain": when(
        'and (eq (len .answer) 2) (sprig_hasKey .answer "data") (sprig_hasKey .answer "metadata")',
        fail("'%s' is no %s secret, or empty: is engine= right?", ".path", ".engine"),
    ),
    # Of a name: the name as failure.shown has it.
    "shown": '{{ . | replaceAll "\\\\" "%5C" | replaceAll "\\"" "%22" }}',
    # Of data, path, key: its value as text, numbers and the like as JSON. A number arrives as json.Number,
    # which is of kind string but not of that type.
    "value": (
        when(
            "not (sprig_hasKey .data .key)",
            fail("secret '%s' has no key '%s'; it has: %s", ".path", _KEY, _KEYS),
        )
        + "{{ $value := index .data .key }}"
        + when('eq (sprig_kindOf $value) "invalid"', fail("key '%s' of '%s' is null", _KEY, ".path"))
        + when('not (sprig_typeIs "string" $value)', "{{ $value = $value | toUnescapedJSON }}")
        + "{{ $value }}"
    ),
    # As `value`, of base64: the bytes. In lines, as many programs write it, too.
    "bytes": '{{ $text := executeTemplate "value" . | regexReplaceAll "[\\\\r\\\\n]" "" }}'
    + when(
        f"not (sprig_regexMatch {text(base64_text.PATTERN)} $text)",
        fail("key '%s' of '%s' is no base64", _KEY, ".path"),
    )
    + "{{ base64Decode $text }}",
    "carried": _carried(),
    # Of name, value, what, way: one line of an environment file.
    "line": "{{ template \"carried\" . }}{{ .name }}='{{ .value }}'\n",
    # As `value`, with name: the line of one key.
    "variable": call(
        "line",
        'sprig_dict "name" .name "value" (executeTemplate "value" .) "way" "file=" '
        f"\"what\" (printf \"key '%s' of '%s'\" {_KEY} .path)",
    ),
}


def complete(template: str, bodies: Mapping[str, str]) -> str:
    """Return the template with the named ones that it calls, and those that these call, before it."""
    needed: dict[str, None] = {}
    left = _called(template)
    while left:
        name = left.pop()
        if name not in needed:
            needed[name] = None
            left += _called(bodies[name])
    definitions = ['{{ define "' + name + '" }}' + bodies[name] + "{{ end }}" for name in sorted(needed)]
    return "".join([*definitions, template])


def _called(template: str) -> list[str]:
    return re.findall(r'(?:\{ template|executeTemplate) "([a-z0-9-]+)"', template)
