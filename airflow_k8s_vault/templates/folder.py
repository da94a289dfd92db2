"""The folder of all templates: which files belong to a name, and each file read once while it stays as it is."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

from jinja2 import TemplateError as JinjaError
from jinja2 import TemplateNotFound, TemplateSyntaxError

from airflow_k8s_vault.errors import TemplateError, did_you_mean
from airflow_k8s_vault.teams import FileCache, location
from airflow_k8s_vault.templates import variables
from airflow_k8s_vault.templates.engine import PodEnvironment, Source
from airflow_k8s_vault.templates.variables import Declared

SUFFIX = ".yaml.j2"
# A leading underscore marks a file of macros or parts that is no template by itself.
NAME = re.compile(r"[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?")


class Folder:
    """One templates_dir. Build it with `folder`, so that all its users share what was read."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.environment = PodEnvironment(root)
        self._cache = FileCache()

    def files(self) -> list[str]:
        """Return the paths of all files that Jinja can name, shared ones first."""
        found = [file.relative_to(self.root) for file in self.root.rglob(f"*{SUFFIX}")]
        return [file.as_posix() for file in sorted(found, key=lambda file: (len(file.parts), file))]

    def available(self, team: str) -> list[str]:
        """Return the names of the templates that a team can use, without the team's name: own and shared."""
        found = [*self.root.glob(f"*{SUFFIX}"), *(self.root / team).glob(f"*{SUFFIX}")]
        names = {file.name.removesuffix(SUFFIX) for file in found}
        return sorted(name for name in names if NAME.fullmatch(name))

    def chain(self, file: str) -> list[str]:
        """Return the file and all that it extends, includes or imports, nearest first.

        Raises TemplateError where one of them is missing, leaves the folder or is no valid Jinja.
        """
        found: list[str] = []
        waiting = [(file, file)]
        while waiting:
            name, user = waiting.pop(0)
            if name not in found:
                found.append(name)
                waiting += [(reference, name) for reference in self._source(name, user).references]
        return found

    def _source(self, name: str, user: str) -> Source:
        try:
            return self._cache.get(f"{self.root}/{name}", lambda _: self.environment.source(name), "source")
        except (OSError, TemplateNotFound) as error:
            known = self.files()
            raise TemplateError(
                f"{location(self.root / user, self.root, None)} needs '{name}', which is not there.\n"
                f"  Templates in {self.root}: {', '.join(known)}.{did_you_mean(name, known)}"
            ) from error
        except JinjaError as error:
            line = error.lineno if isinstance(error, TemplateSyntaxError) else None
            raise TemplateError(
                f"{location(self.root / name, self.root, line)}: {(error.message or '').rstrip('.')}."
            ) from error

    def undeclared(self, file: str) -> dict[str, str]:
        """Return the names that nothing declares or sets, each with the file that uses it: typos, mostly.

        Rendering finds those of the branches that it takes; this finds them all.
        """
        sources = {name: self._source(name, file) for name in self.chain(file)}
        known = {*variables.CONTEXT, *self.variables(file).variables, *self.environment.globals}
        known.update(*(source.assigned for source in sources.values()))
        return {name: at for at, source in sources.items() for name in sorted(source.used - known)}

    def unused(self, file: str) -> list[str]:
        """Return the declared variables that neither the template nor anything it is made of uses."""
        used = frozenset[str]().union(*(self._source(name, file).used for name in self.chain(file)))
        return sorted(set(self.variables(file).variables) - used)

    def variables(self, file: str) -> Declared:
        """Return the variables of a template and of all that it is made of."""
        return variables.combined(tuple(self._declared(name) for name in self.chain(file)))

    def _declared(self, name: str) -> Declared:
        path = f"{self.root}/{name.removesuffix(SUFFIX)}{variables.SUFFIX}"
        try:
            return self._cache.get(path, lambda file: variables.read(file, self.root), "variables")
        except FileNotFoundError:
            return _NOTHING


_NOTHING = Declared({})


@lru_cache(maxsize=64)
def folder(root: Path) -> Folder:
    """Return the folder at that path, the same one each time."""
    return Folder(root)
