"""DAG files with those calls of KubernetesPodOperator replaced that can be; formatting and comments stay."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import libcst as cst
from libcst.codemod import CodemodContext
from libcst.codemod.visitors import AddImportsVisitor, RemoveImportsVisitor

from airflow_k8s_vault.dag_code import literal
from airflow_k8s_vault.migrate.needed import Needed
from airflow_k8s_vault.migrate.task_report import TaskReport

# Wide enough for any call to be one line.
_ANY = 100_000
_PACKAGE = "airflow_k8s_vault"
_MODULE = "airflow.providers.cncf.kubernetes.operators.pod"
_IMPORTS = ((_MODULE, "KubernetesPodOperator"), ("airflow.providers.cncf.kubernetes.secret", "Secret"))
_OLD, _NEW = "KubernetesPodOperator", "VaultPodOperator"


class Change(NamedTuple):
    """What becomes of a task's call. dropped: arguments; variables: entries of env_vars."""

    template: str
    dropped: frozenset[str]
    needed: Sequence[Needed]
    variables: frozenset[str]


def change(report: TaskReport) -> Change:
    """Return what becomes of the call of a task that needs nothing by hand."""
    template = report.fit.template if report.fit else ""
    return Change(template, report.dropped, report.needed, report.variables)


class Patched(NamedTuple):
    """The new text, and for each task that was left as it is the reason."""

    text: str
    done: tuple[str, ...]
    left: dict[str, str]


def patched(text: str, changes: Mapping[str, Change]) -> Patched:
    """Return the DAG file's text with these tasks' calls changed; changes: by task_id."""
    try:
        wrapper = cst.MetadataWrapper(cst.parse_module(text))
    except cst.ParserSyntaxError as error:
        return Patched(text, (), dict.fromkeys(changes, f"libcst cannot read the file, line {error.raw_line}"))
    names = _names(wrapper.module)
    calls = _Calls(names)
    wrapper.module.visit(calls)
    left = {task: reason for task, change in changes.items() if (reason := _reason(calls, task, change))}
    applicable = {task: change for task, change in changes.items() if task not in left}
    if not applicable:
        return Patched(text, (), left)
    context = CodemodContext(wrapper=wrapper, filename=None)
    module = wrapper.module.visit(_Replacer(names, applicable, context))
    module = AddImportsVisitor(context).transform_module(module)
    module = RemoveImportsVisitor(context).transform_module(module)
    return Patched(module.code, tuple(applicable), left)


def _names(module: cst.Module) -> frozenset[str]:
    """Return what the file calls KubernetesPodOperator."""
    result = set()
    for node in _statements(module):
        if isinstance(node, cst.ImportFrom) and not isinstance(node.names, cst.ImportStar):
            for alias in node.names:
                if alias.name.value == _OLD:
                    result.add(alias.evaluated_alias or _OLD)
    return frozenset(result)


def _statements(module: cst.Module) -> list[cst.BaseSmallStatement]:
    return [small for line in module.body if isinstance(line, cst.SimpleStatementLine) for small in line.body]


class _Calls(cst.CSTVisitor):
    """The calls of the operator, by their task_id."""

    def __init__(self, names: frozenset[str]) -> None:
        self.names = names
        self.calls: dict[str, cst.Call] = {}
        self.count: Counter[str] = Counter()

    def visit_Call(self, node: cst.Call) -> None:
        task = _task_id(node, self.names)
        if task is not None:
            self.calls[task] = node
            self.count[task] += 1


def _task_id(node: cst.Call, names: frozenset[str]) -> str | None:
    if not _is_operator(node.func, names):
        return None
    for argument in node.args:
        if (
            argument.keyword
            and argument.keyword.value == "task_id"
            and isinstance(argument.value, cst.SimpleString)
        ):
            value = argument.value.evaluated_value
            return value if isinstance(value, str) else None
    return None


def _is_operator(func: cst.BaseExpression, names: frozenset[str]) -> bool:
    """Return whether it names the operator: by the file's own name for it, or as an attribute of its module."""
    if isinstance(func, cst.Attribute):
        return func.attr.value == _OLD
    return isinstance(func, cst.Name) and func.value in names


def _reason(calls: _Calls, task: str, change: Change) -> str | None:
    if not calls.count[task]:
        return "no call in its file has this task_id as plain text"
    if calls.count[task] > 1:
        return f"{calls.count[task]} calls in its file have this task_id"
    call = calls.calls[task]
    if any(argument.star or argument.keyword is None for argument in call.args):
        return "its call has arguments without a name (*args, **kwargs)"
    keywords = {argument.keyword.value: argument.value for argument in call.args if argument.keyword}
    if others := sorted(change.dropped - set(keywords)):
        return f"default_args, not its call, gives it {', '.join(others)}"
    env = keywords.get("env_vars")
    if change.variables and "env_vars" not in change.dropped:
        is_plain = isinstance(env, cst.Dict) and all(_key(element) is not None for element in env.elements)
        if env is None or not is_plain:
            return "its env_vars are not written out in the call"
    return None


def _key(element: Any) -> str | None:
    key = getattr(element, "key", None)
    value = key.evaluated_value if isinstance(key, cst.SimpleString) else None
    return value if isinstance(value, str) else None


class _Replacer(cst.CSTTransformer):
    def __init__(self, names: frozenset[str], changes: Mapping[str, Change], context: CodemodContext) -> None:
        self.names = names
        self.changes = changes
        self.context = context

    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.BaseExpression:
        change = self.changes.get(_task_id(original_node, self.names) or "")
        if change is None:
            return updated_node
        AddImportsVisitor.add_needed_import(self.context, _PACKAGE, _NEW)
        if change.needed:
            AddImportsVisitor.add_needed_import(self.context, _PACKAGE, "VaultSecret")
        for module, name in _IMPORTS:
            RemoveImportsVisitor.remove_unused_import(self.context, module, name)
            for alias in self.names - {name}:
                RemoveImportsVisitor.remove_unused_import(self.context, module, name, alias)
        return updated_node.with_changes(func=cst.Name(_NEW), args=_arguments(updated_node.args, change))


def _arguments(args: Sequence[cst.Arg], change: Change) -> list[cst.Arg]:
    kept: list[cst.Arg] = []
    for argument in args:
        name = argument.keyword.value if argument.keyword else ""
        if name in change.dropped:
            _keep_comments(kept, argument)
            continue
        kept.append(_without_variables(argument, change.variables) if name == "env_vars" else argument)
        if name == "task_id":
            kept += _new(argument, change, is_last=argument is args[-1])
    last = args[-1]
    # The last one ends as the last one did.
    kept[-1] = kept[-1].with_changes(comma=last.comma, whitespace_after_arg=last.whitespace_after_arg)
    return [_with_comma(argument) if argument is not kept[-1] else argument for argument in kept]


def _with_comma(argument: cst.Arg) -> cst.Arg:
    if isinstance(argument.comma, cst.Comma):
        return argument
    return argument.with_changes(comma=cst.Comma(whitespace_after=cst.SimpleWhitespace(" ")))


def _keep_comments(kept: list[cst.Arg], dropped: cst.Arg) -> None:
    """Hand the comment lines after an argument that goes, which are the next one's, to the one before."""
    after = _after(dropped)
    if kept and isinstance(after, cst.ParenthesizedWhitespace) and after.empty_lines:
        before = _after(kept[-1])
        if isinstance(before, cst.ParenthesizedWhitespace):
            space = before.with_changes(empty_lines=[*before.empty_lines, *after.empty_lines])
            kept[-1] = kept[-1].with_changes(comma=cst.Comma(whitespace_after=space))


def _after(argument: cst.Arg) -> Any:
    return argument.comma.whitespace_after if isinstance(argument.comma, cst.Comma) else None


def _new(task_id: cst.Arg, change: Change, is_last: bool) -> list[cst.Arg]:
    """Return pod_template and vault_secrets, set as task_id is."""
    after = _after(task_id)
    lines = isinstance(after, cst.ParenthesizedWhitespace) and not is_last
    comma = cst.Comma(whitespace_after=_plain(after)) if lines else cst.MaybeSentinel.DEFAULT
    indent = after.last_line.value if lines else ""
    values = [("pod_template", literal(change.template))]
    if change.needed:
        values.append(("vault_secrets", _list(change.needed, indent if lines else None)))
    return [
        task_id.with_changes(keyword=cst.Name(name), value=cst.parse_expression(value), comma=comma)
        for name, value in values
    ]


def _plain(space: cst.ParenthesizedWhitespace) -> cst.ParenthesizedWhitespace:
    """Return the line break without the comments that are the other argument's."""
    return space.with_changes(empty_lines=[], first_line=cst.TrailingWhitespace())


def _list(needed: Sequence[Needed], indent: str | None) -> str:
    if indent is None:
        return f"[{', '.join(line for one in needed for line in one.call(width=_ANY))}]"
    body = [
        f"{indent}    {line}" + ("," if line == ")" or (line.endswith(")") and line[0] != " ") else "")
        for one in needed
        for line in one.call()
    ]
    return "\n".join(["[", *body, f"{indent}]"])


def _without_variables(argument: cst.Arg, names: frozenset[str]) -> cst.Arg:
    if not isinstance(argument.value, cst.Dict):
        return argument
    old = argument.value.elements
    kept = [element for element in old if _key(element) not in names]
    if kept and kept[-1] is not old[-1]:
        kept[-1] = kept[-1].with_changes(comma=old[-1].comma)
    return argument.with_changes(value=argument.value.with_changes(elements=kept))
