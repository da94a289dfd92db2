"""Which task gets which secret: read from the DAGs that Airflow has serialized, never from DAG files.

A row is one secret as one container of one task gets it. Names and paths only: a serialized DAG holds no value.
"""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

from airflow.models.serialized_dag import SerializedDagModel
from airflow.utils.session import create_session
from sqlalchemy import func, select

from airflow_k8s_vault import json_text

# What stands for a value that only a run knows.
AT_RUN_TIME = "known when it runs"
# A DAG is read once for each of its versions; the oldest are forgotten first.
_VERSIONS_KEPT = 5000


class Task(NamedTuple):
    """One task that names a pod template, as its DAG declares it."""

    dag_id: str
    task_id: str
    team: str
    template: str
    delivery: str
    secrets: tuple[Mapping[str, Any], ...]
    mapped: bool

    @property
    def pod_template(self) -> str:
        return f"{self.team}/{self.template}"


class Row(NamedTuple):
    """One secret of one task. `target` is the variable, or the file, as which the container gets it."""

    team: str
    path: str
    target: str
    key: str
    container: str
    dag_id: str
    task_id: str
    template: str
    delivery: str


def tasks(dag_ids: Iterable[str]) -> list[Task]:
    """Return the tasks of these DAGs that name a pod template, by DAG and task."""
    readable = set(dag_ids)
    matches: list[Task] = []
    with create_session() as session:
        newest = [version for version in _newest(session) if version.dag_id in readable]
    for version in sorted(newest, key=lambda version: version.dag_id):
        matches += _tasks_of(version)
    return matches


def rows(tasks_: Iterable[Task]) -> Iterator[Row]:
    """Yield one row for each variable and each file of each task."""
    for task in tasks_:
        for secret in task.secrets:
            for target, key in _targets(secret):
                yield Row(
                    task.team,
                    str(secret.get("path", "")),
                    target,
                    key,
                    str(secret.get("container") or "base"),
                    task.dag_id,
                    task.task_id,
                    task.template,
                    task.delivery,
                )


def _targets(secret: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if isinstance(secret.get("targets"), Mapping) and secret["targets"]:
        yield from ((str(target), str(key)) for target, key in secret["targets"].items())
        return
    # As versions of a DAG have it that were serialized before.
    yield from sorted(_variables(secret.get("env")))
    if secret.get("file"):
        yield f"/vault/secrets/{secret['file']}", str(secret.get("key") or "all keys, as JSON")
    if not secret.get("env") and not secret.get("file"):
        yield AT_RUN_TIME, ""


def _variables(env: Any) -> Iterable[tuple[str, str]]:
    return ((str(name), str(key)) for name, key in env.items()) if isinstance(env, Mapping) else ()


class _Version(NamedTuple):
    """One serialized DAG. Airflow writes a version without runs anew in place: the hash is part of its name."""

    dag_id: str
    row_id: UUID
    dag_hash: str


def _newest(session: Any) -> list[_Version]:
    """Return the newest serialized version of each DAG."""
    latest = (
        select(SerializedDagModel.dag_id, func.max(SerializedDagModel.created_at).label("created_at"))
        .group_by(SerializedDagModel.dag_id)
        .subquery()
    )
    newest = select(SerializedDagModel.dag_id, SerializedDagModel.id, SerializedDagModel.dag_hash).join(
        latest,
        (SerializedDagModel.dag_id == latest.c.dag_id) & (SerializedDagModel.created_at == latest.c.created_at),
    )
    return [_Version(*row) for row in session.execute(newest)]


@lru_cache(maxsize=_VERSIONS_KEPT)
def _tasks_of(version: _Version) -> tuple[Task, ...]:
    with create_session() as session:
        row = session.get(SerializedDagModel, version.row_id)
        data = (row.data or {}) if row is not None else {}
    return tuple(_read(version.dag_id, data))


def _read(dag_id: str, data: Mapping[str, Any]) -> Iterator[Task]:
    for item in data.get("dag", {}).get("tasks", ()):
        operator = _plain(item)
        request = operator.get("vault_request")
        declared = _declared(request) if request else operator.get("partial_kwargs") or {}
        expanded = (operator.get("expand_input") or {}).get("value")
        if not isinstance(declared, Mapping) or "pod_template" not in declared:
            continue
        owner, _, short = str(declared["pod_template"]).rpartition("/")
        yield Task(
            dag_id,
            str(operator.get("task_id", "")),
            owner or str(declared.get("team") or ""),
            short,
            str(declared.get("delivery") or ""),
            tuple(_secrets(declared.get("vault_secrets"))) + tuple(_expanded(expanded)),
            bool(operator.get("_is_mapped")),
        )


def _declared(request: object) -> Any:
    """Return what a task says of itself; None where a subclass in some DAG says what nobody can read."""
    with contextlib.suppress(ValueError, TypeError):
        return json_text.read(request)  # type: ignore[arg-type]
    return None


def _secrets(listed: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(listed, list):
        yield from (secret if isinstance(secret, dict) else _written(str(secret)) for secret in listed)
    elif listed:
        yield {"path": AT_RUN_TIME}


def _written(text: str) -> Mapping[str, Any]:
    """Return what a VaultSecret says of itself: Airflow writes an argument of a mapped task so.

    >>> _written("VaultSecret(path='secret/a', env={'A': 'a'}, file=None)")
    {'path': 'secret/a', 'env': {'A': 'a'}}
    """
    try:
        call = ast.parse(text, mode="eval").body
        given = {word.arg: ast.literal_eval(word.value) for word in call.keywords}  # type: ignore[attr-defined]
    except (SyntaxError, ValueError, AttributeError, TypeError, RecursionError, MemoryError):
        return {"path": AT_RUN_TIME}
    return {str(name): value for name, value in given.items() if value is not None}


def _expanded(value: Any) -> Iterator[Mapping[str, Any]]:
    """Yield what a mapped task expands over, each secret once; or that only a run decides it."""
    if not isinstance(value, dict):
        if value is not None:
            yield {"path": AT_RUN_TIME}
        return
    each = value.get("vault_secrets")
    if isinstance(each, list):
        seen: list[Mapping[str, Any]] = []
        for secret in (secret for listed in each for secret in _secrets(listed)):
            if secret not in seen:
                seen.append(secret)
        yield from seen
    elif each is not None:
        yield {"path": AT_RUN_TIME}


def _plain(value: Any) -> Any:
    """Return what Airflow's serialization wrapped in `__type` and `__var`."""
    if isinstance(value, dict):
        if "__var" in value:
            return _plain(value["__var"])
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value
