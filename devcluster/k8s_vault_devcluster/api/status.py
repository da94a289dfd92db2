"""Errors as Kubernetes words them: v1 Status objects with reason, code and the causes by field.

Source: apimachinery, pkg/api/errors/errors.go and pkg/util/validation/field/errors.go.

Needed by all refusals: the operator, doctor and kubectl show their words.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from typing import Any

from airflow_k8s_vault.errors import K8sVaultError
from k8s_vault_devcluster.store import Object

_STATUS: Object = {"kind": "Status", "apiVersion": "v1", "metadata": {}}


class ApiError(K8sVaultError):
    """The API refuses a request; `status` is the v1 Status that says why."""

    def __init__(self, code: int, reason: str, message: str, **details: Any) -> None:
        super().__init__(message)
        self.code = code
        self.status: Object = {
            **_STATUS,
            "status": "Failure",
            "message": message,
            "reason": reason,
            "code": code,
            **({"details": details} if details else {}),
        }


@dataclass(frozen=True)
class Cause:
    """One problem with one field, in Kubernetes' words."""

    reason: str
    field: str
    message: str


def required(field: str, why: str = "") -> Cause:
    return Cause("FieldValueRequired", field, f"Required value{': ' + why if why else ''}")


def invalid_value(field: str, value: Any, why: str) -> Cause:
    return Cause("FieldValueInvalid", field, f"Invalid value: {json.dumps(value)}: {why}")


def forbidden_value(field: str, why: str) -> Cause:
    return Cause("FieldValueForbidden", field, f"Forbidden: {why}")


def duplicate(field: str, value: Any) -> Cause:
    return Cause("FieldValueDuplicate", field, f"Duplicate value: {json.dumps(value)}")


def unknown_value(field: str, value: Any) -> Cause:
    """Names a thing that is not there (a volume that no one declared)."""
    return Cause("FieldValueNotFound", field, f"Not found: {json.dumps(value)}")


def not_supported(field: str, value: Any, supported: list[str]) -> Cause:
    known = ", ".join(json.dumps(item) for item in sorted(supported))
    message = f"Unsupported value: {json.dumps(value)}: supported values: {known}"
    return Cause("FieldValueNotSupported", field, message)


def too_long(field: str, why: str) -> Cause:
    return Cause("FieldValueTooLong", field, f"Too long: {why}")


def _of(code: int, reason: str, message: str, kind: str, group: str, name: str, **details: Any) -> ApiError:
    return ApiError(code, reason, message, **_details(name, group, kind), **details)


def invalid(kind: str, group: str, name: str, causes: list[Cause]) -> ApiError:
    """422: every problem of the object at once."""
    words = [f"{cause.field}: {cause.message}" for cause in causes]
    listed = words[0] if len(words) == 1 else f"[{', '.join(words)}]"
    message = f'{_qualified(kind, group)} "{name}" is invalid: {listed}'
    return _of(422, "Invalid", message, kind, group, name, causes=[vars(cause) for cause in causes])


def not_found(resource: str, group: str, name: str) -> ApiError:
    return _of(404, "NotFound", f'{_qualified(resource, group)} "{name}" not found', resource, group, name)


def already_exists(resource: str, group: str, name: str) -> ApiError:
    message = f'{_qualified(resource, group)} "{name}" already exists'
    return _of(409, "AlreadyExists", message, resource, group, name)


def conflict(resource: str, group: str, name: str, why: str) -> ApiError:
    message = f'Operation cannot be fulfilled on {_qualified(resource, group)} "{name}": {why}'
    return _of(409, "Conflict", message, resource, group, name)


def forbidden(resource: str, group: str, name: str, why: str, causes: list[Object] | None = None) -> ApiError:
    subject = f'{_qualified(resource, group)} "{name}"' if name else _qualified(resource, group)
    details = {"causes": causes} if causes else {}
    return _of(403, "Forbidden", f"{subject} is forbidden: {why}", resource, group, name, **details)


bad_request = partial(ApiError, 400, "BadRequest")
unauthorized = partial(ApiError, 401, "Unauthorized", "Unauthorized")
no_such_path = partial(ApiError, 404, "NotFound", "the server could not find the requested resource")
method_not_allowed = partial(
    ApiError, 405, "MethodNotAllowed", "the server does not allow this method on the requested resource"
)
expired = partial(ApiError, 410, "Expired")
unsupported_media_type = partial(ApiError, 415, "UnsupportedMediaType")


def success(name: str, group: str, resource: str, uid: str | None = None) -> Object:
    """The Status that answers a deletion."""
    details = _details(name, group, resource)
    if uid:
        details["uid"] = uid
    return {**_STATUS, "status": "Success", "details": details}


def _qualified(resource: str, group: str) -> str:
    return f"{resource}.{group}" if group else resource


def _details(name: str, group: str, kind: str) -> Object:
    details = {"name": name, "group": group, "kind": kind}
    return {key: value for key, value in details.items() if value}
