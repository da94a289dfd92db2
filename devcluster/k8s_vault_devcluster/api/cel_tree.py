"""The tree of an expression as the CEL library has read it: what is used of cel-spec's cel.expr.CheckedExpr.

Needed by cel_cost, which counts what the tree does; the library shows it only as bytes.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, message_factory

from k8s_vault_devcluster.api import cel

# Message, with the oneof that all its fields belong to, and its fields: name, number, type (with "*": repeated).
_MESSAGES = """
Checked | expr 4 Expr
Expr kind | const_expr 3 Constant, ident_expr 4 Ident, select_expr 5 Select, call_expr 6 Call, list_expr 7 List,
    struct_expr 8 Struct, comprehension_expr 9 Comprehension
Constant constant | null 1 int64, boolean 2 bool, integer 3 int64, unsigned 4 uint64, number 5 double,
    text 6 string
Ident | name 1 string
Select | operand 1 Expr, field 2 string, test_only 3 bool
Call | target 1 Expr, function 2 string, args 3 Expr*
List | elements 1 Expr*
Struct | entries 2 Entry*
Entry | map_key 3 Expr, value 4 Expr
Comprehension | iter_var 1 string, iter_range 2 Expr, accu_var 3 string, accu_init 4 Expr, loop_condition 5 Expr,
    loop_step 6 Expr, result 7 Expr
"""
_PACKAGE = "k8s_vault_devcluster.cel"


def parsed(expression: str) -> Any:
    """Return the tree: a message Expr. Raises CelError where the expression is none."""
    container = any_pb2.Any.FromString(cel.compiled(expression).serialize())
    return _checked().FromString(container.value).expr


@lru_cache(maxsize=1)
def _checked() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="k8s_vault_devcluster/cel.proto", package=_PACKAGE)
    for line in _MESSAGES.replace(",\n", ",").strip().splitlines():
        head, _, fields = line.partition(" | ")
        name, _, one_of = head.partition(" ")
        message = file.message_type.add(name=name)
        if one_of:
            message.oneof_decl.add(name=one_of)
        for field in fields.split(","):
            _add(message, *field.split())
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.Checked"))


def _add(message: Any, name: str, number: str, kind: str) -> None:
    types = descriptor_pb2.FieldDescriptorProto
    field = message.field.add(
        name=name, number=int(number), label=types.LABEL_REPEATED if kind.endswith("*") else 1
    )
    kind = kind.rstrip("*")
    if kind[0].isupper():
        field.type, field.type_name = types.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
    else:
        field.type = types.Type.Value(f"TYPE_{kind.upper()}")
    if message.oneof_decl:
        field.oneof_index = 0
