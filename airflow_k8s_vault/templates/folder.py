"""The folder of all templates: which files belong to a name, and each file read once while it stays as it is."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

from jinja2 import TemplateNotFound, TemplateSyntaxError

from airflow_k8s_vault.errors import TemplateError, did_you_mean
from airflow_k8s_vault.teams import FileCache, UnreadableFile, location
from airflow_k8s_vault.templates import variables
from airflow_k8s_vault.templates.engine import OUTSIDE, PodEnvironment, Source
from airflow_k8s_vault.templates.variables import Declared

SUFFIX = ".yaml.j2"
# Jinja takes a second for forty thousand expressions. A template of forty fields and its parent hold 200.
MOST_EXPRESSIONS, MOST_FILES = 8_000, 32
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
        matches = [file.relative_to(self.root) for file in self.root.rglob(f"*{SUFFIX}")]
        return [file.as_posix() for file in sorted(matches, key=lambda file: (len(file.parts), file))]

    def available(self, team: str) -> list[str]:
        """Return the names of the templates that a team can use, without the team's name: own and shared."""
        matches = [*self.root.glob(f"*{SUFFIX}"), *(self.root / team).glob(f"*{SUFFIX}")]
        names = {file.name.removesuffix(SUFFIX) for file in matches}
        return sorted(name for name in names if NAME.fullmatch(name))

    def chain(self, file: str) -> list[str]:
        """Return the file and all that it extends, includes or imports, nearest first.

        Raises TemplateError where one of them is missing, leaves the folder or is no valid Jinja.
        """
        matches: list[str] = []
        size = 0
        waiting = [(file, file, 0)]
        while waiting:
            name, user, line = waiting.pop(0)
            if name not in matches:
                matches.append(name)
                source = self._source(name, user, line)
                size += source.size
                if size > MOST_EXPRESSIONS or len(matches) > MOST_FILES:
                    raise TemplateError(
                        f"{location(self.root / file, self.root, None)} is made of more than {MOST_FILES} files, "
                        f"or of more than {MOST_EXPRESSIONS:,} tags and expressions, which takes too long to read."
                    )
                waiting += [(reference, name, at) for reference, at in source.references]
        return matches

    def _source(self, name: str, user: str, line: int) -> Source:
        """Return what the source of `name` says, which that line of `user` needs."""
        where = location(self.root / user, self.root, line or None)
        if OUTSIDE.search(name):
            raise TemplateError(f"{where}: '{name}' leaves {self.root}; name a template below it.")
        try:
            return self._cache.get(self.root, name, lambda _: self.environment.source(name), "source")
        except (FileNotFoundError, TemplateNotFound) as error:
            known = self.files()
            raise TemplateError(
                f"{where} needs '{name}', which is not there.\n"
                f"  Templates in {self.root}: {', '.join(known)}.{did_you_mean(name, known)}"
            ) from error
        except UnreadableFile as error:
            raise TemplateError(f"{where}: '{name}' {error}.") from error
        except RecursionError as error:
            raise TemplateError(
                f"{location(self.root / name, self.root, None)} nests expressions too deeply to be read."
            ) from error
        except TemplateSyntaxError as error:
            at = location(self.root / name, self.root, error.lineno)
            raise TemplateError(f"{at}: {(error.message or '').rstrip('.')}.") from error

    def undeclared(self, file: str) -> dict[str, str]:
        """Return the names that nothing declares or sets, each with the file that uses it: typos, mostly.

        Rendering finds those of the branches that it takes; this finds them all.
        """
        sources = {name: self._source(name, file, 0) for name in self.chain(file)}
        known = {*variables.CONTEXT_NAMES, *self.variables(file).variables, *self.environment.globals}
        known.update(*(source.assigned for source in sources.values()))
        return {name: at for at, source in sources.items() for name in sorted(source.used - known)}

    def unused(self, file: str) -> list[str]:
        """Return the declared variables that neither the template nor anything it is made of uses."""
        used = frozenset[str]().union(*(self._source(name, file, 0).used for name in self.chain(file)))
        return sorted(set(self.variables(file).variables) - used)

    def variables(self, file: str) -> Declared:
        """Return the variables of a template and of all that it is made of."""
        declared, count = [], 0
        for name in self.chain(file):
            declared.append(self._declared(name))
            count += len(declared[-1].variables)
            if count > variables.MOST_VARIABLES:
                where = location(self.root / file, self.root, None)
                raise TemplateError(f"{where} declares more than {variables.MOST_VARIABLES} variables.")
        return variables.combined(tuple(declared))

    def _declared(self, name: str) -> Declared:
        file = f"{name.removesuffix(SUFFIX)}{variables.VARIABLES_SUFFIX}"
        try:
            return self._cache.get(
                self.root, file, lambda text: variables.read(text, self.root / file, self.root), "variables"
            )
        except FileNotFoundError:
            return _NOTHING
        except UnreadableFile as error:
            raise TemplateError(f"{location(self.root / file, self.root, None)} {error}.") from error


_NOTHING = Declared({})


@lru_cache(maxsize=64)
def template_folder(root: Path) -> Folder:
    """Return the folder at that path, the same one each time."""
    return Folder(root)
