"""One fault at a time, planted in the real parts: the right check finds it, and no other is red."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from k8s_vault_devcluster.openbao import OpenBao
from k8s_vault_devcluster.process import free_port
from kubernetes import client

from tests.doctor import forward_proxy
from tests.doctor.world import ACCOUNT, NAMESPACE, World

# Valid for the level baseline, and not for the level restricted that the namespace has.
LOOSE = """\
apiVersion: v1
kind: Pod
spec:
  restartPolicy: Never
  containers: [{name: base, image: "{{ images.python }}"}]
"""
Examine = Callable[..., dict[str, Any]]


class Fault(NamedTuple):
    """plant: makes it, and takes it away where it outlives the test. code, words: of the check that finds it."""

    name: str
    plant: Callable[[World], Any]
    code: str
    reason: str
    # Of further checks that are right to be red, because they cannot hold then.
    also: tuple[str, ...] = ()
    result: str = "error"
    options: dict[str, Any] = {}


def setting(name: str, value: str) -> Callable[[World], None]:
    return lambda world: world.setting(name, value)


def vault(path: str, body: dict[str, Any]) -> Callable[[World], Any]:
    """Write to Vault, and put back what was there."""

    @contextlib.contextmanager
    def plant(world: World) -> Iterator[None]:
        at = path.format(role=world.role, config=world.config)
        before = world.vault("GET", at)["data"]
        world.vault("POST", at, body)
        yield
        world.vault("POST", at, {name: before[name] for name in body})

    return plant


@contextlib.contextmanager
def no_role(world: World) -> Iterator[None]:
    before = world.vault("GET", world.role)["data"]
    world.vault("DELETE", world.role)
    yield
    world.vault("POST", world.role, before)


@contextlib.contextmanager
def sealed(world: World) -> Iterator[None]:
    world.vault("PUT", "sys/seal")
    yield
    assert world.servers.openbao is not None
    world.servers.openbao._initialise()


@contextlib.contextmanager
def reviewer(world: World, token: str) -> Iterator[None]:
    """Let the mount review tokens with another token, or with none."""
    kept = world.servers.setup
    host = {"kubernetes_host": kept._cluster.host, "disable_local_ca_jwt": True}
    ca = {"kubernetes_ca_cert": Path(kept._cluster.ssl_ca_cert).read_text()}
    world.vault("POST", world.config, {**host, **ca, "token_reviewer_jwt": token})
    yield
    made = client.CoreV1Api(world.servers.api).create_namespaced_service_account_token(
        kept.reviewer, "default", {"spec": {"audiences": [], "expirationSeconds": 3600}}
    )
    world.vault("POST", world.config, {**host, **ca, "token_reviewer_jwt": made.status.token})


def reviewer_without_rights(world: World) -> Any:
    core = client.CoreV1Api(world.servers.api)
    spec = {"spec": {"audiences": [], "expirationSeconds": 3600}}
    return reviewer(world, core.create_namespaced_service_account_token(ACCOUNT, NAMESPACE, spec).status.token)


def right_taken(resource: str, verb: str) -> Callable[[World], Any]:
    @contextlib.contextmanager
    def plant(world: World) -> Iterator[None]:
        world.take_verb(resource, verb)
        yield
        world.give_back_rights()

    return plant


@contextlib.contextmanager
def rights_too_wide(world: World) -> Iterator[None]:
    binding = world.grant("secrets", ["get", "list"])
    yield
    world.call("DELETE", binding)


@contextlib.contextmanager
def quota_exhausted(world: World) -> Iterator[None]:
    meta = {"name": "full", "namespace": NAMESPACE}
    world.make({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": meta, "spec": {"hard": {"pods": "0"}}})
    yield
    world.call("DELETE", f"/api/v1/namespaces/{NAMESPACE}/resourcequotas/full")


@contextlib.contextmanager
def older_release(world: World) -> Iterator[None]:
    world.call("POST", "/devcluster/release", {"without": ["io.k8s.api.core.v1.EnvVarSource.fileKeyRef"]})
    yield
    world.call("POST", "/devcluster/release", {"without": []})


@contextlib.contextmanager
def only_from_here(world: World) -> Iterator[None]:
    """An address that this machine reaches through its proxy, and pods do not."""
    host = "vault.only-here.invalid"
    with forward_proxy.listening(host, world.servers.vault.address) as proxy:
        world.environment("http_proxy", proxy)
        world.environment("no_proxy", "127.0.0.1")
        world.setting("vault_addr", f"http://{host}:8200")
        with world.applied():
            yield


@contextlib.contextmanager
def no_agent_image(world: World) -> Iterator[None]:
    world.setting("vault_agent_image", "example.com/nothing:1")
    with world.applied():
        yield


@contextlib.contextmanager
def unknown_authority(world: World) -> Iterator[None]:
    """Another OpenBao, with a certificate of an authority that no setting names."""
    with tempfile.TemporaryDirectory() as folder:
        server = OpenBao(Path(folder), tls_dir=Path(folder) / "tls")
        world.setting("vault_addr", server.address)
        yield
        server.stop()


@contextlib.contextmanager
def kv1_mount(world: World) -> Iterator[None]:
    world.vault("POST", "sys/mounts/old", {"type": "kv", "options": {"version": "1"}})
    world.dags.write_text(world.dags.read_text().replace("secret/payments/partner", "old/payments/partner"))
    yield
    world.vault("DELETE", "sys/mounts/old")


@contextlib.contextmanager
def policy_without_a_path(world: World) -> Iterator[None]:
    policies = world.vault("GET", world.role)["data"]["token_policies"]
    before = {name: world.vault("GET", f"sys/policies/acl/{name}")["data"]["policy"] for name in policies}
    for name in policies:
        text = 'path "database/creds/*" { capabilities = ["read"] }'
        world.vault("PUT", f"sys/policies/acl/{name}", {"policy": text})
    yield
    for name, text in before.items():
        world.vault("PUT", f"sys/policies/acl/{name}", {"policy": text})


def dynamic_role_absent(world: World) -> None:
    world.dags.write_text(world.dags.read_text().replace("payments-rw", "payments-nobody"))


@contextlib.contextmanager
def wrong_kind_of_mount(world: World) -> Iterator[None]:
    world.vault("POST", "sys/auth/people", {"type": "userpass"})
    world.setting("vault_auth_mount", "people")
    yield
    world.vault("DELETE", "sys/auth/people")


def elsewhere(field: str, name: str) -> Callable[[World], Any]:
    """Let the team's file name another namespace or account than there is."""

    @contextlib.contextmanager
    def plant(world: World) -> Iterator[None]:
        team = world.servers.templates_dir / "payments" / "team.yaml"
        text = team.read_text()
        line = next(line for line in text.splitlines() if line.startswith(f"{field}:"))
        team.write_text(text.replace(line, f"{field}: {name}"))
        yield
        team.write_text(text)

    return plant


@contextlib.contextmanager
def too_strict(world: World) -> Iterator[None]:
    """A template of the team that its namespace's level does not take."""
    templates, team = world.servers.templates_dir, world.servers.templates_dir / "payments" / "team.yaml"
    platform, text = templates / "platform.yaml", team.read_text()
    limits = platform.read_text()
    platform.write_text(limits.replace("pod_security: restricted", "pod_security: baseline"))
    team.write_text(f"{text}pod_security: baseline\n")
    loose = templates / "payments" / "loose.yaml.j2"
    loose.write_text(LOOSE)
    yield
    loose.unlink()
    platform.write_text(limits)
    team.write_text(text)


def broken_backend(world: World) -> None:
    world.environment("AIRFLOW__WORKERS__SECRETS_BACKEND", "airflow_k8s_vault.VaultSecretsBackend")
    world.environment("AIRFLOW__WORKERS__SECRETS_BACKEND_KWARGS", '{"url": "https://vault:8200"')


def old_agent(world: World) -> None:
    world.setting("vault_agent_image", "openbao/openbao:2.7.0")


@contextlib.contextmanager
def clock_ahead(world: World) -> Iterator[None]:
    world.call("POST", "/devcluster/clock", {"aheadSeconds": 600})
    yield
    world.call("POST", "/devcluster/clock", {"aheadSeconds": 0})


@contextlib.contextmanager
def hook_that_changes_pods(world: World) -> Iterator[None]:
    """An implementation of Airflow's hook that adds a label, as a platform's airflow_local_settings may."""
    from airflow.policies import hookimpl
    from airflow.settings import get_policy_plugin_manager

    class Hook:
        @staticmethod
        @hookimpl
        def pod_mutation_hook(pod: Any) -> None:
            pod.metadata.annotations = {"example.com/by": "hook"}

    manager, hook = get_policy_plugin_manager(), Hook()
    manager.register(hook)
    yield
    manager.unregister(hook)


WITH_DAGS = {"dags": True}
FROM_POD = {"from_": "pod"}
FAULTS = [
    Fault("vault_addr is not set", setting("vault_addr", ""), "HERE-SETTINGS", "vault_addr is not set"),
    Fault(
        "nobody listens",
        lambda world: world.setting("vault_addr", f"http://127.0.0.1:{free_port()}"),
        "VAULT-REACHED",
        "connection refused",
    ),
    Fault(
        "reachable only from here",
        only_from_here,
        "POD-REACHES-VAULT",
        "Vault at http://vault.only-here.invalid:8200 could not be reached from the pod",
        options=FROM_POD,
    ),
    Fault("CA not trusted", unknown_authority, "VAULT-REACHED", "is not trusted: unable to get local issuer"),
    Fault("sealed", sealed, "VAULT-SEALED", "is sealed"),
    Fault(
        "auth mount absent",
        setting("vault_auth_mount", "nowhere"),
        "VAULT-MOUNT",
        "nothing mounted at auth/nowhere",
    ),
    Fault("wrong kind of mount", wrong_kind_of_mount, "VAULT-MOUNT", "auth/people is of type userpass"),
    Fault("no reviewer", lambda world: reviewer(world, ""), "VAULT-REVIEWER", "has no token_reviewer_jwt"),
    Fault(
        "reviewer without rights",
        reviewer_without_rights,
        "VAULT-LOGIN",
        "may lack the right to create tokenreviews",
    ),
    Fault("role absent", no_role, "VAULT-ROLE", "there is no role"),
    Fault(
        "role bound to another account",
        vault("{role}", {"bound_service_account_names": ["other"]}),
        "VAULT-ROLE",
        "bound_service_account_names is other; compiled is airflow-payments",
    ),
    Fault(
        "role bound to another namespace",
        vault("{role}", {"bound_service_account_namespaces": ["other"]}),
        "VAULT-ROLE",
        "bound_service_account_namespaces is other; compiled is team-payments",
    ),
    Fault(
        "role without an audience",
        vault("{role}", {"audience": ""}),
        "VAULT-ROLE",
        "audience is nothing; compiled is vault",
    ),
    Fault(
        "role with another audience",
        vault("{role}", {"audience": "other"}),
        "VAULT-ROLE",
        "audience is other; compiled is vault",
    ),
    Fault(
        "policy without a path",
        policy_without_a_path,
        "VAULT-PATHS",
        "secret/payments/partner (task declares.load): the role's policy allows no read",
        options=WITH_DAGS,
    ),
    Fault(
        "KV 1 declared as KV 2",
        kv1_mount,
        "VAULT-PATHS",
        "is declared as kv2, and lies in an engine of type kv1",
        options=WITH_DAGS,
    ),
    Fault(
        "dynamic role absent", dynamic_role_absent, "VAULT-PATHS", "no such role in that engine", options=WITH_DAGS
    ),
    Fault(
        "login shorter than the task",
        vault("{role}", {"token_max_ttl": 3600}),
        "VAULT-TTL",
        "token_max_ttl",
        options=WITH_DAGS,
    ),
    Fault(
        "lease shorter than the task",
        vault("database/roles/payments-rw", {"max_ttl": 3600}),
        "VAULT-TTL",
        "max_ttl of database/creds/payments-rw is 3600 s; a task's execution_timeout is 7200 s",
        options=WITH_DAGS,
    ),
    Fault(
        "dynamic role that the database refuses",
        vault("database/roles/payments-rw", {"creation_statements": ["create nonsense"]}),
        "VAULT-LEASE",
        "database/creds/payments-rw (task declares.load) gives no credential",
        options={"dags": True, "leases": True},
    ),
    Fault(
        "namespace absent",
        elsewhere("namespace", "team-nowhere"),
        "CLUSTER-NAMESPACE",
        "there is no namespace 'team-nowhere'",
        also=("VAULT-ROLE",),
    ),
    Fault(
        "account absent",
        elsewhere("service_account", "nobody"),
        "CLUSTER-ACCOUNT",
        "there is no service account 'nobody'",
        also=("VAULT-ROLE", "CLUSTER-RIGHTS"),
    ),
    Fault(
        "no right to create pods",
        right_taken("pods", "create"),
        "CLUSTER-RIGHTS",
        "airflow-worker may not create pods in team-payments",
    ),
    Fault(
        "no right to watch pods",
        right_taken("pods", "watch"),
        "CLUSTER-RIGHTS",
        "airflow-worker may not watch pods in team-payments",
    ),
    Fault(
        "no right to exec",
        right_taken("pods/exec", "create"),
        "CLUSTER-RIGHTS",
        "airflow-worker may not create pods/exec in team-payments",
    ),
    Fault(
        "rights that are too wide",
        rights_too_wide,
        "CLUSTER-RIGHTS-WIDE",
        "airflow-worker may get, list secrets in team-payments, which no task needs",
        result="warning",
    ),
    Fault(
        "admission policy of other settings",
        setting("vault_agent_image", "openbao/openbao:2.7.1"),
        "CLUSTER-ADMISSION",
        "ValidatingAdmissionPolicy 'airflow-k8s-vault-team-payments-pods' is not as it is compiled",
        result="warning",
    ),
    Fault("quota exhausted", quota_exhausted, "CLUSTER-QUOTA", "exceeded quota: full, requested: pods=1"),
    Fault("cluster without fileKeyRef", older_release, "CLUSTER-FILE-KEY-REF", "does not know the field"),
    Fault("Pod Security too strict for the template", too_strict, "CLUSTER-POD", "violates PodSecurity"),
    Fault(
        "agent's image absent",
        no_agent_image,
        "POD-AGENT-IMAGE",
        "example.com/nothing:1",
        options=FROM_POD,
    ),
    Fault("clock ahead", clock_ahead, "CLUSTER-CLOCK", "s ahead of this machine's", also=("VAULT-LOGIN",)),
    Fault(
        "backend with broken JSON", broken_backend, "HERE-BACKEND", "is no JSON object", also=("CLUSTER-REACHED",)
    ),
    Fault("hook that hook_fields does not name", hook_that_changes_pods, "HERE-HOOK", "metadata.annotations"),
    Fault("agent with a known hole", old_agent, "VAULT-ADVISORY", "BIT-openbao-2026-115356", result="warning"),
]


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize("fault", [pytest.param(fault, id=fault.name) for fault in FAULTS])
def test_a_planted_fault_is_found_by_its_check_and_no_other_is_red(
    world: World, examine: Examine, fault: Fault
) -> None:
    options = {name: str(world.dags) if name == "dags" else value for name, value in fault.options.items()}
    planted = fault.plant(world)
    with planted if planted is not None else contextlib.nullcontext():
        report = examine(**options)

    checks = [check for category in report["categories"] for check in category["checks"]]
    matches = [check for check in checks if check["code"] == fault.code and check["result"] == fault.result]
    red = {check["code"] for check in checks if check["result"] == "error"}
    assert matches, json.dumps(checks, indent=1)
    assert fault.reason in " ".join(matches[0]["error"].split())
    assert matches[0]["hint"]
    assert red <= {fault.code, *fault.also}, json.dumps(checks, indent=1)
    assert report["success"] is (fault.result != "error")
    assert report["status"] == (1 if fault.result == "error" else 0)


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize("deliveries", [[], ["agent"]], ids=["both deliveries", "agent alone"])
def test_auto_makes_an_old_cluster_no_fault_unless_a_team_has_the_agent_alone(
    world: World, examine: Examine, deliveries: list[str]
) -> None:
    world.setting("default_delivery", "auto")
    team = world.servers.templates_dir / "payments" / "team.yaml"
    before = team.read_text()
    without = "\n".join(line for line in before.splitlines() if not line.startswith("deliveries:"))
    team.write_text(f"{without}\ndeliveries: {deliveries}\n" if deliveries else without)
    try:
        with older_release(world):
            report = examine()
    finally:
        team.write_text(before)

    checks = [check for category in report["categories"] for check in category["checks"]]
    (check,) = [check for check in checks if check["code"] == "CLUSTER-FILE-KEY-REF"]
    if deliveries:
        assert ("error", True) == (check["result"], "does not know the field" in check["error"])
    else:
        assert ("success", "default_delivery is auto: variables are delivered by secret here.") == (
            check["result"],
            check["error"],
        )
