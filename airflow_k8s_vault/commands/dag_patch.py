"""The patch of one DAG file: which calls it changes, and the proof that each task's pod stays what it was."""

from __future__ import annotations

import contextlib
import difflib
import io
import os
import tempfile
import tokenize
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from airflow_k8s_vault import config, migrate
from airflow_k8s_vault.commands import dag_pods
from airflow_k8s_vault.commands.dag_pods import PodTask
from airflow_k8s_vault.commands.dag_secrets import broken_files, imported_dags
from airflow_k8s_vault.errors import ConfigError
from airflow_k8s_vault.migrate import Change, Patched, TaskReport

_MARK = "\ufeff"
Reported = Sequence[tuple[PodTask, TaskReport]]


class DagPatch:
    """A file, with the calls changed that can be. done: their task_ids; left: a sentence for each that cannot.

    tasks: all of the file, with their reports. dags: the folder, or file, that was imported; root: of templates.
    """

    def __init__(self, file: Path, tasks: Reported, dags: Path, root: Path) -> None:
        self.file = file
        self.tasks = tasks
        self.dags = (dags if dags.is_dir() else dags.parent).resolve()
        self.root = root
        self.left: list[str] = []
        self.done: tuple[str, ...] = ()
        try:
            content = file.read_bytes()
            self.encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
            # As it is: the ends of its lines, and a byte order mark, too.
            self.encoding = self.encoding.removesuffix("-sig")
            self.old = self.new = content.decode(self.encoding)
        except (SyntaxError, UnicodeDecodeError):
            self.left.append(f"{file.name} is in no encoding that can be read")
            return
        self._change()

    def diff(self) -> Iterator[str]:
        """Yield the lines of the patch, as `patch -p1` takes it in the DAGs' folder."""
        before, after = (io.StringIO(text, newline="\n").readlines() for text in (self.old, self.new))
        name = self._below().as_posix()
        for line in difflib.unified_diff(before, after, f"a/{name}", f"b/{name}"):
            yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"

    def write(self) -> None:
        self.file.write_bytes(self.new.encode(self.encoding))

    def _change(self) -> None:
        changes = dict(self._changes())
        result = self._patched(changes)
        reason = self._refusal(result) if result.done else ""
        if reason and len(result.done) > 1:
            # One by one: what is wrong with a task is no reason for the others.
            for name in result.done:
                alone = self._patched({name: changes[name]})
                if reason := self._refusal(alone):
                    self.left.append(f"{self.file.name}: {name}: {reason}")
                    del changes[name]
            result = self._patched(changes)
            reason = self._refusal(result) if result.done else ""
        self.left += [f"{self.file.name}: {name}: {why}" for name, why in result.left.items()]
        if reason:
            self.left.append(f"{self.file.name} is left as it is: {reason}")
        elif result.done:
            self.new, self.done = result.text, result.done

    def _patched(self, changes: Mapping[str, Change]) -> Patched:
        result = migrate.patched(self.old.removeprefix(_MARK), changes)
        return result._replace(text=f"{_MARK if self.old.startswith(_MARK) else ''}{result.text}")

    def _changes(self) -> Iterator[tuple[str, Change]]:
        """Yield task_id, as a call has it, and change. One call may make several tasks, of groups and of DAGs."""
        by_call: dict[str, list[tuple[PodTask, TaskReport]]] = {}
        for task, report in self.tasks:
            by_call.setdefault(_in_call(task), []).append((task, report))
        for name, made in by_call.items():
            changes = [migrate.change(report) for _, report in made if not report.by_hand]
            others = [task.name for task, report in made if report.by_hand]
            if not changes:
                continue
            if others:
                self.left.append(
                    f"{self.file.name}: {name}: with its task_id there is {', '.join(others)}, by hand"
                )
            elif any(change != changes[0] for change in changes):
                names = ", ".join(task.name for task, _ in made)
                self.left.append(f"{self.file.name}: {name}: {names} would not become the same")
            else:
                yield name, changes[0]

    def _refusal(self, result: Patched) -> str:
        """Return why the patched file will not do: it cannot be imported, or a pod is another; "" for none."""
        with contextlib.ExitStack() as stack:
            scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            stack.enter_context(config.replaced("templates_dir", str(self.root)))
            if not _is_set("vault_addr"):
                # Where Vault is matters to pods alone.
                stack.enter_context(config.replaced("vault_addr", "https://vault:8200"))
            copied = self._mirror(scratch, result.text)
            with _silence():
                bag = imported_dags(copied)
            if broken := broken_files(bag, copied):
                return f"patched, it could not be imported: {' '.join(broken.values())}"
            return next(filter(None, (self._difference(bag, result, *each) for each in self.tasks)), "")

    def _difference(self, bag: Any, result: Patched, task: PodTask, report: TaskReport) -> str:
        dag = bag.dags.get(task.dag_id)
        if dag is None or task.task_id not in dag.task_ids:
            return f"patched, it has no {task.name} any more"
        now = dag.get_task(task.task_id)
        if _in_call(task) not in result.done:
            kind = dag_pods.class_of(now).__name__
            return "" if kind == task.operator else f"patched, {task.name} would be a {kind}, too"
        others = report.others(dag_pods.pod_of(now))
        return f"patched, the pod of {task.name} would be another: {', '.join(others)}" if others else ""

    def _mirror(self, scratch: Path, text: str) -> Path:
        """Return the file with this text in a folder that has, besides, all that the DAGs' folder has."""
        source, target = self.dags, scratch
        for step in self._below().parts:
            for entry in source.iterdir():
                if entry.name not in (step, "__pycache__"):
                    (target / entry.name).symlink_to(entry)
            source, target = source / step, target / step
            if source.is_dir():
                target.mkdir()
        target.write_bytes(text.encode(self.encoding))
        return target

    def _below(self) -> Path:
        file = self.file.resolve()
        return file.relative_to(self.dags) if file.is_relative_to(self.dags) else Path(file.name)


def _in_call(task: PodTask) -> str:
    """Return the task_id as a call has it: without the groups' that are before it."""
    return task.task_id.rpartition(".")[2]


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Send what Airflow logs, and a DAG file prints, nowhere: the first import has shown it."""
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        with contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _is_set(name: str) -> bool:
    try:
        return bool(config.get(name))
    except ConfigError:
        return False
