"""What Kubernetes requires of an object's metadata.

Source: apimachinery, pkg/api/validation/objectmeta.go.

Needed by every write, and by the tests of labels and names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from k8s_vault_devcluster.api.names import Syntax, qualified_name
from k8s_vault_devcluster.api.rules import Rules, absent, check, labels, present, worded
from k8s_vault_devcluster.api.status import Cause, invalid_value, too_long
from k8s_vault_devcluster.store import Object

_ANNOTATIONS_BYTES = 256 * 1024


def check_metadata(meta: Object, namespaced: bool, syntax: Syntax) -> list[Cause]:
    """Return what is wrong; `syntax` is that of the object's name."""
    rules: Rules = {
        "name": (present("name or generateName is required"), worded(syntax)),
        **({} if namespaced else {"namespace": absent("not allowed on this type")}),
        "labels": labels,
        "annotations": _annotations,
        "ownerReferences": ([dict.fromkeys(("apiVersion", "kind", "name", "uid"), _not_empty)], _one_controller),
        "finalizers": absent("devcluster does not support finalizers"),
    }
    return list(check(rules, meta, "metadata"))


def _annotations(value: Mapping[str, str] | None, field: str) -> Iterator[Cause]:
    annotations = value or {}
    # Unlike a label's, an annotation's key may be written in upper case.
    yield from (invalid_value(field, key, why) for key in annotations for why in qualified_name(key.lower()))
    if sum(len(text.encode()) for pair in annotations.items() for text in pair) > _ANNOTATIONS_BYTES:
        yield too_long(field, f"may not be more than {_ANNOTATIONS_BYTES} bytes")


def _not_empty(value: str | None, field: str) -> Iterator[Cause]:
    if not value:
        yield invalid_value(field, "", f"{field.rpartition('.')[2]} must not be empty")


def _one_controller(owners: list[Object] | None, field: str) -> Iterator[Cause]:
    if sum(bool(owner.get("controller")) for owner in owners or ()) > 1:
        names = [owner["name"] for owner in owners or ()]
        yield invalid_value(field, names, "Only one reference can have Controller set to true")
