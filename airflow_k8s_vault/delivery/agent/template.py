"""The agent's templates: Go text that reads a secret and writes an environment file or a file.

Paths, keys, variables and file names were checked against strict patterns (see secret.py): none can hold a
quote, a brace or a back-quote, so none can break out of a string here. Whatever is wrong with a secret makes
the template fail with a sentence of agent_failure; it names keys, never values.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from airflow_k8s_vault.delivery.agent import lookup as agent_lookup
from airflow_k8s_vault.delivery.agent.failure import fail, refuse
from airflow_k8s_vault.vault_secret import VaultSecret

# Of fileKeyRef's key: pkg/apis/core/validation. A variable's name has no such limit.
_KEY_CHARACTERS = 128


def env_file(secrets: Iterable[VaultSecret]) -> str:
    """Return the template of an environment file as the kubelet reads it for `fileKeyRef`.

    The format is NAME='value', single quotes only and without escapes (KEP-3721), so a value that holds a
    single quote is refused. Numbers and booleans are written as JSON.
    """
    return "".join(_looked_up(secret) if secret.kind else _variables(secret) for secret in secrets)


def file_key(variable: str) -> str:
    """Return the name under which a variable is in its environment file: there - and . are not allowed.

    Neither are names of more than 128 characters, which a variable may well have; a digest stands for such a one.

    >>> file_key("AIRFLOW_CONN_WAREHOUSE"), file_key("AIRFLOW_CONN_MY-DB"), len(file_key(200 * "A"))
    ('AIRFLOW_CONN_WAREHOUSE', 'AIRFLOW_CONN_MY_x2d_DB', 65)
    """
    key = re.sub("[-.]", lambda found: f"_x{ord(found[0]):x}_", variable)
    return key if len(key) <= _KEY_CHARACTERS else f"_{hashlib.sha256(key.encode()).hexdigest()}"


def secret_file(secret: VaultSecret) -> str:
    """Return the template of a file: the value of one key, or the whole secret as JSON where it names none."""
    body = f"{_value(secret, secret.key)}{{{{ $value }}}}" if secret.key else "{{ $data | toJSON }}"
    return _with(secret, body)


def lease_list(secrets: Iterable[VaultSecret]) -> str:
    """Return the template of a file with a line for each lease: path, seconds, whether it is renewable, id."""
    lines = {
        f'{{{{ with secret "{path}" }}}}{{{{ if .LeaseID }}}}{path} {{{{ .LeaseDuration }}}} {{{{ .Renewable }}}} '
        "{{ .LeaseID }}\n{{ end }}{{ end }}": None
        for path in (secret.path for secret in secrets)
    }
    return "".join(lines)


# What the kubelet's format has no way to write, as Go writes it, and what it is called.
_UNWRITABLE = {"`'`": "a single quote", '"\\r\\n"': "a carriage return before a newline", '"\\x00"': "a NUL"}


def _looked_up(secret: VaultSecret) -> str:
    before, path, after = agent_lookup.find(secret)
    told = (
        f"the value of {secret.kind} '{secret.path}' holds %s, which a variable cannot carry here: use delivery="
    )
    unwritable = _refuse_unwritable(told + "'secret'")
    (variable,) = secret.env or {}
    body = f"{agent_lookup.value(secret)}{unwritable}{file_key(variable)}='{{{{ $value }}}}'\n"
    return f"{before}{_with(secret, body, path)}{after}"


def _variables(secret: VaultSecret) -> str:
    lines = []
    for variable, key in (secret.env or {}).items():
        told = f"key '{key}' of '{secret.path}' holds %s, which a variable cannot carry: use file="
        lines.append(f"{_value(secret, key)}{_refuse_unwritable(told)}{file_key(variable)}='{{{{ $value }}}}'\n")
    return _with(secret, "".join(lines))


def _refuse_unwritable(told: str) -> str:
    # For the kubelet an empty value is a key that is not there.
    checks = [f'{{{{ if eq $value "" }}}}{fail(told.replace("%s", "nothing"))}{{{{ end }}}}']
    for text, name in _UNWRITABLE.items():
        checks.append(f"{{{{ if sprig_contains {text} $value }}}}{fail(told.replace('%s', name))}{{{{ end }}}}")
    return "".join(checks)


def _with(secret: VaultSecret, body: str, path: str = "") -> str:
    """Read the secret into $data. The agent finds out itself where a KV mount ends and puts in `data/`."""
    if secret.engine == "kv2":
        wrong, data = 'if not (sprig_get .Data "data")', ".Data.data"
    else:
        # The envelope of KV 2, which would pass for a secret with the keys `data` and `metadata`.
        envelope = '(sprig_hasKey .Data "data") (sprig_hasKey .Data "metadata")'
        wrong, data = f"if and (eq (len .Data) 2) {envelope}", ".Data"
    kind = {"kv2": "KV 2", "kv1": "KV 1", "dynamic": "dynamic"}[secret.engine]
    told = fail(f"'{secret.path}' is no {kind} secret, or empty: is engine= right?")
    check = f"{{{{ {wrong} }}}}{told}{{{{ end }}}}{{{{ $data := {data} }}}}"
    path = path or f'"{secret.path}"'
    return f"{{{{ with secret {path} }}}}{check}{body}{{{{ end }}}}"


def _value(secret: VaultSecret, key: str) -> str:
    """Read one key into $value as text, or fail with the names of the keys that there are.

    A number arrives as json.Number, which is of kind string but not of that type.
    """
    keys = '(sprig_keys $data | sprig_sortAlpha | sprig_join ", ")'
    told = f"secret '{secret.path}' has no key '{key}'; it has: %s"
    missing = refuse(told, keys)
    empty = fail(f"key '{key}' of '{secret.path}' is null")
    return (
        f'{{{{ if not (sprig_hasKey $data "{key}") }}}}{missing}{{{{ end }}}}'
        f'{{{{ $value := index $data "{key}" }}}}'
        f'{{{{ if eq (sprig_kindOf $value) "invalid" }}}}{empty}{{{{ end }}}}'
        '{{ if not (sprig_typeIs "string" $value) }}{{ $value = $value | toJSON }}{{ end }}'
    )
