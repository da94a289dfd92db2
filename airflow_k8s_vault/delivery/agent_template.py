"""The agent's templates: Go text that reads a secret and writes an environment file or a file.

Paths, keys, variables and file names were checked against strict patterns (see secret.py): none can hold a
quote, a brace or a back-quote, so none can break out of a string here. Whatever is wrong with a secret makes
the template fail with a sentence that starts with FAILURE; it names keys, never values.
"""

from __future__ import annotations

from collections.abc import Iterable

from airflow_k8s_vault.secret import VaultSecret

FAILURE = "airflow-k8s-vault:"
# What a restarted agent says, in its script, of the one before it.
KILLED = f"{FAILURE} the agent was killed before it had fetched the secrets"


def env_file(secrets: Iterable[VaultSecret]) -> str:
    """Return the template of an environment file as the kubelet reads it for `fileKeyRef`.

    The format is NAME='value', single quotes only and without escapes (KEP-3721), so a value that holds a
    single quote is refused. Numbers and booleans are written as JSON.
    """
    return "".join(_variables(secret) for secret in secrets)


def secret_file(secret: VaultSecret) -> str:
    """Return the template of a file: the value of one key, or the whole secret as JSON where it names none."""
    body = f"{_value(secret, secret.key)}{{{{ $value }}}}" if secret.key else "{{ $data | toJSON }}"
    return _with(secret, body)


# What the kubelet's format has no way to write, as Go writes it, and what it is called.
_UNWRITABLE = {"`'`": "a single quote", '"\\r\\n"': "a carriage return before a newline", '"\\x00"': "a NUL"}


def _variables(secret: VaultSecret) -> str:
    lines = []
    for variable, key in (secret.env or {}).items():
        lines.append(f"{_value(secret, key)}{_refuse_unwritable(secret, key)}{variable}='{{{{ $value }}}}'\n")
    return _with(secret, "".join(lines))


def _refuse_unwritable(secret: VaultSecret, key: str) -> str:
    checks = []
    for text, name in _UNWRITABLE.items():
        told = f"key '{key}' of '{secret.path}' holds {name}, which a variable cannot carry: use file="
        checks.append(f"{{{{ if sprig_contains {text} $value }}}}{_fail(told)}{{{{ end }}}}")
    return "".join(checks)


def _with(secret: VaultSecret, body: str) -> str:
    """Read the secret into $data. The agent finds out itself where a KV mount ends and puts in `data/`."""
    if secret.engine == "kv2":
        wrong, data = "if not .Data.data", ".Data.data"
    else:
        # The envelope of KV 2, which would pass for a secret with the keys `data` and `metadata`.
        envelope = '(sprig_hasKey .Data "data") (sprig_hasKey .Data "metadata")'
        wrong, data = f"if and (eq (len .Data) 2) {envelope}", ".Data"
    kind = {"kv2": "KV 2", "kv1": "KV 1", "dynamic": "dynamic"}[secret.engine]
    fail = _fail(f"'{secret.path}' is no {kind} secret: is engine= right?")
    check = f"{{{{ {wrong} }}}}{fail}{{{{ end }}}}{{{{ $data := {data} }}}}"
    return f'{{{{ with secret "{secret.path}" }}}}{check}{body}{{{{ end }}}}'


def _value(secret: VaultSecret, key: str) -> str:
    """Read one key into $value as text, or fail with the names of the keys that there are.

    A number arrives as json.Number, which is of kind string but not of that type.
    """
    keys = '(sprig_keys $data | sprig_sortAlpha | sprig_join ", ")'
    told = f"secret '{secret.path}' has no key '{key}'; it has: %s"
    missing = f'{{{{ sprig_fail (printf "{FAILURE} {told}" {keys}) }}}}'
    empty = _fail(f"key '{key}' of '{secret.path}' is null")
    return (
        f'{{{{ if not (sprig_hasKey $data "{key}") }}}}{missing}{{{{ end }}}}'
        f'{{{{ $value := index $data "{key}" }}}}'
        f'{{{{ if eq (sprig_kindOf $value) "invalid" }}}}{empty}{{{{ end }}}}'
        '{{ if not (sprig_typeIs "string" $value) }}{{ $value = $value | toJSON }}{{ end }}'
    )


def _fail(sentence: str) -> str:
    return f'{{{{ sprig_fail "{FAILURE} {sentence}" }}}}'
