"""Task instances by Airflow's public API, through its public client."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from urllib3.exceptions import HTTPError

from airflow_k8s_vault.audit.task_run import TaskRun
from airflow_k8s_vault.errors import ConfigError

# A task's credentials live for a day at most, where the platform does not say otherwise.
_LONGEST_RUN = timedelta(days=1)
# Vault's clock, the cluster's and Airflow's; Kubernetes' times are whole seconds.
_SKEW_SECONDS = 3.0
_PAGE = 100
# What operators.pod_record writes of a task's pod. By its name: nothing here loads the operator.
_RECORD = "k8s_vault_pod"
_UNLIMITED = 1e18


class AirflowApi:
    """Reads from the Airflow at `url`. token: of a user who may read the task instances of all DAGs."""

    def __init__(self, url: str, token: str) -> None:
        try:
            from airflow_client import client
        except ImportError:
            raise ConfigError(
                "The audit joins reads with task instances by Airflow's API, whose client is not installed.\n"
                "  Install the extra audit: pip install 'airflow-k8s-vault[audit]', or give --no-airflow."
            ) from None
        self._client, self.url = client, url
        configuration = client.Configuration(host=url.rstrip("/"), access_token=token or None)
        self._api = client.ApiClient(configuration)
        self._instances = client.TaskInstanceApi(self._api)

    def task_runs(self, since: datetime, until: datetime) -> Iterator[TaskRun]:
        """Yield each try of our tasks that may have logged in within that time. Raises ConfigError."""
        try:
            for instance in self._pages(since - _LONGEST_RUN, until + timedelta(seconds=_SKEW_SECONDS)):
                if _template(instance):
                    yield from self._tries(instance)
        except self._client.ApiException as refusal:
            raise ConfigError(
                f"Airflow's API at {self.url} answered {refusal.status} {refusal.reason}.\n"
                "  Set AIRFLOW_API_TOKEN to a token of a user who may read task instances of all DAGs."
            ) from None
        except (OSError, HTTPError) as problem:
            reason = getattr(problem, "reason", None) or problem
            raise ConfigError(f"Airflow's API at {self.url} cannot be reached: {reason}.\n  See --api.") from None

    def _pages(self, since: datetime, until: datetime) -> Iterator[Any]:
        read = 0
        while True:
            started: dict[str, Any] = {
                "start_date_gte": since,
                "start_date_lte": until,
                "order_by": ["start_date"],
            }
            page = self._instances.get_task_instances("~", "~", **started, limit=_PAGE, offset=read)
            yield from page.task_instances
            read += len(page.task_instances)
            # A server may give fewer than were asked for.
            if not page.task_instances or read >= (page.total_entries or 0):
                return

    def _tries(self, instance: Any) -> Iterator[TaskRun]:
        record = self._record(instance)
        last = task_run(instance, record)
        if last.paths is not None and not last.paths:
            # A task without secrets never logs in.
            return
        yield last
        if instance.try_number > 1:
            where = (instance.dag_id, instance.dag_run_id, instance.task_id)
            if instance.map_index >= 0:
                history = self._instances.get_mapped_task_instance_tries(*where, instance.map_index)
            else:
                history = self._instances.get_task_instance_tries(*where)
            for earlier in history.task_instances:
                if earlier.try_number < instance.try_number:
                    yield task_run(instance, {}, earlier)

    def _record(self, instance: Any) -> Mapping[str, Any]:
        """Return what the task wrote down of its pod, {} where it did not, or where Airflow has no such store."""
        if not hasattr(self._client, "TaskStateStoreApi"):
            return {}
        where = {"dag_id": instance.dag_id, "dag_run_id": instance.dag_run_id, "task_id": instance.task_id}
        try:
            store = self._client.TaskStateStoreApi(self._api)
            value = store.get_task_state_store(_RECORD, **where, map_index=instance.map_index).value
        except self._client.ApiException as refusal:
            if refusal.status == 404:
                return {}
            raise
        return value if isinstance(value, Mapping) else {}


def task_run(instance: Any, record: Mapping[str, Any], earlier: Any = None) -> TaskRun:
    """Return one try; earlier: of a try before the last one, which the record is not of."""
    of = earlier or instance
    is_recorded = earlier is None and record.get("try_number") in (None, instance.try_number)
    begin = of.start_date.timestamp() if of.start_date else 0.0
    end = of.end_date.timestamp() if of.end_date else None
    steps = dict(map(tuple, record.get("steps") or ())) if is_recorded else {}
    return TaskRun(
        instance.dag_id,
        instance.task_id,
        instance.dag_run_id,
        of.try_number,
        instance.map_index,
        str((instance.rendered_fields or {}).get("team") or _template(instance).partition("/")[0]),
        str(record.get("pod_name") or "") if is_recorded else "",
        begin,
        end,
        _logins(steps, begin, end),
        _paths(instance, record),
        end is not None and str(getattr(of.state, "value", of.state)) != "success",
    )


def _logins(steps: Mapping[str, str], begin: float, end: float | None) -> tuple[float, float]:
    """Return from when to when the pod may have logged in: before its main process, where that is known."""
    first = steps.get("created")
    last = steps.get("main process started")
    return (
        (_seconds(first) if first else begin) - _SKEW_SECONDS,
        (_seconds(last) if last else _UNLIMITED if end is None else end) + _SKEW_SECONDS,
    )


def _seconds(time: str) -> float:
    result = datetime.fromisoformat(time)
    return (result if result.tzinfo else result.replace(tzinfo=UTC)).timestamp()


def _template(instance: Any) -> str:
    return str((instance.rendered_fields or {}).get("pod_template") or "")


def _paths(instance: Any, record: Mapping[str, Any]) -> frozenset[str] | None:
    """Return the paths that the task declared; None where one of them is an id of Airflow's."""
    shown = (instance.rendered_fields or {}).get("vault_paths") or ()
    declared = {str(line).partition(": ")[0] for line in shown} if isinstance(shown, list | tuple) else set()
    recorded = {str(line.get("path")) for line in record.get("credentials") or ()}
    if any("/" not in path for path in declared):
        return None
    return frozenset(declared | recorded)
