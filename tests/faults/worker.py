"""Workers and triggerers: forked processes that run the real operator and trigger, and can be killed."""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
import signal
import sys
import time
import traceback
import types
from collections.abc import Callable, Coroutine, Iterator
from datetime import UTC, datetime
from typing import Any, TextIO

from airflow.sdk.exceptions import TaskDeferred

from airflow_k8s_vault.operators import VaultPodOperator, VaultPodTrigger


class Dying:
    """SIGKILLs its own process at a step of the hand-over, or does what `then` says."""

    def __init__(self, at: str, then: Callable[[], None] | None = None) -> None:
        self.at, self.then = at, then or (lambda: os.kill(os.getpid(), signal.SIGKILL))

    def __call__(self, step: str) -> None:
        if step == self.at:
            self.then()


class WatchedOperator(VaultPodOperator):
    """VaultPodOperator that tells `at_step` when it asks for its pod, and of each step of its hand-over.

    state_store: Airflow's task state store, where there is one.
    """

    state_store: Any = None
    at_step: Callable[[str], None] = staticmethod(lambda step: None)

    def get_or_create_pod(self, pod_request_obj: Any, context: Any) -> Any:
        self.at_step("before the pod")
        pod = super().get_or_create_pod(pod_request_obj, context)
        self.at_step("with the pod")
        return pod

    def _new_handover(self, pod: Any) -> Any:
        made = super()._new_handover(pod)
        made._step = self.at_step
        return made


def context(operator: WatchedOperator, try_number: int = 1) -> dict[str, Any]:
    """What KubernetesPodOperator reads of a running task."""
    dag_id = operator.dag.dag_id
    ti = types.SimpleNamespace(
        dag_id=dag_id,
        task_id=operator.task_id,
        run_id="run",
        try_number=try_number,
        map_index=-1,
        start_date=datetime.now(UTC),
        xcom_push=lambda *args, **kwargs: seen("xcom", (args, kwargs)),
    )
    return {"ti": ti, "run_id": "run", "dag": operator.dag, "task_state_store": operator.state_store}


def seen(what: str, value: Any) -> None:
    """Write down what would go into Airflow's database or log, for whoever looks for secrets there."""
    with open(f"{os.environ['K8S_VAULT_TEST_WORKER_LOG']}.{what}", "a") as file:
        file.write(f"{value}\n")
        file.flush()


class Process:
    """A forked process that does `work`; `outcome` waits for what it returned, or how it failed."""

    def __init__(self, work: Callable[[], Any]) -> None:
        read, write = os.pipe()
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(read)
            _do(work, write)
        os.close(write)
        self._read = read

    def kill(self, number: int = signal.SIGKILL) -> None:
        os.kill(self.pid, number)

    def outcome(self) -> tuple[str, Any]:
        """Return ("ok", value), ("failed", "ExceptionType: text"), or ("killed", signal)."""
        with os.fdopen(self._read, "rb") as pipe:
            message = pipe.read()
        _, status = os.waitpid(self.pid, 0)
        if os.WIFSIGNALED(status):
            return "killed", os.WTERMSIG(status)
        return pickle.loads(message)  # type: ignore[no-any-return]


def _do(work: Callable[[], Any], write: int) -> None:
    """Never return: a copy of the test that went on as if it were the test would run all that come after it."""
    try:
        _report(work, write)
    finally:
        os._exit(1)


def _report(work: Callable[[], Any], write: int) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    log = os.open(os.environ["K8S_VAULT_TEST_WORKER_LOG"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(log, stream)
    if "K8S_VAULT_TEST_DEBUG" in os.environ:
        _log_everything(os.fdopen(log, "w", buffering=1))
    try:
        message: tuple[str, Any] = ("ok", work())
    except BaseException as failure:
        # With the variables of each frame, as error trackers send them.
        shown = traceback.TracebackException.from_exception(failure, capture_locals=True)
        seen("exceptions", "".join(shown.format()))
        message = ("failed", f"{type(failure).__name__}: {failure}")
    seen("environment", dict(os.environ))
    with os.fdopen(write, "wb") as pipe:
        pipe.write(pickle.dumps(message))


def _log_everything(to: TextIO) -> None:
    """Let every logger say all that it can: Airflow's own, those of the libraries, the root."""
    from airflow.sdk.log import configure_logging

    # As in a task's own process, where nothing is masked: that is done by the supervisor, later.
    configure_logging.__wrapped__(log_level="DEBUG", output=to, sending_to_supervisor=True)
    matches = [logging.getLogger(name) for name in list(logging.root.manager.loggerDict)]
    for logger in (logging.getLogger(), *matches):
        logger.setLevel(logging.DEBUG)
        logger.disabled, logger.propagate = False, True


def run(operator: VaultPodOperator, try_number: int = 1) -> Process:
    """Start one try of a task as the task runner does: SIGTERM calls on_kill, execution_timeout ends it."""

    def work() -> Any:
        signal.signal(signal.SIGTERM, lambda *_: operator.on_kill())
        with _limited(operator):
            try:
                return _pushed(operator, operator.execute(context(operator, try_number)))
            except TaskDeferred as deferred:
                seen("trigger", deferred.trigger.serialize())
                return deferred.trigger.serialize()
            finally:
                fields = {name: getattr(operator, name, None) for name in operator.template_fields}
                seen("rendered", fields)

    return Process(work)


def _limited(operator: VaultPodOperator) -> Any:
    # Source: airflow.sdk.execution_time.task_runner._execute_task.
    from contextlib import contextmanager

    from airflow.sdk.exceptions import AirflowTaskTimeout
    from airflow.sdk.execution_time.timeout import timeout

    @contextmanager
    def limited() -> Iterator[None]:
        if operator.execution_timeout is None or operator.deferrable:
            yield
            return
        try:
            with timeout(operator.execution_timeout.total_seconds()):
                yield
        except AirflowTaskTimeout:
            operator.on_kill()
            raise

    return limited()


def trigger(serialized: tuple[str, dict[str, Any]], then: str = "") -> Process:
    """Start a triggerer with this trigger; `then="on_kill"`: a user ends the task after a second."""

    async def first_event() -> Any:
        made = _trigger(serialized)
        events = made.run()
        if then == "on_kill":
            task = asyncio.ensure_future(anext(events))
            await asyncio.sleep(1)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await made.on_kill()
            return None
        return (await anext(events)).payload

    return _triggerer(first_event)


def triggerer(rows: list[tuple[str, dict[str, Any]]]) -> Process:
    """Start a triggerer with all these triggers; its outcome is what each of them told."""

    async def first(row: tuple[str, dict[str, Any]]) -> Any:
        return (await anext(_trigger(row).run())).payload

    async def all_first() -> Any:
        return await asyncio.gather(*map(first, rows))

    return _triggerer(all_first)


def _trigger(serialized: tuple[str, dict[str, Any]]) -> VaultPodTrigger:
    # The connection is the triggerer's own: what the worker's says of it is in the trigger's row.
    return VaultPodTrigger(**{**serialized[1], "connection_extras": None})


def _triggerer(events: Callable[[], Coroutine[Any, Any, Any]]) -> Process:
    def work() -> Any:
        # With its own rights, which are fewer than the worker's.
        os.environ["AIRFLOW_CONN_KUBERNETES_DEFAULT"] = os.environ["K8S_VAULT_TEST_TRIGGERER"]
        return asyncio.run(events())

    return Process(work)


def resume(operator: VaultPodOperator, event: dict[str, Any], try_number: int = 1) -> Process:
    """Start the worker that goes on after the trigger; a pod that still runs is deferred again, as by `run`."""

    def work() -> Any:
        try:
            return _pushed(operator, operator.trigger_reentry(context(operator, try_number), event))
        except TaskDeferred as deferred:
            return deferred.trigger.serialize()

    return Process(work)


def _pushed(operator: VaultPodOperator, result: Any) -> Any:
    """What a task returns is its XCom."""
    if operator.do_xcom_push:
        seen("xcom", result)
    return result


def wait_until(met: Callable[[], Any], timeout_seconds: float = 240) -> Any:
    """Return the first true value of `met`; the time is only for what never comes."""
    deadline = time.monotonic() + timeout_seconds
    while not (value := met()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not met within {timeout_seconds} s: {met}")
        time.sleep(0.02)
    return value
