"""One line of an audit file of Vault or OpenBao: what of it is read here.

Source: https://openbao.org/docs/audit/ and the entries of Vault 1.20 and OpenBao 2.7. Values that the server has
replaced by their HMAC stay so: equal values have equal ones, which is all that is needed.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

_SKIPPED = msgspec.Raw()
_UNKNOWN = re.compile(r"unknown field `([^`]+)`(?: - at `\$\.?([^`]*)`)?")


class Policy(msgspec.Struct, gc=False):
    """A policy that allowed the request."""

    name: str = ""


class PolicyResults(msgspec.Struct, gc=False):
    """allowed: by the policies; a request may still have failed."""

    allowed: bool = False
    granting_policies: list[Policy] | None = None


class Auth(msgspec.Struct, forbid_unknown_fields=True):
    """Whose request it was; in a login's response the login that was made."""

    accessor: str = ""
    display_name: str = ""
    metadata: dict[str, Any] | None = None
    policy_results: PolicyResults | None = None
    token_ttl: int = 0
    client_token: msgspec.Raw = _SKIPPED
    policies: msgspec.Raw = _SKIPPED
    token_policies: msgspec.Raw = _SKIPPED
    identity_policies: msgspec.Raw = _SKIPPED
    external_namespace_policies: msgspec.Raw = _SKIPPED
    no_default_policy: msgspec.Raw = _SKIPPED
    num_uses: msgspec.Raw = _SKIPPED
    remaining_uses: msgspec.Raw = _SKIPPED
    entity_id: msgspec.Raw = _SKIPPED
    entity_created: msgspec.Raw = _SKIPPED
    token_type: msgspec.Raw = _SKIPPED
    token_issue_time: msgspec.Raw = _SKIPPED


class Request(msgspec.Struct, forbid_unknown_fields=True):
    """What was asked. mount_point has a slash at its end; "" in files of old servers."""

    operation: str = ""
    path: str = ""
    mount_point: str = ""
    mount_type: str = ""
    remote_address: str = ""
    data: msgspec.Raw = _SKIPPED
    id: msgspec.Raw = _SKIPPED
    client_id: msgspec.Raw = _SKIPPED
    replication_cluster: msgspec.Raw = _SKIPPED
    mount_accessor: msgspec.Raw = _SKIPPED
    mount_running_version: msgspec.Raw = _SKIPPED
    mount_running_sha256: msgspec.Raw = _SKIPPED
    mount_class: msgspec.Raw = _SKIPPED
    mount_is_external_plugin: msgspec.Raw = _SKIPPED
    client_token: msgspec.Raw = _SKIPPED
    client_token_accessor: msgspec.Raw = _SKIPPED
    namespace: msgspec.Raw = _SKIPPED
    policy_override: msgspec.Raw = _SKIPPED
    remote_port: msgspec.Raw = _SKIPPED
    wrap_ttl: msgspec.Raw = _SKIPPED
    headers: msgspec.Raw = _SKIPPED
    client_certificate_serial_number: msgspec.Raw = _SKIPPED
    request_uri: msgspec.Raw = _SKIPPED


class Lease(msgspec.Struct, gc=False):
    """lease_id is no value: it names a credential, and is written as it is."""

    lease_id: str = ""


class Response(msgspec.Struct, forbid_unknown_fields=True):
    """What was answered."""

    auth: Auth | None = None
    secret: Lease | None = None
    data: msgspec.Raw = _SKIPPED
    mount_point: msgspec.Raw = _SKIPPED
    mount_type: msgspec.Raw = _SKIPPED
    mount_accessor: msgspec.Raw = _SKIPPED
    mount_running_plugin_version: msgspec.Raw = _SKIPPED
    mount_running_sha256: msgspec.Raw = _SKIPPED
    mount_class: msgspec.Raw = _SKIPPED
    mount_is_external_plugin: msgspec.Raw = _SKIPPED
    warnings: msgspec.Raw = _SKIPPED
    redirect: msgspec.Raw = _SKIPPED
    wrap_info: msgspec.Raw = _SKIPPED
    headers: msgspec.Raw = _SKIPPED


class Entry(msgspec.Struct, forbid_unknown_fields=True):
    """A response and its request; a request that is still without one is of no use here. time: RFC 3339, UTC."""

    time: str
    type: str
    request: Request
    auth: Auth | None = None
    response: Response | None = None
    error: str = ""
    forwarded: msgspec.Raw = _SKIPPED
    forwarded_from: msgspec.Raw = _SKIPPED


_STRICT = msgspec.json.Decoder(Entry)
_WHOLE = msgspec.json.Decoder()


def read(line: bytes) -> tuple[Entry | None, str]:
    """Return the entry, and the name of a field that this package does not know; None where it is no entry.

    >>> entry, unknown = read(b'{"time": "2026-01-31T10:00:00Z", "type": "response", "request": {"path": "a/b"}}')
    >>> entry.request.path, unknown
    ('a/b', '')
    >>> read(b'{"level": "info"}')
    (None, '')
    """
    try:
        return _STRICT.decode(line), ""
    except msgspec.ValidationError as error:
        match = _UNKNOWN.search(str(error))
        unknown = ".".join(filter(None, (match[2], match[1]))) if match else ""
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None, ""
    return (_lenient(line), unknown) if unknown else (None, "")


def _lenient(line: bytes) -> Entry | None:
    """Read an entry that has fields of a newer server, without them."""
    try:
        known = _known(_WHOLE.decode(line), Entry)
        return msgspec.convert(known, Entry)
    except msgspec.MsgspecError:
        return None


def _known(value: Any, kind: Any) -> Any:
    parts = {"auth": Auth, "request": Request, "response": Response}
    if not isinstance(value, dict):
        return value
    fields = {field.name: field for field in msgspec.structs.fields(kind)}
    return {
        name: _known(item, parts[name]) if name in parts else item
        for name, item in value.items()
        if name in fields and fields[name].type is not msgspec.Raw
    }
