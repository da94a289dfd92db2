"""The agent's templates of Airflow's connections and variables: the text that the secrets backend would return.

The rules are lookups.shapes' and lookups.connection_rules', in Go. A single quote, which the kubelet's
environment file cannot carry, is written as JSON or a URI writes it, so that Airflow's Connection reads the
same; a variable's plain text cannot be.
"""

from __future__ import annotations

from airflow_k8s_vault import vault_path
from airflow_k8s_vault.delivery.agent import go
from airflow_k8s_vault.delivery.agent.failure import fail, shown
from airflow_k8s_vault.delivery.agent.go import call, result, when
from airflow_k8s_vault.lookups import ConnectionRules as rules
from airflow_k8s_vault.vault_secret import VaultSecret

_NO_CONNECTION = "the secret at '%s' is no connection: "
_TAKES = f"it takes conn_uri, or {', '.join(rules.FIELDS)}, and has %s"


def _error(sentence: str, *names: str) -> str:
    return fail(_NO_CONNECTION + sentence, "$.path", *names)


def _list(names: tuple[str, ...]) -> str:
    return f"(sprig_list {' '.join(map(go.text, names))})"


def _uri() -> str:
    """Of uri, field, path: fails where Airflow would misread it."""
    checks = [when('not (sprig_typeIs "string" .uri)', _error(rules.NO_TEXT, ".field"))]
    for pattern, sentence in rules.URI_MUST:
        checks.append(when(f"not (sprig_regexMatch {go.text(pattern)} .uri)", _error(sentence, ".field")))
    for pattern, sentence in rules.URI_MUST_NOT:
        checks.append(when(f"sprig_regexMatch {go.text(pattern)} .uri", _error(sentence, ".field")))
    checks.append('{{ $authority := sprig_regexFind "^[^/?#]*" (sprig_last (sprig_splitList "://" .uri)) }}')
    for pattern, sentence in rules.AUTHORITY_MUST_NOT:
        checks.append(when(f"sprig_regexMatch {go.text(pattern)} $authority", _error(sentence, ".field")))
    for pattern, sentence in rules.AUTHORITY_MUST:
        checks.append(when(f"not (sprig_regexMatch {go.text(pattern)} $authority)", _error(sentence, ".field")))
    return "".join(checks)


def _fields() -> str:
    """Of data, path: fails where a field is not as Airflow reads it."""
    known = when(f"not (sprig_has $name {_list(rules.FIELDS)})", _error(_TAKES, "$name"))
    is_text = '(eq (sprig_kindOf $field) "invalid") (sprig_typeIs "string" $field)'
    text = when(f"not (or {is_text})", _error(rules.NO_TEXT, "$name"))
    port = (
        f"{{{{ $pattern := {go.text(rules.PORT_NUMBER)} }}}}"
        + when('sprig_typeIs "string" $port', f"{{{{ $pattern = {go.text(rules.PORT_TEXT)} }}}}")
        + when("not (sprig_regexMatch $pattern (sprig_toString $port))", _error(rules.NO_PORT))
    )
    none = "{{ $extra = sprig_dict }}"
    parsed = when('ne $extra ""', "{{ $extra = sprig_fromJson $extra }}", none)
    extra = when('sprig_typeIs "string" $extra', parsed, when('eq (sprig_kindOf $extra) "invalid"', none))
    uri = call("uri", 'sprig_dict "uri" .data.uri "field" "uri" "path" .path')
    return "".join(
        [
            f"{{{{ range $name, $_ := .data }}}}{known}{{{{ end }}}}",
            f"{{{{ range $name := {_list(rules.TEXT_FIELDS)} }}}}",
            f"{{{{ $field := sprig_get $.data $name }}}}{text}{{{{ end }}}}",
            '{{ $port := sprig_get .data "port" }}',
            when('ne (sprig_kindOf $port) "invalid"', port),
            f'{{{{ $extra := sprig_get .data "extra" }}}}{extra}',
            when('ne (sprig_kindOf $extra) "map"', _error(rules.NO_EXTRA)),
            when('sprig_hasKey .data "uri"', when("gt (len .data) 1", _error(rules.URI_NOT_ALONE)) + uri),
        ]
    )


_MISSING = fail(
    "the secret at '%s' has no key 'value', which a variable needs; it has: %s",
    ".path",
    '(executeTemplate "keys" .data)',
)
_QUOTE = '| replaceAll "\'" "\\\\u0027"'
# Of data, path: the text that arrives.
BODIES = {
    "uri": _uri(),
    "fields": _fields(),
    "connection": '{{ $uri := sprig_get .data "conn_uri" }}'
    + when(
        "$uri",
        call("uri", 'sprig_dict "uri" $uri "field" "conn_uri" "path" .path')
        + '{{ $uri | replaceAll "\'" "%27" }}',
        when('sprig_hasKey .data "conn_uri"', _error("conn_uri is empty"))
        + f'{{{{ template "fields" . }}}}{{{{ .data | toUnescapedJSON {_QUOTE} }}}}',
    ),
    "airflow-variable": when('not (sprig_hasKey .data "value")', _MISSING)
    + '{{ $value := sprig_get .data "value" }}'
    + when('eq (sprig_kindOf $value) "invalid"', _MISSING)
    + when('not (sprig_typeIs "string" $value)', f"{{{{ $value = $value | toUnescapedJSON {_QUOTE} }}}}")
    + "{{ $value }}",
}
_TEMPLATES = {"connection": "connection", "variable": "airflow-variable"}


def line(secret: VaultSecret, name: str) -> str:
    """Return the expression of the environment file's line, of the KV secret in $data."""
    what = f"the value of {secret.kind} '{shown(secret.path)}'"
    names = go.named(name=name, what=what, way="delivery='secret'")
    path = go.text(shown(secret.path))
    value = f'executeTemplate {go.text(_TEMPLATES[secret.kind])} (sprig_dict "data" $data "path" {path})'
    return result("line", f'{names} "value" ({value})')


def find(secret: VaultSecret, version: int) -> tuple[str, str, str]:
    """Return what comes before reading, the expression of the API path to read, and what comes after.

    Where there are several places the folders are listed: the agent gives up on a read of what is not there. A
    template is rendered again until all that it read has arrived, so it must not fail because nothing was found
    yet: the variable is left out then, and the kubelet says that it is missing.
    """
    result = '{{ $at := "" }}'
    for location in secret.locations:
        name = location.path.rpartition("/")[2]
        here = go.text(vault_path.encoded(vault_path.kv_data(location, version)))
        take = when(f'and (eq . {go.text(name)}) (eq $at "")', f"{{{{ $at = {here} }}}}")
        folder = go.text(vault_path.kv_list(location, version))
        result += f"{{{{ range secrets {folder} }}}}{take}{{{{ end }}}}"
    return f"{result}{{{{ if $at }}}}", "$at", "{{ end }}"
