"""What the pages look like: Jinja with everything escaped, and YAML with its colours."""

from __future__ import annotations

from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request

_FOLDER = Path(__file__).parent / "pages"
STATIC = Path(__file__).parent / "static"


@lru_cache(maxsize=1)
def _environment() -> Environment:
    # All text is escaped: names of templates, variables and DAGs are whatever somebody chose.
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(version=version("airflow-k8s-vault"))
    environment.filters.update(query=urlencode, segment=lambda text: quote(str(text), safe=""))
    # Files of templates are all in one folder, whose name is no news.
    environment.filters.update(below=lambda text, folder: text.removeprefix(f"{folder}/").replace(", line ", ":"))
    return environment


def page(file: str, request: Request, **values: Any) -> str:
    """Return the page that the file makes; `base` is where the application is mounted, behind whatever proxy."""
    base = request.scope.get("root_path", "")
    airflow = base.removesuffix("/k8s-vault")
    return _environment().get_template(file).render(base=base, airflow=airflow, **values)


def yaml_markup(text: str) -> Markup:
    """Return YAML with a class for each kind of word, escaped."""
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import YamlLexer

    return Markup(highlight(text, YamlLexer(), HtmlFormatter(nowrap=True)))  # noqa: S704  pygments escapes
