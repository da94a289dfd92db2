"""Jinja for pod templates: sandboxed, confined to one folder, and rendering to a Fragment instead of text."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import BaseLoader, Environment, StrictUndefined, TemplateNotFound, TemplateSyntaxError, meta, nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.filters import do_indent
from jinja2.sandbox import ImmutableSandboxedEnvironment

from airflow_k8s_vault.errors import did_you_mean
from airflow_k8s_vault.teams import FileCache
from airflow_k8s_vault.templates.fragment import CLOSE, OPEN, Fragment, Text, Value, plain

_OUTSIDE = re.compile(r"(^|/)\.\.?(/|$)|//|^/|/$|[\\\0:]")


_REFERENCES = (nodes.Extends, nodes.Include, nodes.Import, nodes.FromImport)


class Source(NamedTuple):
    """What one file needs: the templates that it names, the names it takes from outside, the names it sets."""

    references: tuple[str, ...]
    used: frozenset[str]
    assigned: frozenset[str]


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


class _FolderLoader(BaseLoader):
    """Reads templates of one folder, by their path below it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        # The source is parsed for what it names, and again by Jinja when it is rendered: read once for both.
        self._texts = FileCache()

    def get_source(self, environment: Environment, template: str) -> tuple[str, str, Callable[[], bool]]:
        if _OUTSIDE.search(template):
            raise TemplateSyntaxError(f"'{template}' leaves {self.root}; name a template below it", 1, template)
        file = self.root / template
        try:
            before = file.stat()
            source = self._texts.get(file, lambda path: path.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise TemplateNotFound(template) from None
        except UnicodeDecodeError as error:
            raise TemplateSyntaxError(f"is not UTF-8 text: {error}", 1, template, str(file)) from error
        if not file.resolve().is_relative_to(self.root.resolve()):
            raise TemplateSyntaxError(f"'{template}' is a link that leaves {self.root}", 1, template, str(file))
        for number, line in enumerate(source.splitlines(), 1):
            if OPEN in line or CLOSE in line:
                raise TemplateSyntaxError("holds a private-use character", number, template, str(file))
        return source, str(file), lambda: _same(file, before)


def _same(file: Path, before: Any) -> bool:
    try:
        now = file.stat()
    except OSError:
        return False
    return (now.st_mtime_ns, now.st_size, now.st_ino) == (before.st_mtime_ns, before.st_size, before.st_ino)


class _Missing(StrictUndefined):
    """A name that is not there, and what is."""

    @property
    def _undefined_message(self) -> str:
        held, name = self._undefined_obj, self._undefined_name
        if self._undefined_hint or not isinstance(held, Mapping):
            return super()._undefined_message
        known = [str(key) for key in held]
        return f"there is no {name!r}, only {', '.join(known) or 'nothing'}.{did_you_mean(str(name), known)}"


class PodEnvironment(ImmutableSandboxedEnvironment):
    """The environment of one templates_dir. Templates render to a Fragment."""

    code_generator_class = _PieceGenerator
    concat = Fragment  # type: ignore[assignment]

    def __init__(self, root: Path) -> None:
        self.folder = _FolderLoader(root)
        super().__init__(
            loader=self.folder,
            undefined=_Missing,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            cache_size=-1,
        )
        # The same template and variables have to give the same pod.
        del self.filters["random"]
        del self.globals["lipsum"]
        self.filters["indent"] = _indent
        self.filters["label_value"] = label_value

    text = staticmethod(Text)

    @staticmethod
    def emit(value: Any, template: str, line: int, names: tuple[str, ...]) -> Fragment | Value:
        """Return what an expression came to as a piece of the output."""
        return value if isinstance(value, Fragment) else Value(plain(value), template, line, names)

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        for node in tree.find_all(_REFERENCES):
            parts = _named(node)
            if any(part is None for part in parts):
                # So that the files behind a template, and their variables, are known without rendering it.
                said = f"{{% {type(node).__name__.lower()} %}} takes a template's name in quotes, nothing computed"
                raise TemplateSyntaxError(said, node.lineno, name, filename)
        return tree

    def source(self, name: str) -> Source:
        """Return what the template's source says, without rendering it. Raises jinja2's own errors."""
        text, filename, _ = self.folder.get_source(self, name)
        tree = self.parse(text, name, filename)
        references = [part for node in tree.find_all(_REFERENCES) for part in _named(node) if part]
        assigned = {node.name for node in tree.find_all(nodes.Name) if node.ctx in ("store", "param")}
        return Source(tuple(references), frozenset(meta.find_undeclared_variables(tree)), frozenset(assigned))


def _named(node: Any) -> list[str | None]:
    template = node.template
    parts = template.items if isinstance(template, nodes.List | nodes.Tuple) else [template]
    return [
        part.value if isinstance(part, nodes.Const) and isinstance(part.value, str) else None for part in parts
    ]


def _indent(value: Any, width: int = 4, first: bool = False, blank: bool = False) -> Any:
    return value.indent(width, first) if isinstance(value, Fragment) else do_indent(value, width, first, blank)


def label_value(value: Any) -> str:
    """Return text that Kubernetes takes as a label's value: 63 characters at most, unusual ones as `_`.

    >>> label_value("manual__2026-01-31T00:00:00+00:00")
    'manual__2026-01-31T00_00_00_00_00'
    """
    return re.sub(r"[^A-Za-z0-9_.-]", "_", str(value))[:63].strip("_.-")
