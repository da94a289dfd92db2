"""The agent's templates: Go text that reads a secret and writes an environment file or a file.

Whatever a path, key, variable or file is called, it stands here as a string literal (`go.text`) that holds nothing
which could mean something, and is passed to the named templates of `library` and `lookup` as data.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from airflow_k8s_vault import vault_parameters, vault_path
from airflow_k8s_vault.delivery import sizes
from airflow_k8s_vault.delivery.agent import go, library, lookup
from airflow_k8s_vault.delivery.agent.failure import fail, shown
from airflow_k8s_vault.delivery.agent.go import call, result, when, with_secret
from airflow_k8s_vault.vault_file import VaultFile
from airflow_k8s_vault.vault_path import Location
from airflow_k8s_vault.vault_secret import VaultSecret

# Of fileKeyRef's key: pkg/apis/core/validation. A variable's name has no such limit.
_KEY_CHARACTERS = 128
_LIBRARY = {**library.BODIES, **lookup.BODIES}


class EnvFile(NamedTuple):
    """An environment file as the kubelet reads it for `fileKeyRef`: its name, its template, and what it holds."""

    name: str
    contents: str
    variables: tuple[str, ...]


def env_files(secrets: Iterable[VaultSecret], container: str) -> Iterator[EnvFile]:
    """Yield the environment files of one container; more than one where its template would be too long.

    The format is NAME='value', single quotes only and without escapes (KEP-3721), so a value that holds a
    single quote is refused. Numbers and booleans are written as JSON.
    """
    for number, group in enumerate(_groups(secrets)):
        names = tuple(name for _, lines in group for name in lines)
        parts = [_read(secret, "".join(map(_counted, lines.values()))) for secret, lines in group]
        contents = _complete(["{{ $size := 0 }}", *parts, _refuse_too_large(container)])
        # No container has a dot in its name: none of another has a file of this name.
        yield EnvFile(f"{container}.{number}.env" if number else f"{container}.env", contents, names)


def env_file(secrets: Iterable[VaultSecret]) -> str:
    """Return the template of the environment file of secrets that fit into one."""
    (file,) = env_files(secrets, "any")
    return file.contents


def _counted(line: str) -> str:
    """Return the text that writes the line of an expression, and adds its size to $size."""
    return f"{{{{ $line := {line} }}}}{{{{ $size = add $size (len $line) }}}}{{{{ $line }}}}"


def _refuse_too_large(container: str) -> str:
    sentence = f"the variables of container '{container}' have %d bytes together, and a process takes "
    sentence += f"{sizes.ENVIRONMENT_BYTES} from secrets: take the largest as files (file=)"
    return when(f"gt $size {sizes.ENVIRONMENT_BYTES}", fail(sentence, "$size"))


def _groups(secrets: Iterable[VaultSecret]) -> Iterator[list[tuple[VaultSecret, dict[str, str]]]]:
    """Yield secrets with the lines of their variables, so many together as one template has room for."""
    group: list[tuple[VaultSecret, dict[str, str]]] = []
    size = 0
    for secret in secrets:
        for name, line in _lines(secret).items():
            if group and size + len(line) > sizes.AGENT_TEMPLATE_BYTES:
                yield group
                group, size = [], 0
            if not group or group[-1][0] is not secret:
                group.append((secret, {}))
            group[-1][1][name] = line
            size += len(line)
    if group:
        yield group


def file_key(variable: str) -> str:
    """Return the name under which a variable is in its environment file: an identifier, which any format can hold.

    No two have the same one. More than 128 characters are not allowed there; a digest stands for such a name.

    >>> file_key("AIRFLOW_CONN_WAREHOUSE"), file_key("AIRFLOW_CONN_MY-DB"), len(file_key(200 * "A"))
    ('AIRFLOW_CONN_WAREHOUSE', 'AIRFLOW_CONN_MY_x2d_DB', 65)
    """
    key = re.sub("[^A-Za-z0-9_]|^[0-9]|_(?=x)", lambda match: f"_x{ord(match[0]):x}_", variable)
    return key if len(key) <= _KEY_CHARACTERS else f"_{hashlib.sha256(key.encode()).hexdigest()}"


def file_contents(secret: VaultSecret, file: VaultFile) -> str:
    """Return the template of a file: the value of one key, or the whole secret as JSON where it names none."""
    if file.key is None:
        return _complete([_read(secret, "{{ $data | toUnescapedJSON }}")])
    name = "bytes" if file.decode else "value"
    return _complete([_read(secret, call(name, _arguments(secret, file.key)))])


def secret_file(secret: VaultSecret) -> str:
    """Return the template of the file of a secret that has one."""
    (file,) = secret.outputs
    return file_contents(secret, file)


def lease_list(secrets: Iterable[VaultSecret]) -> str:
    """Return the template of a file with three lines a credential that ends: seconds and whether it is renewable;
    the lease's id, "-" where it is a certificate without one; path.
    """
    lease = "{{ .LeaseDuration }} {{ .Renewable }}\n{{ .LeaseID }}\n"
    left = '(subtract (parseInt (timestamp "unix")) (parseInt (sprig_toString .Data.expiration)))'
    certificate = f"{{{{ {left} }}}} false\n-\n"
    is_certificate = 'and (sprig_hasKey .Data "certificate") (sprig_hasKey .Data "expiration")'
    result: dict[str, None] = {}
    for secret in secrets:
        path = f"{{{{ {go.text(shown(secret.path))} }}}}\n"
        other = when(is_certificate, certificate + path)
        result[_reading(secret, when(".LeaseID", lease + path, other))] = None
    return "".join(result)


def _complete(parts: Iterable[str]) -> str:
    return library.complete("".join(parts), _LIBRARY)


def _lines(secret: VaultSecret) -> dict[str, str]:
    """Return variable to the expression of its line."""
    if secret.kind:
        return {variable: lookup.line(secret, file_key(variable)) for variable in secret.variables}
    return {
        variable: result("variable", f'{_arguments(secret, key)} "name" {go.text(file_key(variable))}')
        for variable, key in secret.variables.items()
    }


def _arguments(secret: VaultSecret, key: str) -> str:
    names = go.named(key=key, path=shown(secret.path))
    return f'{names} "data" $data'


def _read(secret: VaultSecret, body: str) -> str:
    """Return the text that reads the secret into $data, and has it checked, before the body."""
    name = f'"answer" .Data "path" {go.text(shown(secret.path))}'
    if secret.engine == "kv2":
        check, data = call("kv2", f"sprig_dict {name}"), ".Data.data"
    else:
        kind = {"kv1": "KV 1", "dynamic": "dynamic"}[secret.engine]
        check, data = call("plain", f'sprig_dict {name} "engine" "{kind}"'), ".Data"
    return _reading(secret, f"{check}{{{{ $data := {data} }}}}{body}")


def _reading(secret: VaultSecret, body: str) -> str:
    """Return the text that asks Vault for the secret; the answer is the body's dot.

    What is asked in the same words is asked once for all templates of the agent.
    """
    if secret.parameters:
        return _written(secret, body)
    version = 2 if secret.engine == "kv2" else 1
    if secret.elsewhere:
        before, path, after = lookup.find(secret, version)
        return f"{before}{with_secret(path, body)}{after}"
    location = secret.locations[0]
    query = f"?version={secret.version}" if secret.version else ""
    if version == 2 and location.may_be_taken_for_the_api:
        return _below_its_mount(location, query, body)
    explicit = vault_path.kv_data(location, version) if location.mount else location.path
    return with_secret(_path(explicit, query), body)


def _written(secret: VaultSecret, body: str) -> str:
    """Have Vault make the credential; its path, unlike one that is read, is no URL to the agent.

    The agent would write parameters into a KV engine just as well: where the path is in one, nothing is sent.
    """
    sent = [go.text(f"{name}={value}") for name, value in vault_parameters.texts(secret.parameters or {}).items()]
    refused = fail("'%s' is in a KV engine, which takes no parameters", go.text(shown(secret.path)))
    written = with_secret(" ".join([go.text(secret.path), *sent]), body)
    return with_secret(_mount_of(secret.path), when('eq .Data.type "kv"', refused, written))


def _below_its_mount(location: Location, query: str, body: str) -> str:
    """Ask Vault where the mount ends: the agent, which asks as well, would take the rest for a path of the API."""
    segments = location.path.split("/")
    mounts = ["/".join(segments[:count]) for count in range(1, len(segments))]
    paths = [_path(vault_path.kv_data(Location(location.path, mount), 2), query) for mount in mounts]
    # The mount comes with a slash at its end: "secret/" is the first of them.
    chosen = f'index (sprig_list {" ".join(paths)}) (subtract 2 (len (split "/" .Data.path)))'
    return with_secret(_mount_of(location.path), f"{{{{ $path := {chosen} }}}}{with_secret('$path', body)}")


def _mount_of(path: str) -> str:
    return _path(f"sys/internal/ui/mounts/{path}", "")


def _path(path: str, query: str) -> str:
    return go.text(vault_path.encoded(path) + query)
