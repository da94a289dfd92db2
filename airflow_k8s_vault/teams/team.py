"""Teams: one folder with a team.yaml each. The platform's own limits on all of them: platform.yaml above."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from airflow_k8s_vault import vault_path
from airflow_k8s_vault.errors import TeamError, did_you_mean, error_list
from airflow_k8s_vault.teams import document
from airflow_k8s_vault.teams.agent_settings import AgentSettings
from airflow_k8s_vault.teams.ceiling import covers
from airflow_k8s_vault.teams.files import FileCache, UnreadableFile
from airflow_k8s_vault.teams.key import MOST_MISTAKES, mistakes
from airflow_k8s_vault.teams.pod_arguments import OPENABLE
from airflow_k8s_vault.teams.team_file import PLATFORM_KEYS, POD_SECURITY, TEAM_KEYS
from airflow_k8s_vault.teams.walls import TokenLife, Walls, read_walls, token_life

TEAM_FILE = "team.yaml"
PLATFORM_FILE = "platform.yaml"
_NAME = re.compile(r"[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?")

_ANY_LIFE, _NO_WALLS, _DEFAULT_AGENT = TokenLife(), Walls(), AgentSettings()

_Parsed = TypeVar("_Parsed")


@dataclass(frozen=True)
class Platform:
    """What no team can widen. `registries` None: images may come from anywhere.

    worker, triggerer: the accounts that Airflow makes pods with, "namespace/name" or "user:NAME", `{team}` in it
    where each team has workers of its own; None where platform.yaml does not say. break_glass: users and groups
    whom the admission policies let pass. whole_mounts: mounts that a ceiling may cover. vault_cidrs: where Vault
    is. xcom_image: of the XCom sidecar, None: the provider's own. mounts: those of Vault with several segments.
    """

    overridable: tuple[str, ...] = OPENABLE
    pod_security: str = "restricted"
    registries: tuple[str, ...] | None = None
    digests_only: bool = False
    hook_fields: tuple[str, ...] = ()
    worker: str | None = None
    triggerer: str | None = None
    break_glass: tuple[str, ...] = ()
    whole_mounts: tuple[str, ...] = ()
    vault_cidrs: tuple[str, ...] = ()
    xcom_image: str | None = None
    mounts: tuple[str, ...] = ()
    token: TokenLife = _ANY_LIFE
    agent: AgentSettings = _DEFAULT_AGENT
    file: Path | None = None
    lines: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class Team:
    """One team's limits, as its team.yaml has them, narrowed by the platform's.

    images: alias to image reference. secrets: the ceiling, as written; update: the one of paths
    that are written to, with parameters. overridable: what a DAG may set.
    walls: what is compiled to Vault and Kubernetes. lines: key of the file, dotted ("secrets[0]"), to its line,
    counted from 1.
    """

    name: str
    namespace: str
    service_account: str
    vault_role: str
    images: dict[str, str]
    secrets: tuple[str, ...]
    overridable: tuple[str, ...]
    pod_security: str
    file: Path
    lines: dict[str, int]
    platform: Platform
    # What the file lists, before the platform narrowed it.
    requested_overridable: tuple[str, ...] = ()
    walls: Walls = _NO_WALLS
    agent: AgentSettings = _DEFAULT_AGENT
    update: tuple[str, ...] = ()

    def ceiling(self, written: bool) -> tuple[str, ...]:
        """Return the paths that pods may read, or those that they may write parameters to for a credential."""
        return self.update if written else self.secrets

    def allows_path(self, path: str, written: bool = False) -> bool:
        """Return whether the team's ceiling covers a Vault path, written as `vault kv get` takes it.

        `*` stands for any characters within one segment, `/*` at the end for everything below, at any depth.
        Upper and lower case differ. Nothing is normalised: a path with an empty, `.` or `..` segment, a
        trailing slash or an unprintable character is covered by no ceiling.
        """
        if not isinstance(path, str) or vault_path.errors(path):
            return False
        return any(covers(ceiling, path) for ceiling in self.ceiling(written))

    def where(self, key: str) -> str:
        """Return the file and line of a key, as messages show it: "pod_templates/payments/team.yaml, line 9"."""
        return location(self.file, self.file.parent.parent, self.lines.get(key))

    def platform_where(self, key: str) -> str:
        """Return the same for a key of platform.yaml, or its name where the platform has none."""
        if self.platform.file is None:
            return f"the defaults (there is no {PLATFORM_FILE})"
        return location(self.platform.file, self.platform.file.parent, dict(self.platform.lines).get(key))


def location(file: Path, templates_dir: Path, line: int | None) -> str:
    """Return "pod_templates/payments/team.yaml, line 9"; without the line where it is None."""
    name = f"{templates_dir.name}/{file.relative_to(templates_dir).as_posix()}"
    return f"{name}, line {line}" if line else name


_CACHE = FileCache()


def is_name(text: object) -> bool:
    """Return whether the text can be a team's name: the name of a folder, plain and in lower case."""
    return isinstance(text, str) and _NAME.fullmatch(text) is not None


def names(templates_dir: Path) -> list[str]:
    """Return the names of all teams in the folder, sorted."""
    if not templates_dir.is_dir():
        return []
    return sorted(
        file.parent.name for file in templates_dir.glob(f"*/{TEAM_FILE}") if _NAME.fullmatch(file.parent.name)
    )


def platform(templates_dir: Path) -> Platform:
    """Return the platform's limits; the defaults where the folder has no platform.yaml.

    Raises TeamError, with every mistake in the file.
    """
    try:
        return _taken(templates_dir, PLATFORM_FILE, partial(_read_platform, templates_dir / PLATFORM_FILE))
    except FileNotFoundError:
        return Platform()


def load(name: str, templates_dir: Path) -> Team:
    """Return the team of that name.

    Raises TeamError where there is none (with where it looked and who there is), and where its team.yaml is
    not valid (with every mistake, file and line).
    """
    limits = platform(templates_dir)
    if is_name(name):
        with contextlib.suppress(FileNotFoundError):
            file = f"{name}/{TEAM_FILE}"
            return _taken(templates_dir, file, partial(_read_team, templates_dir / file, limits), limits)
    known = names(templates_dir)
    state = "" if templates_dir.is_dir() else ", which is no folder"
    raise TeamError(
        f"Team '{name}' does not exist.\n"
        f"  Looked for: {name}/{TEAM_FILE} in {templates_dir}{state}.\n"
        f"  Teams there: {', '.join(known) or 'none'}.{did_you_mean(str(name), known)}"
    )


def _taken(templates_dir: Path, name: str, parse: Callable[[str], _Parsed], key: Any = None) -> _Parsed:
    try:
        return _CACHE.get(templates_dir, name, parse, key)
    except UnreadableFile as error:
        raise TeamError(f"{location(templates_dir / name, templates_dir, None)} {error}.") from error


def _read(text: str, file: Path, templates_dir: Path, keys: Any) -> document.Document:
    parsed = document.parse_yaml(text)
    result = mistakes(parsed, keys)
    if result:
        count = "a mistake" if len(result) == 1 else f"{len(result)} mistakes"
        lines = [f"line {mistake.place.line}: {mistake.sentence}" for mistake in result[:MOST_MISTAKES]]
        raise TeamError(error_list(f"{location(file, templates_dir, None)} has {count}:", lines))
    return parsed


def _lines(parsed: document.Document) -> dict[str, int]:
    places = {**parsed.values, **parsed.keys}
    return {document.dotted(path): place.line for path, place in places.items() if path}


def _read_platform(file: Path, text: str) -> Platform:
    parsed = _read(text, file, file.parent, PLATFORM_KEYS)
    data = parsed.data or {}
    registries = data.get("registries")
    return Platform(
        overridable=tuple(data.get("overridable", OPENABLE)),
        pod_security=data.get("pod_security", Platform.pod_security),
        registries=None if registries is None else tuple(registries),
        digests_only=data.get("digests_only", False),
        hook_fields=tuple(data.get("hook_fields", ())),
        worker=data.get("airflow", {}).get("worker"),
        triggerer=data.get("airflow", {}).get("triggerer"),
        break_glass=tuple(data.get("break_glass", ())),
        whole_mounts=tuple(data.get("whole_mounts", ())),
        vault_cidrs=tuple(data.get("vault_cidrs", ())),
        xcom_image=data.get("xcom_image"),
        mounts=tuple(data.get("mounts", ())),
        token=token_life(data),
        agent=_DEFAULT_AGENT.with_those_of(data),
        file=file,
        lines=tuple(_lines(parsed).items()),
    )


def _read_team(file: Path, limits: Platform, text: str) -> Team:
    parsed = _read(text, file, file.parent.parent, TEAM_KEYS)
    data = parsed.data
    # Stricter of the two: a team's file can narrow what the platform says, and never widen it.
    strictness = max(
        POD_SECURITY.index(limits.pod_security), POD_SECURITY.index(data.get("pod_security", "privileged"))
    )
    return Team(
        name=file.parent.name,
        namespace=data["namespace"],
        service_account=data["service_account"],
        vault_role=data["vault_role"],
        images=data["images"],
        secrets=tuple(data.get("secrets", ())),
        overridable=tuple(sorted(set(data.get("overridable", ())) & set(limits.overridable))),
        pod_security=POD_SECURITY[strictness],
        file=file,
        lines=_lines(parsed),
        platform=limits,
        requested_overridable=tuple(data.get("overridable", ())),
        walls=read_walls(data, limits.token),
        agent=limits.agent.with_those_of(data),
        update=tuple(data.get("update", ())),
    )
