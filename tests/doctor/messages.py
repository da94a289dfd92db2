"""Every message that this package fails with, read out of its code: what a search in the docs has to find."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from airflow_k8s_vault import errors

PACKAGE = Path(errors.__file__).parent
KINDS = tuple(
    name
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, errors.K8sVaultError)
)
# Whose functions return sentences for others to raise, and as what they are raised.
SENTENCES = {
    "delivery/failure.py": "DeliveryUnavailable",
    "delivery/main_failure.py": "AirflowException",
    "operators/create.py": "AirflowException",
    "operators/own_pods.py": "ForeignPod",
    "vault/requesting.py": "VaultRefused",
}
_FILLED_IN = "…"
_LEAST_LETTERS = 8


class Message(NamedTuple):
    """text: with … for what is filled in; step: the code of doctor that it ends with, or ""."""

    kind: str
    text: str
    step: str

    @property
    def headline(self) -> str:
        return self.text.splitlines()[0].strip()

    def is_of(self, message: str) -> bool:
        """Whether that is this message, filled in."""
        parts = [re.escape(part) for part in re.split("…+", self.headline)]
        return re.match(".*".join(parts), message.splitlines()[0]) is not None


def all_messages() -> list[Message]:
    """Return them in the order of the files, each once."""
    known: dict[tuple[str, str], Message] = {}
    for file in sorted(PACKAGE.rglob("*.py")):
        for message in _of_module(ast.parse(file.read_text()), SENTENCES.get(str(file.relative_to(PACKAGE)), "")):
            known.setdefault((message.kind, message.headline), message)
    return list(known.values())


def _of_module(module: ast.Module, sentences_kind: str) -> Iterator[Message]:
    constants = {
        target.id: node.value
        for node in module.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for kind, node in _places(module, sentences_kind):
        text = re.sub("…+", _FILLED_IN, _text(node, constants)).strip()
        if len(re.findall("[a-z]", text.splitlines()[0] if text else "")) >= _LEAST_LETTERS:
            yield Message(kind, text, _step(node))


def _places(module: ast.Module, sentences_kind: str) -> Iterator[tuple[str, ast.expr]]:
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and node.args:
            name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            if name in KINDS or name in ("AirflowException", "AirflowFailException"):
                yield (name if name in KINDS else "AirflowException"), node.args[0]
            elif sentences_kind and name in ("kind", "append"):
                yield sentences_kind, node.args[0]
        elif sentences_kind and isinstance(node, ast.Return | ast.Yield) and _is_sentence(node.value):
            yield sentences_kind, node.value  # type: ignore[misc]


def _is_sentence(node: ast.expr | None) -> bool:
    return isinstance(node, ast.JoinedStr | ast.Constant) and bool(re.match(r"[A-Z…]\S* .+\S", _text(node, {})))


def _text(node: ast.expr, constants: dict[str, ast.expr]) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value) if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part, {}) if isinstance(part, ast.Constant) else _FILLED_IN for part in node.values)
    if isinstance(node, ast.Name) and node.id in constants:
        return _text(constants[node.id], {})
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "error_list":
        return _text(node.args[0], constants)
    # "\n  - ".join(["The secrets cannot be delivered:", *mistakes])
    if (
        isinstance(node, ast.Call)
        and getattr(node.func, "attr", "") == "join"
        and isinstance(node.args[0], ast.List)
    ):
        return _text(node.args[0].elts[0], constants)
    return ""


def _step(node: ast.expr) -> str:
    for call in ast.walk(node):
        names_one = isinstance(call, ast.Call) and getattr(call.func, "attr", "") in ("doctor", "run")
        if names_one and call.args and isinstance(call.args[0], ast.Constant):  # type: ignore[attr-defined]
            return str(call.args[0].value)  # type: ignore[attr-defined]
    return ""
