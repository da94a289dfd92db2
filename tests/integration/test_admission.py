"""The admission policies as an API server holds them: devcluster's, or that of the cluster in KUBECONFIG."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from k8s_vault_devcluster.openbao import OpenBao
from k8s_vault_devcluster.provision import Provisioning
from k8s_vault_devcluster.server import DevCluster
from kubernetes import client, config, stream

from airflow_k8s_vault import templates
from airflow_k8s_vault.compile import Account, Source
from airflow_k8s_vault.templates import values_at_the_limits
from tests.compile.not_seen import reason
from tests.compile.test_admission import NAMES, SECRETS, delivered, hardest  # noqa: F401 - a fixture
from tests.policy import bypasses
from tests.policy.conftest import expected, final, team  # noqa: F401 - fixtures
from tests.policy.test_final_pod import edited
from tests.walls import SHIPPED

pytestmark = pytest.mark.integration
# devcluster evaluates with the library that tests/compile tries all of them with: some show the way there.
STEP = 1 if "KUBECONFIG" in os.environ else 12
NAMESPACE = "team-payments"


@pytest.fixture(scope="module")
def setup(openbao: OpenBao, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provisioning]:
    """A cluster with the shipped teams as they are compiled, and nothing else."""
    own = None if "KUBECONFIG" in os.environ else DevCluster(tmp_path_factory.mktemp("cluster"))
    api = config.new_client_from_config(str(own.kubeconfig) if own else None)
    try:
        mount = f"kubernetes-{uuid.uuid4().hex[:8]}"
        with Provisioning(openbao.admin, api, mount, {"vault_addr": "https://vault:8200"}) as made:
            made.login()
            yield made
    finally:
        if own:
            own.stop()


@pytest.fixture(scope="module")
def sources(setup: Provisioning) -> dict[str, Source]:
    return {source.team.name: source for source in setup.teams(SHIPPED)}


def answer(worker: client.ApiClient, pod: dict[str, Any], namespace: str = NAMESPACE) -> str:
    """Return why the API server does not take the pod; "" where it does."""
    try:
        worker.call_api(
            f"/api/v1/namespaces/{namespace}/pods",
            "POST",
            query_params=[("dryRun", "All")],
            header_params={"Content-Type": "application/json", "Accept": "application/json"},
            body=pod,
            response_types_map={},
            auth_settings=["BearerToken"],
        )
    except client.ApiException as refusal:
        return str(refusal.body)
    return ""


@pytest.mark.parametrize("name", NAMES)
def test_the_api_server_admits_every_pod_that_the_templates_give(
    setup: Provisioning, sources: dict[str, Source], name: str
) -> None:
    source = sources[name.partition("/")[0]]
    worker = setup.acting_as(source.worker)
    values = list(values_at_the_limits(templates.find(name, SHIPPED)))
    requested = [(SECRETS["all"], each) for each in values[::STEP]]
    requested += [(secrets, {}) for secrets in SECRETS.values()]
    refused = {
        answer(worker, delivered(name, "agent", secrets, source, each), source.team.namespace)
        for secrets, each in requested
    }

    assert {""} == refused


SIDECAR = "airflow-xcom-sidecar"


def test_none_of_thirty_attempts_to_run_a_command_in_a_pod_gets_past_the_api_server(
    setup: Provisioning, sources: dict[str, Source]
) -> None:
    """No pod is needed: who may open a command is decided before the pod is looked for."""
    source = sources["payments"]
    own = Account(NAMESPACE, source.team.service_account)
    users = {
        "worker": setup.acting_as(source.worker),
        "triggerer": setup.acting_as(source.triggerer),
        "the team's account": setup.acting_as(own),
        "the administrator": setup.api,
    }
    attempts = [
        (who, container, what)
        for who in users
        for container in ("base", "vault-agent", SIDECAR, "")
        for what in ("exec", "attach")
        if (who, container, what) != ("worker", SIDECAR, "exec")
    ]
    answers = {attempt: _opened(users[attempt[0]], *attempt[1:]) for attempt in attempts}

    assert len(attempts) > 30
    assert {} == {attempt: words for attempt, words in answers.items() if not _is_refusal(words)}
    assert "not found" in _opened(users["worker"], SIDECAR, "exec")


def _opened(api: client.ApiClient, container: str, what: str) -> str:
    # A client of its own: while it opens a stream it cannot do anything else.
    core = client.CoreV1Api(client.ApiClient(api.configuration))
    options = {"stdin": True, "stdout": True, "_preload_content": False}
    options |= {"container": container} if container else {}
    if what == "exec":
        connect, options["command"] = core.connect_get_namespaced_pod_exec, ["sh"]
    else:
        connect = core.connect_get_namespaced_pod_attach
    try:
        stream.stream(connect, "no-such-pod", NAMESPACE, **options).close()
    except (client.ApiException, AttributeError) as refusal:
        # The client looks for a body, which the refusal of a websocket does not have for it.
        return str(refusal if isinstance(refusal, client.ApiException) else refusal.__context__)
    return "opened"


def _is_refusal(words: str) -> bool:
    policy, rights = (
        "ValidatingAdmissionPolicy" in words,
        "cannot get resource" in words or "cannot create" in words,
    )
    # devcluster has no attach.
    return policy or rights or "the server could not find the requested resource" in words


def test_no_way_around_the_final_check_gets_past_the_api_server_but_those_that_are_listed(
    setup: Provisioning,
    hardest: tuple[Source, dict[str, Any]],  # noqa: F811
    final: dict[str, Any],  # noqa: F811
) -> None:
    setup.apply_objects([hardest[0]])
    worker, deadline = setup.acting_as(hardest[0].worker), time.monotonic() + 30
    # A real API server sees a policy that has changed a second or two later.
    while (refusal := answer(worker, final)) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert refusal == ""

    ways = [(field, value) for field, value in bypasses.ALL if reason(field, value) is None][::STEP]
    admitted = [(field, value) for field, value in ways if not answer(worker, edited(final, field, value))]

    assert len(ways) > 10
    assert [] == admitted
