"""The agent's templates of Airflow's connections and variables: the text that the secrets backend would return.

The rules are lookups.shapes', in Go. A single quote, which the kubelet's environment files cannot carry, is
written as JSON or a URI writes it, so that Airflow's Connection reads the same; a variable's plain text cannot be.
"""

from __future__ import annotations

from airflow_k8s_vault.delivery.agent.failure import fail, refuse
from airflow_k8s_vault.lookups import CONNECTION_FIELDS
from airflow_k8s_vault.vault_secret import VaultSecret


def value(secret: VaultSecret) -> str:
    """Return the text that sets $value from $data, the KV secret that was found."""
    return _connection(secret) if secret.kind == "connection" else _variable(secret)


def find(secret: VaultSecret) -> tuple[str, str, str]:
    """Return what comes before reading, the expression of the path to read, and what comes after.

    Where there are several places the folders are listed: the agent gives up on a read of what is not there. A
    template is rendered again until all that it read has arrived, so it must not fail because nothing was found
    yet: the variable is left out then, and the kubelet says that it is missing.
    """
    if not secret.elsewhere:
        return "", f'"{secret.path}"', ""
    found = '{{ $at := "" }}'
    for path in (secret.path, *secret.elsewhere):
        folder, _, name = path.rpartition("/")
        take = f'{{{{ if and (eq . "{name}") (eq $at "") }}}}{{{{ $at = "{path}" }}}}{{{{ end }}}}'
        found += f'{{{{ range secrets "{folder}" }}}}{take}{{{{ end }}}}'
    return f"{found}{{{{ if $at }}}}", "$at", "{{ end }}"


def _connection(secret: VaultSecret) -> str:
    where, known = f"the secret at '{secret.path}' is no connection", ", ".join(CONNECTION_FIELDS)
    names = " ".join(f'"{name}"' for name in (*CONNECTION_FIELDS, "conn_uri"))
    stranger = refuse(f"{where}: it takes conn_uri, or {known}, and has %s", "$name")
    return (
        '{{ $value := "" }}{{ $uri := sprig_get $data "conn_uri" }}{{ if $uri }}'
        f'{{{{ if not (sprig_typeIs "string" $uri) }}}}{fail(f"{where}: conn_uri is no string")}{{{{ end }}}}'
        '{{ $value = $uri | replaceAll "\'" "%27" }}{{ else }}'
        f'{{{{ if sprig_hasKey $data "conn_uri" }}}}{fail(f"{where}: conn_uri is empty")}{{{{ end }}}}'
        f"{{{{ range $name, $_ := $data }}}}{{{{ if not (sprig_has $name (sprig_list {names})) }}}}{stranger}"
        "{{ end }}{{ end }}"
        '{{ $port := sprig_get $data "port" }}{{ if eq (sprig_kindOf $port) "invalid" }}{{ $port = "" }}{{ end }}'
        '{{ if not (sprig_regexMatch "^ *[0-9]*(\\\\.0+)? *$" (sprig_toString $port)) }}'
        f"{fail(f'{where}: port is no whole number')}{{{{ end }}}}"
        '{{ $value = $data | toJSON | replaceAll "\'" "\\\\u0027" }}{{ end }}'
    )


def _variable(secret: VaultSecret) -> str:
    missing = refuse(
        f"the secret at '{secret.path}' has no key 'value', which a variable needs; it has: %s", "$keys"
    )
    return (
        '{{ $keys := sprig_keys $data | sprig_sortAlpha | sprig_join ", " }}'
        '{{ $value := sprig_get $data "value" }}'
        f'{{{{ if not (sprig_hasKey $data "value") }}}}{missing}{{{{ end }}}}'
        f'{{{{ if eq (sprig_kindOf $value) "invalid" }}}}{missing}{{{{ end }}}}'
        '{{ if not (sprig_typeIs "string" $value) }}'
        '{{ $value = $value | toJSON | replaceAll "\'" "\\\\u0027" }}{{ end }}'
    )
