"""Jinja for pod templates: sandboxed, confined to one folder, and rendering to a Fragment instead of text."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import BaseLoader, Environment, StrictUndefined, TemplateNotFound, TemplateSyntaxError, meta, nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

from airflow_k8s_vault.errors import did_you_mean
from airflow_k8s_vault.teams import FileCache, UnreadableFile
from airflow_k8s_vault.templates import guards, limits
from airflow_k8s_vault.templates.fragment import CLOSE_MARK, OPEN_MARK, Fragment, Text, Value, plain

# No name of a file below the folder.
OUTSIDE = re.compile(r"(^|/)\.\.?(/|\Z)|//|^/|/\Z|[\\\0:]")


_LONGEST = 65_536
# No name that a template can write.
_EACH = "(each)"
_REFERENCES = (nodes.Extends, nodes.Include, nodes.Import, nodes.FromImport)


class Source(NamedTuple):
    """What one file needs: the templates that it names and in which lines, the names it takes and those it sets.

    size: how many tags and expressions it holds.
    """

    references: tuple[tuple[str, int], ...]
    used: frozenset[str]
    assigned: frozenset[str]
    size: int


class _PieceGenerator(CodeGenerator):
    """Compiles templates to yield pieces that know where they come from (see Jinja's NativeCodeGenerator)."""

    def _output_child_to_const(self, node: nodes.Expr, frame: Frame, finalize: Any) -> Any:
        if isinstance(node, nodes.TemplateData):
            return node
        # Constants are values as well: left to the run time, they go the same single way as all others.
        raise nodes.Impossible

    def _output_const_repr(self, group: Any) -> str:
        first = next(iter(group))
        text = "".join(node.data for node in group)
        return f"environment.text({text!r}, {self.name!r}, {first.lineno})"

    def _output_child_pre(self, node: nodes.Expr, frame: Frame, finalize: Any) -> None:
        self.write("environment.emit(")

    def _output_child_post(self, node: nodes.Expr, frame: Frame, finalize: Any) -> None:
        used = {name.name for name in node.find_all(nodes.Name)}
        used |= {node.name} if isinstance(node, nodes.Name) else set()
        self.write(f", {self.name!r}, {node.lineno}, {tuple(sorted(used))!r})")

    # What makes a value goes through the environment, which bounds it.

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:
        self.write("environment.concatenated((")
        for part in node.nodes:
            self.visit(part, frame)
            self.write(", ")
        self.write("))")

    def visit_List(self, node: nodes.List, frame: Frame) -> None:
        self._within("sized", super().visit_List, node, frame)

    def visit_Dict(self, node: nodes.Dict, frame: Frame) -> None:
        self._within("sized", super().visit_Dict, node, frame)

    def visit_Tuple(self, node: nodes.Tuple, frame: Frame) -> None:
        if node.ctx == "load":
            self._within("sized", super().visit_Tuple, node, frame)
        else:
            super().visit_Tuple(node, frame)

    def visit_Compare(self, node: nodes.Compare, frame: Frame) -> None:
        self._within("step", super().visit_Compare, node, frame)

    def visit_Getitem(self, node: nodes.Getitem, frame: Frame) -> None:
        self._within("step", super().visit_Getitem, node, frame)

    def _within(self, function: str, visit: Callable[[Any, Frame], None], node: nodes.Expr, frame: Frame) -> None:
        self.write(f"environment.{function}(")
        visit(node, frame)
        self.write(")")


class _FolderLoader(BaseLoader):
    """Reads templates of one folder, by their path below it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        # The source is parsed for what it names, and again by Jinja when it is rendered: read once for both.
        self._texts = FileCache()

    def get_source(self, environment: Environment, template: str) -> tuple[str, str, Callable[[], bool]]:
        if OUTSIDE.search(template):
            raise TemplateSyntaxError(f"'{template}' leaves {self.root}; name a template below it", 1, template)
        file = f"{self.root}/{template}"
        try:
            source = self._texts.get(self.root, template, str)
        except FileNotFoundError:
            raise TemplateNotFound(template) from None
        except UnreadableFile as error:
            raise TemplateSyntaxError(f"'{template}' {error}", 1, template) from error
        if len(source) > _LONGEST:
            raise TemplateSyntaxError(
                f"is longer than the {_LONGEST:,} characters that a template may have", 1, template
            )
        for number, line in enumerate(source.splitlines(), 1):
            if OPEN_MARK in line or CLOSE_MARK in line:
                raise TemplateSyntaxError("holds a private-use character", number, template, file)
        return source, file, lambda: self._is_same(template, source)

    def _is_same(self, template: str, source: str) -> bool:
        # Jinja asks for each rendering: the text itself is compared only where the file was read again meanwhile.
        return self._texts.is_same(self.root, template) and self._texts.get(self.root, template, str) is source


class _Missing(StrictUndefined):
    """A name that is not there, and what is."""

    @property
    def _undefined_message(self) -> str:
        held, name = self._undefined_obj, self._undefined_name
        if self._undefined_hint or not isinstance(held, Mapping):
            return super()._undefined_message
        known = [str(key) for key in held]
        return f"there is no {name!r}, only {', '.join(known) or 'nothing'}.{did_you_mean(str(name), known)}"


class _Namespace(Namespace):
    """Jinja's, but it is not written out: one may hold the same other twice, and that another."""

    def __repr__(self) -> str:
        return "<namespace>"


class PodEnvironment(ImmutableSandboxedEnvironment):
    """The environment of one templates_dir. Templates render to a Fragment."""

    code_generator_class = _PieceGenerator
    concat = Fragment  # type: ignore[assignment]
    intercepted_binops = frozenset(ImmutableSandboxedEnvironment.default_binop_table)

    def __init__(self, root: Path) -> None:
        self.folder = _FolderLoader(root)
        super().__init__(
            loader=self.folder,
            undefined=_Missing,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            cache_size=-1,
            # What is constant is computed at run time, within the limits.
            optimized=False,
        )
        # The same template and variables have to give the same pod.
        del self.filters["random"]
        del self.globals["lipsum"]
        self.globals["namespace"] = _Namespace
        self.tests = guards.tests(self.tests)  # type: ignore[arg-type,assignment]
        self.filters = guards.filters({**self.filters, "label_value": label_value}) | {_EACH: limits.each}

    sized, step = staticmethod(limits.sized), staticmethod(limits.step)

    @staticmethod
    def text(text: str, template: str, line: int) -> Text:
        """Return a piece of the template's own text."""
        limits.step()
        return Text(text, template, line)

    @staticmethod
    def emit(value: Any, template: str, line: int, names: tuple[str, ...]) -> Fragment | Value:
        """Return what an expression came to as a piece of the output."""
        return value if isinstance(value, Fragment) else Value(plain(limits.sized(value)), template, line, names)

    @staticmethod
    def concatenated(parts: tuple[Any, ...]) -> str:
        """Return what `~` makes of the parts."""
        limits.require(limits.size_of(*parts))
        return str(limits.sized("".join(map(str, parts))))

    # `map("a.b.c")` and its like look up one name after another, without a tag of the template.

    def getitem(self, obj: Any, argument: Any) -> Any:
        return super().getitem(limits.step(obj), argument)

    def getattr(self, obj: Any, attribute: str) -> Any:
        return super().getattr(limits.step(obj), attribute)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        limits.operated(operator, left, right)
        return limits.sized(super().call_binop(context, operator, left, right))

    def call(__self, __context: Any, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        args = guards.called(__obj, args, kwargs)
        made = super().call(__context, __obj, *args, **kwargs)
        return limits.sized(made) if isinstance(made, str | list | tuple | dict) else made

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        for node in tree.find_all(_REFERENCES):
            parts = _named(node)
            if any(part is None for part in parts):
                # So that the files behind a template, and their variables, are known without rendering it.
                message = (
                    f"{{% {type(node).__name__.lower()} %}} takes a template's name in quotes, nothing computed"
                )
                raise TemplateSyntaxError(message, node.lineno, name, filename)
        for loop in tree.find_all(nodes.For):
            loop.iter = nodes.Filter(loop.iter, _EACH, [], [], None, None, lineno=loop.iter.lineno)
        tree.set_environment(self)
        return tree

    def source(self, name: str) -> Source:
        """Return what the template's source says, without rendering it. Raises jinja2's own errors."""
        text, filename, _ = self.folder.get_source(self, name)
        tree = self.parse(text, name, filename)
        references = [(part, node.lineno) for node in tree.find_all(_REFERENCES) for part in _named(node) if part]
        assigned = {node.name for node in tree.find_all(nodes.Name) if node.ctx in ("store", "param")}
        size = sum(1 for _ in tree.find_all(nodes.Node))
        return Source(
            tuple(references), frozenset(meta.find_undeclared_variables(tree)), frozenset(assigned), size
        )


def _named(node: Any) -> list[str | None]:
    template = node.template
    parts = template.items if isinstance(template, nodes.List | nodes.Tuple) else [template]
    return [
        part.value if isinstance(part, nodes.Const) and isinstance(part.value, str) else None for part in parts
    ]


def label_value(value: Any) -> str:
    """Return text that Kubernetes takes as a label's value: 63 characters at most, unusual ones as `_`.

    >>> label_value("manual__2026-01-31T00:00:00+00:00")
    'manual__2026-01-31T00_00_00_00_00'
    """
    return re.sub(r"[^A-Za-z0-9_.-]", "_", str(value))[:63].strip("_.-")
