"""The whole path in a real Airflow: each DAG of `dags/` is triggered once, all at the same time."""

from __future__ import annotations

import re
import shutil
import ssl
import time
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from k8s_vault_devcluster.demo import isolation
from k8s_vault_devcluster.demo.environment import AirflowEnvironment
from k8s_vault_devcluster.demo.pods import PodRecord
from k8s_vault_devcluster.openbao import VaultAdmin

from tests import walls
from tests.canary import values
from tests.commands.test_templates import run
from tests.faults import images
from tests.faults.fault_proxy import FaultProxy

pytestmark = [pytest.mark.integration, pytest.mark.timeout(420)]

ROOT = Path(__file__).parents[2]
DAGS = (
    "delivers_sync",
    "delivers_deferrable",
    "hands_over_sync",
    "hands_over_deferrable",
    "refused_login_sync",
    "refused_login_deferrable",
    "missing_secret",
    "missing_key",
    "single_quote",
    "forbidden_path",
    "retries",
    "maps",
    "decorated",
    "unreachable",
    "connection_by_agent",
    "connection_by_secret",
)


class TalkativeAirflowEnvironment(AirflowEnvironment):
    """Everything in Airflow logs at DEBUG, and a proxy before Vault knows which secrets there were."""

    def _before_teams(self) -> None:
        tls = ssl.create_default_context(cafile=self.vault.cacert) if self.vault.cacert else None
        self.proxy = FaultProxy(self.vault.address, self.host, tls)
        self.proxy.exchanges = []
        self._exits.callback(self.proxy.stop)
        self.settings = {"vault_addr": self.proxy.address, "vault_cacert": ""}
        walls.prepare(self.templates_dir, self.api)

    def _settings(self) -> dict[str, str]:
        talkative = {
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "DEBUG",
            "AIRFLOW__K8S_VAULT__VAULT_ADDR": self.proxy.address,
        }
        return {**super()._settings(), **talkative}

    def in_play(self) -> Mapping[str, set[str]]:
        return values.in_play(self.proxy.exchanges or (), self.canary)


class Runs:
    """What became of the runs: task instances, their logs and their pods."""

    def __init__(
        self,
        environment: TalkativeAirflowEnvironment,
        instances: dict[str, list[dict[str, Any]]],
        record: PodRecord,
    ) -> None:
        self.environment, self.instances, self.record = environment, instances, record
        self.roles_left = isolation.wait_for_no_roles(environment)

    def state(self, dag_id: str) -> str:
        return ",".join(sorted(ti["state"] for ti in self.instances[dag_id]))

    def log(self, dag_id: str) -> str:
        files = sorted(self.environment.airflow.logs.rglob(f"dag_id={dag_id}/**/*.log"))
        return "\n".join(path.read_text().replace("\\n", "\n") for path in files)

    def report(self, dag_id: str) -> str:
        """Return the task's log, and what Airflow's own processes said of it."""
        logs = [self.environment.airflow.home / f"{name}.log" for name in ("scheduler", "triggerer", "api-server")]
        lines = [line for path in logs for line in path.read_text(errors="replace").splitlines() if dag_id in line]
        return "\n".join([self.log(dag_id), "--- scheduler, triggerer and API server:", *lines[-60:]])

    def run_id(self, dag_id: str) -> str:
        return str(self.instances[dag_id][0]["dag_run_id"])

    def xcom(self, dag_id: str) -> object:
        run = f"/api/v2/dags/{dag_id}/dagRuns/{self.run_id(dag_id)}"
        return self.environment.airflow.get(f"{run}/taskInstances/main/xcomEntries/return_value?deserialize=true")[
            "value"
        ]

    def was_given_up(self, dag_id: str) -> bool:
        """Whether the scheduler failed a task whose worker had only deferred: a race in Airflow, and not ours."""
        lines = (self.environment.airflow.home / "scheduler.log").read_text(errors="replace").splitlines()
        return any(dag_id in line and "the task instance's state attribute is" in line for line in lines)

    def tries(self, dag_id: str) -> int:
        return max(ti["try_number"] for ti in self.instances[dag_id])

    def containers_started(self, dag_id: str) -> set[str]:
        """Return the containers of the DAG's pods that were ever seen running or ended."""
        states = [pod for pod in self.record.states if pod["metadata"]["labels"].get("dag_id") == dag_id]
        return {
            status["name"]
            for pod in states
            for status in pod["status"].get("containerStatuses", [])
            if "running" in status["state"] or status["state"].get("terminated", {}).get("startedAt")
        }


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    folder = tmp_path_factory.mktemp("environment")
    templates_dir = folder / "pod_templates"
    shutil.copytree(ROOT / "pod_templates", templates_dir)
    own = "secret/payments/*"
    for name, ceiling in (("strangers", own), ("wide", "secret/*"), ("nowhere", own)):
        shutil.copytree(templates_dir / "payments", templates_dir / name)
        team = yaml.safe_load((templates_dir / name / "team.yaml").read_text())
        team |= {"namespace": f"team-{name}", "vault_role": name, "secrets": [ceiling]}
        (templates_dir / name / "team.yaml").write_text(yaml.safe_dump(team))
    platform = templates_dir / "platform.yaml"
    platform.write_text(f"{platform.read_text()}whole_mounts: [secret]\n")
    with TalkativeAirflowEnvironment(folder, templates_dir, Path(__file__).parent / "dags", print) as environment:
        # Compiled for a platform that is configured wrongly: see dags/unreachable.py.
        before = dict(environment.setup.settings)
        environment.setup.settings |= {"vault_addr": "http://127.0.0.1:9"}
        environment.setup.teams(templates_dir, ["nowhere"])
        environment.setup.settings = before
        environment.vault.request("DELETE", f"auth/{environment.auth_mount}/role/strangers")
        policy = {"policy": 'path "secret/data/payments/*" { capabilities = ["read"] }'}
        environment.vault.request("PUT", "sys/policies/acl/airflow-wide", policy)
        environment.setup.kv("secret/payments/quoted", {"word": "it's"})
        connection = {"conn_type": "postgres", "host": "db.example.com", "password": f"{environment.canary}'"}
        environment.setup.kv("secret/payments/connections/my-warehouse", connection)
        environment.airflow.wait_until_ready((*DAGS, "plants"))
        namespaces = [f"team-{team}" for team in ("payments", "data-science", "strangers", "wide", "nowhere")]
        images.pull(environment.core(), namespaces[0])
        record = PodRecord(environment.core(), namespaces)
        started = {dag_id: environment.airflow.trigger(dag_id) for dag_id in DAGS}
        instances = environment.airflow.watch(started, lambda *seen: print(*seen), timeout_seconds=300)
        yield Runs(environment, instances, record)
        record.stop()


@pytest.mark.parametrize("mode", ["sync", "deferrable"])
@pytest.mark.parametrize("way", ["delivers", "hands_over"])
def test_the_base_container_gets_variables_and_files_and_returns_its_xcom(runs: Runs, way: str, mode: str) -> None:
    assert runs.state(f"{way}_{mode}") == "success", runs.report(f"{way}_{mode}")
    assert runs.xcom(f"{way}_{mode}") == {"who": "pod"}
    assert runs.tries(f"{way}_{mode}") == 1 or runs.was_given_up(f"{way}_{mode}"), runs.report(f"{way}_{mode}")


@pytest.mark.parametrize("delivery", ["agent", "secret"])
def test_a_connection_of_airflow_reaches_the_pod_whole(runs: Runs, delivery: str) -> None:
    dag_id = f"connection_by_{delivery}"

    assert runs.state(dag_id) == "success", runs.report(dag_id)
    assert runs.xcom(dag_id) == {"host": "db.example.com", "password_length": len(runs.environment.canary) + 1}


def test_a_decorated_function_runs_in_the_teams_pod_with_its_secrets(runs: Runs) -> None:
    assert runs.state("decorated") == "success", runs.report("decorated")
    assert runs.xcom("decorated") == {"bytes": len(runs.environment.canary)}


@pytest.mark.parametrize("mode", ["sync", "deferrable"])
def test_a_refused_login_fails_the_task_for_good_in_vaults_words(runs: Runs, mode: str) -> None:
    dag_id = f"refused_login_{mode}"

    assert runs.state(dag_id) == "failed"
    assert "refused role 'strangers' on auth/" in runs.log(dag_id)
    assert 'invalid role name "strangers"' in runs.log(dag_id).replace("\\", "")
    assert runs.containers_started(dag_id) == set()


@pytest.mark.parametrize(
    ("dag_id", "reason"),
    [
        ("missing_secret", "There is no secret at 'secret/payments/nothing' in Vault"),
        ("missing_key", "secret 'secret/payments/warehouse' has no key 'hots'; it has: database, host, port"),
        ("single_quote", "key 'word' of 'secret/payments/quoted' holds a single quote"),
        ("forbidden_path", "refused to give role 'wide' a secret (403)"),
    ],
)
def test_a_secret_that_cannot_be_had_fails_the_task_at_once_and_without_a_retry(
    runs: Runs, dag_id: str, reason: str
) -> None:
    assert runs.state(dag_id) == "failed"
    assert reason in runs.log(dag_id)
    assert runs.tries(dag_id) == 1
    assert runs.containers_started(dag_id) == set()
    assert "it's" not in runs.log(dag_id)


def test_an_unreachable_vault_is_named_and_the_main_process_never_ran(runs: Runs) -> None:
    assert runs.state("unreachable") == "failed"
    assert "Vault at http://127.0.0.1:9 could not be reached from the pod" in runs.log("unreachable")
    assert runs.containers_started("unreachable") == set()


@pytest.mark.parametrize("dag_id", ["refused_login_sync", "missing_secret", "forbidden_path", "unreachable"])
def test_a_pod_whose_delivery_failed_is_gone_within_20_seconds(runs: Runs, dag_id: str) -> None:
    # From the agent's first start: how long an image takes to arrive is not ours.
    states = [pod for pod in runs.record.states if pod["metadata"]["labels"].get("dag_id") == dag_id]
    started = min(time for pod in states for time in _agent_starts(pod))
    last = states[-1]["metadata"]
    grace = timedelta(seconds=last["deletionGracePeriodSeconds"])

    assert datetime.fromisoformat(last["deletionTimestamp"]) - grace - started < timedelta(seconds=20)


def _agent_starts(pod: dict[str, Any]) -> list[datetime]:
    statuses = [s for s in pod["status"].get("initContainerStatuses", []) if s["name"] == "vault-agent"]
    states = [state for s in statuses for kind in ("state", "lastState") for state in s.get(kind, {}).values()]
    return [datetime.fromisoformat(state["startedAt"]) for state in states if state.get("startedAt")]


def test_each_try_and_each_mapped_task_gets_credentials_of_its_own(runs: Runs) -> None:
    assert runs.state("retries") == "success", runs.report("retries")
    assert runs.tries("retries") == 2
    assert runs.state("maps") == "success,success", runs.report("maps")


def test_no_login_outlives_its_pod(runs: Runs) -> None:
    assert runs.roles_left == []


@pytest.mark.parametrize("kind", ["KV value", "dynamic password", "Vault token", "service-account token"])
def test_no_value_is_in_pods_database_or_logs(runs: Runs, kind: str) -> None:
    expected = runs.environment.in_play()[kind]
    surfaces = isolation.search(runs.environment, runs.record, expected)

    assert expected
    assert {s.name: s.found_in for s in surfaces} == {s.name: [] for s in surfaces}


def test_the_logs_are_as_talkative_as_they_get(runs: Runs) -> None:
    assert "response body: " in runs.log("delivers_sync")


def test_a_value_in_a_row_of_the_database_or_in_a_task_log_is_found(runs: Runs) -> None:
    # A task that is told values backwards writes one to its log, returns one, and one is its rendered field.
    logged, returned, rendered = (f"planted-{uuid.uuid4().hex}" for _ in range(3))
    backwards = {"logged": logged[::-1], "returned": returned[::-1], "rendered": rendered[::-1]}
    run_id = runs.environment.airflow.trigger("plants", backwards)
    instances = runs.environment.airflow.watch({"plants": run_id}, lambda *seen: None, timeout_seconds=60)
    result = {
        value: {s.name for s in isolation.search(runs.environment, runs.record, [value]) if s.found_in}
        for value in (logged, returned, rendered)
    }

    assert [ti["state"] for ti in instances["plants"]] == ["success"]
    assert "Airflow's logs" in result[logged]
    assert "Airflow's database" in result[returned]
    assert "Airflow's database" in result[rendered]


def test_every_pod_passes_the_restricted_standard(runs: Runs) -> None:
    # The namespaces enforce it: a pod that does not pass would not have been created.
    core = runs.environment.core()

    for namespace in ("team-payments", "team-data-science"):
        labels = core.read_namespace(namespace).metadata.labels
        assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    assert re.search("delivers_sync", " ".join(runs.instances))


def test_the_audit_finds_the_task_of_every_read_and_tells_a_planted_login(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = runs.environment
    if environment.openbao is None:
        pytest.skip("the audit file of a Vault that the environment names is not here")
    ended = max(datetime.fromisoformat(ti["end_date"]) for tis in runs.instances.values() for ti in tis)
    # A login within seconds of a task's could be that task's, as far as Vault says.
    time.sleep(max(0.0, 5 - (datetime.now(UTC) - ended).total_seconds()))
    spec = {"spec": {"audiences": ["vault"], "expirationSeconds": 600}}
    jwt = environment.core().create_namespaced_service_account_token("airflow-payments", "team-payments", spec)
    planted = {"role": "payments", "jwt": jwt.status.token}
    token = environment.vault.request("POST", f"auth/{environment.auth_mount}/login", planted)["auth"][
        "client_token"
    ]
    VaultAdmin(environment.vault.address, token).request("GET", "secret/data/payments/partner")
    monkeypatch.setenv("AIRFLOW_API_TOKEN", environment.airflow.token())
    words = ("--templates-dir", environment.templates_dir, "--api", environment.airflow.url, "-o", "json")

    result = run("audit", environment.folder / "audit.log", *words).json()

    assert [["secret/payments/partner"]] == [alarm["paths"] for alarm in result["alarms"]], result["alarms"]
    ours = [row for row in result["reads"] if row["matched by"] != "none"]
    assert 1 == len(result["reads"]) - len(ours)
    assert all(row["task"] for row in ours)
    read = {dag for row in ours for name in row["task"].split(" or ") for dag in [name.partition(".")[0]]}
    assert {f"{way}_{mode}" for way in ("delivers", "hands_over") for mode in ("sync", "deferrable")} <= read
    assert [] == result["outlived"]
    assert 0 == result["files"]["foreign"]
