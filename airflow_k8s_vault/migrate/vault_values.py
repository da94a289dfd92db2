"""Values of Vault, as the VaultSecrets that a task needs for them: one for each read of Vault."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from airflow_k8s_vault.migrate.needed import TODO, Needed
from airflow_k8s_vault.migrate.origins import Source, VaultValue
from airflow_k8s_vault.vault_file import DIRECTORY


class Wish(NamedTuple):
    """What a variable or a file held. key: of the Kubernetes Secret, to be named where the source is not known."""

    key: str
    source: Source


class Held(NamedTuple):
    """Where wishes come from. secret: what follows "TODO/" while its path is not known; by: what fills it, or "".

    unknown: the comment for an unknown path, without its reason. more: comments of all.
    """

    secret: str
    by: str
    unknown: str
    more: tuple[str, ...] = ()

    def reason(self, reason: str) -> str:
        """Return the comment for what is not known."""
        return f"TODO: {self.unknown}{f': {reason}' if reason else ''}."


def of_value(value: VaultValue, arguments: Mapping[str, Any], comments: Sequence[str] = ()) -> Needed:
    """Return the VaultSecret of a value; arguments: where it goes."""
    given: dict[str, Any] = {} if value.engine == "kv2" else {"engine": value.engine}
    notes = [*comments, *value.comments]
    if value.parameters:
        given["parameters"] = dict(value.parameters)
    if value.version:
        given["version"] = value.version
    decode = {"decode": value.decode} if value.decode else {}
    return Needed(value.path, {**given, **arguments, **decode}, tuple(dict.fromkeys(notes)))


def variables(wishes: Mapping[str, Wish], held: Held, container: str) -> Iterator[Needed]:
    """Yield the VaultSecrets that give a container these variables."""
    wishes = {name: wish._replace(source=_as_variable(name, wish.source)) for name, wish in wishes.items()}
    for value, names in _known(wishes):
        yield of_value(value, {"env": names, "container": container}, (*_as(held), *held.more))
    for reason, keys in _unknown(wishes):
        arguments = {"env": keys, "container": container}
        yield Needed(f"{TODO}/{held.secret}", arguments, (held.reason(reason), *held.more))


def files(
    wishes: Mapping[str, Wish], held: Held, container: str, directory: str, modes: Mapping[str, str | None]
) -> Iterator[Needed]:
    """Yield the VaultSecrets that give a container these files. modes: of each file, None for the default."""
    for mode in dict.fromkeys(modes.get(name) for name in wishes):
        same = {name: wish for name, wish in wishes.items() if modes.get(name) == mode}
        arguments = {"mode": mode} if mode else {}
        for value, names in _known(same):
            made = of_value(value, {"files": names, **arguments}, (*_as(held), *held.more))
            yield placed(made, directory, container)
        for reason, keys in _unknown(same):
            comments = (held.reason(reason), *held.more)
            yield placed(
                Needed(f"{TODO}/{held.secret}", {"files": keys, **arguments}, comments), directory, container
            )


def placed(needed: Needed, directory: str, container: str | None) -> Needed:
    """Return the secret with its files where the program looks for them, if a mount can be there."""
    where = {"container": container} if container else {}
    result = needed._replace(arguments={**needed.arguments, "directory": directory, **where})
    if directory != DIRECTORY and not result.errors():
        return result
    where_it_was = f"TODO: the program looked in {directory or '/'}, where no files can be."
    moved = () if directory == DIRECTORY else (where_it_was,)
    return Needed(needed.path, {**needed.arguments, **where}, (*needed.comments, *moved))


def _as(held: Held) -> tuple[str, ...]:
    return (f"As {held.by} has it.",) if held.by else ()


def _as_variable(name: str, source: Source) -> Source:
    """Return the source of a variable, which holds the text of one key."""
    if isinstance(source, str):
        return source
    if source.key is None:
        return f"{name} was all of {source.path}, as JSON, which only a file can be"
    if source.decode:
        return f"{name} was decoded from base64 ('{source.key}' of {source.path}), which only a file can be"
    return source


def _known(wishes: Mapping[str, Wish]) -> Iterator[tuple[VaultValue, dict[str, str | None]]]:
    """Yield each read of Vault's with the keys of what it gives."""
    reads: dict[VaultValue, dict[str, str | None]] = {}
    for name, wish in wishes.items():
        if isinstance(wish.source, VaultValue):
            reads.setdefault(wish.source._replace(key=None, comments=()), {})[name] = wish.source.key
    for read, names in reads.items():
        sources = [wishes[name].source for name in names]
        comments = [text for source in sources if isinstance(source, VaultValue) for text in source.comments]
        yield read._replace(comments=tuple(dict.fromkeys(comments))), names


def _unknown(wishes: Mapping[str, Wish]) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield each reason with the keys of what it leaves to be filled in."""
    reasons: dict[str, dict[str, str]] = {}
    for name, wish in wishes.items():
        if isinstance(wish.source, str):
            reasons.setdefault(wish.source, {})[name] = wish.key
    yield from reasons.items()
