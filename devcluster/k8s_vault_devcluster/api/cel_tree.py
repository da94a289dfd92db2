"""The tree of an expression as the CEL library has read it: what is used of cel-spec's cel.expr.CheckedExpr.

Needed by cel_cost, which counts what the tree does; the library shows it only as bytes.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, message_factory

from k8s_vault_devcluster.api import cel

# Message to its fields: name, number, type ("*" after it: repeated), and the oneof that it belongs to.
_MESSAGES: dict[str, tuple[tuple[str, int, str, str], ...]] = {
    "Checked": (("expr", 4, "Expr", ""),),
    "Expr": (
        ("const_expr", 3, "Constant", "kind"),
        ("ident_expr", 4, "Ident", "kind"),
        ("select_expr", 5, "Select", "kind"),
        ("call_expr", 6, "Call", "kind"),
        ("list_expr", 7, "List", "kind"),
        ("struct_expr", 8, "Struct", "kind"),
        ("comprehension_expr", 9, "Comprehension", "kind"),
    ),
    "Constant": (
        ("null", 1, "int64", "constant"),
        ("boolean", 2, "bool", "constant"),
        ("integer", 3, "int64", "constant"),
        ("unsigned", 4, "uint64", "constant"),
        ("number", 5, "double", "constant"),
        ("text", 6, "string", "constant"),
    ),
    "Ident": (("name", 1, "string", ""),),
    "Select": (("operand", 1, "Expr", ""), ("field", 2, "string", ""), ("test_only", 3, "bool", "")),
    "Call": (("target", 1, "Expr", ""), ("function", 2, "string", ""), ("args", 3, "Expr*", "")),
    "List": (("elements", 1, "Expr*", ""),),
    "Struct": (("entries", 2, "Entry*", ""),),
    "Entry": (("map_key", 3, "Expr", ""), ("value", 4, "Expr", "")),
    "Comprehension": (
        ("iter_var", 1, "string", ""),
        ("iter_range", 2, "Expr", ""),
        ("accu_var", 3, "string", ""),
        ("accu_init", 4, "Expr", ""),
        ("loop_condition", 5, "Expr", ""),
        ("loop_step", 6, "Expr", ""),
        ("result", 7, "Expr", ""),
    ),
}


def parsed(expression: str) -> Any:
    """Return the tree: a message Expr. Raises CelError where the expression is none."""
    container = any_pb2.Any.FromString(cel.compiled(expression).serialize())
    return _checked().FromString(container.value).expr


@lru_cache(maxsize=1)
def _checked() -> Any:
    file = descriptor_pb2.FileDescriptorProto(
        name="k8s_vault_devcluster/cel.proto", package="k8s_vault_devcluster.cel"
    )
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field in fields:
            _add(message, *field)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{file.package}.Checked"))


def _add(message: Any, name: str, number: int, kind: str, one_of: str) -> None:
    types = descriptor_pb2.FieldDescriptorProto
    field = message.field.add(name=name, number=number, label=types.LABEL_REPEATED if kind.endswith("*") else 1)
    if kind.rstrip("*") in _MESSAGES:
        field.type, field.type_name = types.TYPE_MESSAGE, f".k8s_vault_devcluster.cel.{kind.rstrip('*')}"
    else:
        field.type = types.Type.Value(f"TYPE_{kind.upper()}")
    if one_of:
        if not message.oneof_decl:
            message.oneof_decl.add(name=one_of)
        field.oneof_index = 0
