"""What a task says when it fails, on real pods: the reason first, seen in Airflow's page, in both modes."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from airflow_k8s_vault import VaultSecret
from tests.faults.case import finish
from tests.faults.fault_environment import KEY, LOGIN, NAMESPACE, FaultEnvironment
from tests.faults.fault_proxy import Fault
from tests.faults.worker import WatchedOperator, run

pytestmark = pytest.mark.integration

MODES = pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferrable"])


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultEnvironment]:
    with pytest.MonkeyPatch.context() as patch, FaultEnvironment(tmp_path_factory.mktemp("environment")) as made:
        patch.setenv("K8S_VAULT_TEST_DEBUG", "1")
        for name in ("platform.yaml", "payments/team.yaml"):
            file = made.servers.templates_dir / name
            result = yaml.safe_load(file.read_text())
            result["overridable"].append("on_finish_action")
            file.write_text(yaml.safe_dump(result))
        yield made


@pytest.fixture(autouse=True)
def clean(environment: FaultEnvironment) -> Iterator[None]:
    environment.begin()
    Path(os.environ["K8S_VAULT_TEST_WORKER_LOG"]).write_text("")
    yield
    environment.vault.reset()
    environment.clean()


def ended(operator: WatchedOperator) -> tuple[str, Any]:
    return finish(operator, run(operator))


def log() -> list[str]:
    return Path(os.environ["K8S_VAULT_TEST_WORKER_LOG"]).read_text(errors="replace").splitlines()


def open_groups() -> int:
    """Return how many groups are open where Airflow writes the exception, by the rules of its page."""
    depth = 0
    for line in log():
        if "::group::" in line and "[debug" not in line:
            depth += 1
        elif "::endgroup::" in line:
            depth = max(0, depth - 1)
    return depth


@MODES
def test_a_main_process_that_fails_is_told_with_exit_code_container_and_log(
    environment: FaultEnvironment, deferrable: bool
) -> None:
    # In two parts: the command itself is in the log, too.
    script = "echo ::gr''oup::of the program; echo no such table; exit 3"
    state, message = ended(environment.operator(script, deferrable=deferrable))

    assert state == "failed"
    assert message.startswith("AirflowException: Container 'base' ended with exit code 3.\n"), message
    assert re.search(r"\n    no such table$", message), message
    assert open_groups() == 0


@MODES
@pytest.mark.parametrize("secrets", [[], None], ids=["without secrets", "with secrets"])
def test_a_main_process_without_memory_is_told_with_its_limit(
    environment: FaultEnvironment, deferrable: bool, secrets: list[VaultSecret] | None
) -> None:
    arguments: dict[str, Any] = {"secrets": secrets} if secrets is not None else {}
    eats = ["sh", "-c", "head -c 400000000 /dev/zero | tail > /dev/null; exit 137"]
    operator = environment.operator(
        cmds=eats, template_vars={"memory": "128Mi"}, deferrable=deferrable, **arguments
    )

    state, message = ended(operator)

    assert state == "failed"
    assert re.match(
        r"AirflowException: Container 'base' (ran out of memory: its limit is 128Mi|was ended by)", message
    ), message


@MODES
def test_a_command_that_the_image_lacks_fails_for_good(environment: FaultEnvironment, deferrable: bool) -> None:
    state, message = ended(environment.operator(cmds=["no-such-command"], deferrable=deferrable))

    assert state == "failed"
    assert message.startswith("AirflowFailException: Container 'base' never ran: its image"), message


@MODES
def test_a_refused_login_is_told_at_once_and_outside_of_every_group(
    environment: FaultEnvironment, deferrable: bool
) -> None:
    environment.vault.faults = [Fault("/login", 403, None)]

    state, message = ended(environment.operator(deferrable=deferrable))

    first = re.escape("refused role 'payments' on auth/kubernetes (403): made by the proxy.")
    assert state == "failed"
    assert re.search(first, message.splitlines()[0]), message
    assert message.endswith("\n  Run: airflow k8s-vault doctor --team payments (see VAULT-LOGIN)"), message
    # By whoever noticed it, the trigger or the worker, before anything else was done.
    assert [line for line in log() if "[error" in line and re.search(first, line)]
    assert open_groups() == 0


@MODES
@pytest.mark.parametrize("delivery", ["agent", "secret"])
def test_a_failed_pod_may_be_kept_and_its_credentials_end_all_the_same(
    environment: FaultEnvironment, deferrable: bool, delivery: str
) -> None:
    keep = {"on_finish_action": "delete_succeeded_pod", "deferrable": deferrable, "delivery": delivery}

    state, _ = ended(environment.operator("exit 3", **keep))

    assert state == "failed"
    assert str(environment.traces(until="1 pod")) == "1 pod"


@MODES
def test_a_pod_whose_delivery_failed_may_be_kept_and_never_starts_its_main_process(
    environment: FaultEnvironment, deferrable: bool
) -> None:
    environment.vault.faults = [Fault("/login", 403, None)]
    operator = environment.operator(on_finish_action="keep_pod", deferrable=deferrable)

    state, _ = ended(operator)
    environment.vault.reset()
    left = str(environment.traces(until="1 pod"))
    (pod,) = environment.core.list_namespaced_pod(NAMESPACE).items

    assert (state, left) == ("failed", "1 pod")
    assert pod.spec.active_deadline_seconds == 1
    assert not environment.started(operator)


@MODES
@pytest.mark.parametrize(
    ("delivery", "how"), [("agent", "agent ready after [0-9.]+ s"), ("secret", "handed over in [0-9.]+ s")]
)
def test_a_task_says_in_one_line_what_its_pod_got(
    environment: FaultEnvironment, deferrable: bool, delivery: str, how: str
) -> None:
    state, message = ended(
        environment.operator(secrets=(LOGIN, KEY), cmds=["true"], delivery=delivery, deferrable=deferrable)
    )

    assert state == "ok", message
    line = rf"This pod got 2 secrets \(PGUSER, PGPASSWORD, partner\.key\) as role payments, {how}\."
    assert len([one for one in log() if re.search(line, one)]) == 1


@MODES
def test_a_task_ends_when_its_base_container_does(environment: FaultEnvironment, deferrable: bool) -> None:
    operator = environment.operator(pod_template="payments/beside", deferrable=deferrable, container_logs=True)

    state, message = ended(operator)

    assert state == "ok", message
    assert str(environment.traces(within_seconds=30)) == "nothing"
    # The other one, which would have gone on, ran until the pod was deleted.
    assert [
        pod
        for pod in _states(environment, operator)
        if "deletionTimestamp" in pod["metadata"] and _runs(pod, "beside")
    ]


def _states(environment: FaultEnvironment, operator: WatchedOperator) -> list[dict[str, Any]]:
    mine = {pod["metadata"]["uid"] for pod in environment.pods_of(operator)}
    return [pod for pod in environment.record.states if pod["metadata"]["uid"] in mine]


def _runs(pod: dict[str, Any], container: str) -> bool:
    statuses = pod["status"].get("containerStatuses", [])
    return any(status["name"] == container and "running" in status["state"] for status in statuses)
