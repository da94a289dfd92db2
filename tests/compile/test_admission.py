"""The admission policies: what they refuse, what they admit, and what Kubernetes' expression language takes."""

from __future__ import annotations

import copy
import itertools
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from k8s_vault_devcluster.api import cel, cel_cost
from kubernetes.client import ApiClient

from airflow_k8s_vault import VaultPodOperator, VaultSecret, teams, templates
from airflow_k8s_vault.commands import team_sources
from airflow_k8s_vault.commands.compile_sources import _xcom_sidecar
from airflow_k8s_vault.compile import Account, Source, template_pods
from airflow_k8s_vault.delivery import REQUEST_ANNOTATION, VaultLogin, agent, secret
from airflow_k8s_vault.policy import Expected
from airflow_k8s_vault.teams import Team, dag_identity
from airflow_k8s_vault.templates import SAMPLE_CONTEXT, template_folder, values_at_the_limits
from tests.compile.conftest import SHIPPED, WORKER, denials, policy
from tests.compile.not_seen import REASONS, reason
from tests.policy import bypasses
from tests.policy.conftest import XCOM, expected, final, team  # noqa: F401 - fixtures
from tests.policy.test_final_pod import edited

ACCOUNTS = (Account("airflow", "airflow-worker"), Account("airflow", "airflow-triggerer"))
NAMES = [f"{name}/{short}" for name in teams.names(SHIPPED) for short in template_folder(SHIPPED).available(name)]
SECRETS = {
    "none": [],
    "env": [VaultSecret("secret/payments/warehouse", env={"WAREHOUSE_KEY": "key"})],
    "file": [VaultSecret("secret/payments/gcp", file="gcp.json")],
    "dynamic": [VaultSecret("database/creds/payments-rw", engine="dynamic", env={"PGUSER": "username"})],
    "many": [
        VaultSecret(f"secret/payments/many-{n}", env={f"MANY_{n}_{k}": f"key-{k}" for k in range(20)})
        for n in range(20)
    ],
    "files": [
        VaultSecret("secret/payments/netrc", file=".netrc", key="/etc/x.cert", directory="/home/app/.config"),
        VaultSecret("secret/payments/store", file="a store", key="jks", decode="base64", mode="0440", version=3),
    ],
    "written": [
        VaultSecret(
            "pki/issue/web",
            engine="dynamic",
            parameters={"common_name": "etl.example.com", "ttl": "24h"},
            files={"tls.crt": "certificate", "tls.key": "private_key"},
        )
    ],
    "all": [
        VaultSecret("secret/payments/warehouse", env={"A": "a", "B": "b"}, file="all.json"),
        VaultSecret("database/creds/payments-rw", engine="dynamic", env={"PGUSER": "username"}, file="login"),
        VaultSecret("secret/payments/quoted", file="one", key="key.with-all_characters"),
    ],
}


def source_of(name: str, deliveries: tuple[str, ...] = ("agent", "secret"), **login: Any) -> Source:
    result = teams.load(name, SHIPPED)
    where = VaultLogin(address="https://vault:8200", role=result.vault_role, **login)
    pods = template_pods.team_pods(name, SHIPPED)
    return Source(result, where, deliveries, *ACCOUNTS, pods, _xcom_sidecar(None))


def delivered(name: str, delivery: str, secrets: list[VaultSecret], source: Source, values: Any = None) -> Any:
    """Return the pod of a task as Airflow's worker sends it, XCom sidecar included."""
    rendered = templates.find(name, SHIPPED).render(values or {}, SAMPLE_CONTEXT)
    rendered["metadata"] |= {"name": "load-x1y2", "annotations": {REQUEST_ANNOTATION: "0a1b2c"}}
    rendered["spec"]["activeDeadlineSeconds"] = 600
    if delivery == "agent":
        attached = agent.attach(rendered, secrets, source.login)
    else:
        attached = secret.attach(rendered, secrets)
    pod = copy.deepcopy(Expected(rendered, attached, "", dict(source.xcom_sidecar or {})).manifest)
    pod["metadata"]["labels"] |= {"dag_id": "load", "task_id": "load", "run_id": "x", "try_number": "1"}
    return pod


def defaulted(pod: dict[str, Any]) -> dict[str, Any]:
    """Return the pod as the API server fills it in."""
    pod = copy.deepcopy(pod)
    spec = pod["spec"]
    spec |= {"dnsPolicy": "ClusterFirst", "schedulerName": "default-scheduler", "priority": 0}
    spec |= {"terminationGracePeriodSeconds": 30, "serviceAccount": spec["serviceAccountName"]}
    spec |= {"preemptionPolicy": "PreemptLowerPriority"}
    spec["tolerations"] = [
        *spec.get("tolerations", []),
        {
            "key": "node.kubernetes.io/not-ready",
            "operator": "Exists",
            "effect": "NoExecute",
            "tolerationSeconds": 300,
        },
    ]
    for container in [*spec.get("initContainers", []), *spec["containers"]]:
        container.setdefault("terminationMessagePath", "/dev/termination-log")
        container.setdefault("terminationMessagePolicy", "File")
        container.setdefault("imagePullPolicy", "IfNotPresent")
        container.setdefault("resources", {})
        for variable in container.get("env", []):
            if "fileKeyRef" in variable.get("valueFrom", {}):
                variable["valueFrom"]["fileKeyRef"].setdefault("optional", False)
            if variable.get("value") == "":
                del variable["value"]
    pod["metadata"]["creationTimestamp"] = None
    pod["status"] = {}
    return pod


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("delivery", ["agent", "secret"])
def test_every_pod_that_the_templates_give_is_admitted(name: str, delivery: str) -> None:
    source = source_of(name.partition("/")[0])
    spec = policy(source)
    for secrets, values in itertools.product(
        SECRETS.values(), values_at_the_limits(templates.find(name, SHIPPED))
    ):
        pod = delivered(name, delivery, secrets, source, values)

        assert [] == denials(spec, pod)
        assert [] == denials(spec, defaulted(pod))


@pytest.mark.parametrize(
    "login",
    [
        {
            "namespace": "teams/payments",
            "cacert": "-----BEGIN CERTIFICATE-----\nMIIB$+/=\n-----END CERTIFICATE-----\n",
        },
        {"auth_method": "jwt", "auth_mount": "jwt-prod", "audience": "https://vault.example.com"},
        {"image": "hashicorp/vault:1.20"},
    ],
)
def test_pods_are_admitted_with_every_setting_of_the_login(login: dict[str, str]) -> None:
    source = source_of("payments", **login)

    assert [] == denials(policy(source), delivered("payments/etl", "agent", SECRETS["all"], source))


def test_the_operators_own_pod_is_admitted_with_all_that_the_team_leaves_open(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = source_of("payments")
    monkeypatch.setenv("AIRFLOW__K8S_VAULT__VAULT_ADDR", source.login.address)
    task = VaultPodOperator(
        task_id="load",
        pod_template="payments/etl",
        vault_secrets=SECRETS["all"],
        cmds=["psql"],
        arguments=["-c", "select 1"],
        env_vars={"BATCH": "1"},
        labels={"tier": "batch"},
        do_xcom_push=True,
    )
    pod = ApiClient().sanitize_for_serialization(task.build_pod_request_obj(None, dry_run=True))
    pod["metadata"]["name"] = "load"

    assert [] == denials(policy(source), pod)


def test_the_operators_own_pod_is_admitted_for_a_team_that_has_no_more_than_it_needs(folder: Path) -> None:
    """KubernetesPodOperator sends an empty affinity, which no template of this team has."""
    (folder / "risk").mkdir()
    account = "namespace: team-risk\nservice_account: risk\nvault_role: risk\n"
    (folder / "risk/team.yaml").write_text(
        f'{account}images: {{python: "python:3.12-slim"}}\nsecrets: ["secret/risk/*"]\n'
    )
    (source,) = team_sources(folder, ["risk"])
    task = VaultPodOperator(task_id="load", pod_template="risk/base")
    pod = ApiClient().sanitize_for_serialization(task.build_pod_request_obj(None, dry_run=True))
    placed = copy.deepcopy(pod)
    placed["spec"]["affinity"] = {"nodeAffinity": {}}

    assert {} == pod["spec"]["affinity"]
    assert [] == denials(policy(source), pod)
    assert denials(policy(source), placed)


@pytest.fixture(scope="session")
def hardest(team: Team, expected: Expected) -> tuple[Source, dict[str, Any]]:  # noqa: F811
    """A team that opens everything, with a template that mounts a Secret; and its policy."""
    login = VaultLogin(address="https://vault:8200", role=team.vault_role)
    source = Source(team, login, ("agent",), *ACCOUNTS, (expected.rendered,), XCOM)
    return source, policy(source)


def test_what_a_dag_may_rightly_set_is_admitted(final: dict[str, Any], hardest: tuple[Source, Any]) -> None:  # noqa: F811
    assert [] == denials(hardest[1], final)


@pytest.mark.parametrize(
    ("field", "value"), bypasses.ALL, ids=[f"{i}-{field}" for i, (field, _) in enumerate(bypasses.ALL)]
)
def test_every_way_around_the_final_check_is_refused_by_the_policy_too_or_listed(
    field: str,
    value: Any,
    final: dict[str, Any],  # noqa: F811
    hardest: tuple[Source, dict[str, Any]],
) -> None:
    refused = denials(hardest[1], edited(final, field, value))

    assert bool(refused) != (reason(field, value) is not None), (refused, reason(field, value))


def test_what_the_policy_cannot_see_is_in_the_docs_with_how_many_there_are() -> None:
    text = (Path(__file__).parents[2] / "docs/walls.md").read_text()
    counts = Counter(reason(field, value) for field, value in bypasses.ALL)
    rows = [f"| {counts[sentence]} | {sentence}" for sentence in REASONS]

    assert [] == [row for row in rows if row not in text]
    assert f"refuses {len(bypasses.ALL)} ways around it" in text
    assert f"refuses {counts[None]} of them as well, and not these {len(bypasses.ALL) - counts[None]}:" in text


AGENT = "spec.initContainers[vault-agent]"


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("contents of another list", lambda text: text.replace('"template": [', '"template": [], "x": [')),
        ("a second method", lambda text: text[:-1] + ', "auto_auth": {"method": []}}'),
        ("another role", lambda text: text.replace('"payments"', '"data-science"')),
        ("another mount", lambda text: text.replace("auth/kubernetes", "auth/other")),
        ("another Vault", lambda text: text.replace("https://vault:8200", "https://evil.example.com")),
        ("a listener", lambda text: text.replace('"template": [', '"listener": [], "template": [')),
        ("a file elsewhere", lambda text: text.replace('"perms"', '"exec": {"command": ["sh"]}, "perms"', 1)),
        ("a command after a file", lambda text: text.replace('"perms"', '"command": "sh", "perms"', 1)),
        ("nothing", lambda text: ""),
    ],
)
def test_the_agent_is_configured_as_the_package_does_it(field: str, change: Any) -> None:
    source = source_of("payments")
    pod = delivered("payments/etl", "agent", SECRETS["all"], source)
    (config,) = (e for e in pod["spec"]["initContainers"][0]["env"] if e["name"] == "AGENT_CONFIG")
    before = config["value"]
    config["value"] = change(before)

    assert before != config["value"]
    assert any("AGENT_CONFIG" in message for message in denials(policy(source), pod))


def test_a_pod_takes_the_secret_that_was_made_for_it_and_no_other(folder: Path) -> None:
    source = source_of("payments", ("secret",))
    pod = delivered("payments/etl", "secret", SECRETS["all"], source)
    pod["metadata"]["annotations"][REQUEST_ANNOTATION] = "another"

    assert denials(policy(source), pod)


@pytest.mark.parametrize(
    ("section", "key"),
    [
        ("annotations", REQUEST_ANNOTATION),
        ("labels", secret.LABEL),
        ("labels", "dag_id"),
        ("labels", "kubernetes_pod_operator"),
        ("annotations", "airflow-k8s-vault/anything"),
    ],
)
def test_nobody_but_airflow_sets_what_airflow_knows_its_pods_by(section: str, key: str) -> None:
    source = source_of("payments")
    pod = delivered("payments/etl", "agent", [], source)
    pod["metadata"] |= {"labels": {}, "annotations": {}, section: {key: "x"}}
    somebody = {"username": "system:serviceaccount:team-payments:airflow-payments", "groups": []}
    changed = copy.deepcopy(pod)
    changed["metadata"][section][key] = "y"
    elsewhere = copy.deepcopy(pod)
    elsewhere["metadata"]["labels"]["tier"] = "x"

    assert [] == denials(policy(source), pod)
    assert denials(policy(source), pod, userInfo=somebody)
    assert denials(policy(source), changed, pod, userInfo=somebody)
    assert [] == denials(policy(source), elsewhere, pod, userInfo=somebody)


def test_a_pod_that_was_admitted_before_the_rules_changed_can_still_be_labelled_and_not_changed() -> None:
    source = source_of("payments")
    old = delivered("payments/etl", "agent", [], source)
    old["spec"]["containers"][0]["image"] = "postgres:17"
    labelled, debugged, moved = copy.deepcopy(old), copy.deepcopy(old), copy.deepcopy(old)
    labelled["metadata"]["labels"]["tier"] = "x"
    debugged["spec"]["ephemeralContainers"] = [{"name": "debug", "image": "postgres:18"}]
    moved["spec"]["containers"][0]["image"] = "evil.example.com/x"
    system = {"username": "system:kube-controller-manager", "groups": []}

    assert [] == denials(policy(source), labelled, old, userInfo=system)
    assert denials(policy(source), debugged, old, userInfo=system)
    assert denials(policy(source), moved, old, userInfo=system)


def exec_of(container: str | None, **options: Any) -> dict[str, Any]:
    named = {} if container is None else {"container": container}
    return {
        "apiVersion": "v1",
        "kind": "PodExecOptions",
        "stdin": True,
        "command": ["/bin/sh"],
        **named,
        **options,
    }


TRIGGERER = {"username": ACCOUNTS[1].user, "groups": []}
ADMIN = {"username": "admin", "groups": ["system:masters"]}
POD = {"username": "system:serviceaccount:team-payments:airflow-payments", "groups": []}
SIDECAR = "airflow-xcom-sidecar"
ATTEMPTS = [
    (user, container, subresource)
    for user in (WORKER, TRIGGERER, ADMIN, POD)
    for container in ("base", "vault-agent", None, "", SIDECAR)
    for subresource in ("exec", "attach")
    if (user, container, subresource) != (WORKER, SIDECAR, "exec")
]


@pytest.mark.parametrize(("user", "container", "subresource"), ATTEMPTS)
def test_nobody_runs_commands_in_a_pod_but_the_worker_in_the_xcom_sidecar(
    user: dict[str, Any], container: str | None, subresource: str
) -> None:
    spec = policy(source_of("payments"), "exec")
    request = {"operation": "CONNECT", "subResource": subresource}

    assert [] == denials(spec, exec_of(SIDECAR), **{**request, "subResource": "exec"})
    assert denials(spec, exec_of(container), userInfo=user, **request)


def test_those_whom_the_platform_trusts_may_run_commands() -> None:
    source = source_of("payments")
    trusting = replace(source.team.platform, break_glass=("oncall", "alice"))
    spec = policy(replace(source, team=replace(source.team, platform=trusting)), "exec")
    request = {"operation": "CONNECT", "subResource": "exec"}

    assert [] == denials(spec, exec_of("base"), userInfo={"username": "alice", "groups": []}, **request)
    assert [] == denials(spec, exec_of("base"), userInfo={"username": "bob", "groups": ["oncall"]}, **request)
    assert denials(spec, exec_of("base"), userInfo={"username": "bob", "groups": ["dev"]}, **request)


def test_a_pod_asks_for_no_more_cpu_than_the_limit() -> None:
    source = source_of("payments")
    walls = replace(source.team.walls, limits=(("cpu_per_pod", "1500m"),))
    spec = policy(replace(source, team=replace(source.team, walls=walls)))
    pod = delivered("payments/etl", "agent", SECRETS["all"], source)
    pod["spec"]["containers"][0]["resources"]["requests"]["cpu"] = "2"

    assert [] == denials(spec, delivered("payments/etl", "agent", SECRETS["all"], source))
    assert ["A pod of team payments asks for 1500m of CPU at most."] == denials(spec, pod)


def test_each_of_a_thousand_dags_runs_as_its_own_account() -> None:
    source = source_of("payments")
    walls, ids = replace(source.team.walls, identity="dag"), [f"load-{number:04}" for number in range(1000)]
    labels = {dag_id: dag_id for dag_id in ids}
    source = replace(source, team=replace(source.team, walls=walls), dags=tuple(ids), dag_labels=labels)
    spec = policy(source)

    def of(label: str, account: str) -> list[str]:
        role = dag_identity("airflow-payments", account)
        pod = delivered("payments/etl", "agent", [], replace(source, login=replace(source.login, role=role)))
        pod["spec"]["serviceAccountName"] = role
        pod["metadata"]["labels"]["dag_id"] = label
        return denials(spec, pod)

    assert all(len(expression) < 100_000 for expression in expressions(spec))
    assert [] == of("load-0000", "load-0000") + of("load-0999", "load-0999")
    assert of("load-0000", "load-0999")
    assert of("load-1000", "load-1000")


LARGE = {
    "as much configuration as a pod has room for": [
        VaultSecret(f"secret/payments/{n}", env={f"V{n}": "k" * 2800}) for n in range(188)
    ],
    "a thousand variables": [
        VaultSecret(f"secret/payments/{n}", env={f"V{n}_{k}": f"k{k}" for k in range(50)}) for n in range(20)
    ],
    "hundreds of files": [
        VaultSecret(f"secret/payments/{n}", files={f"{n}/f{k}": f"k{k}" for k in range(10)}) for n in range(34)
    ],
}


@pytest.mark.parametrize("what", LARGE)
def test_the_largest_pods_cost_the_api_server_less_than_it_allows(what: str) -> None:
    """Half of it at most: what is counted by another version of the API server may differ a little."""
    source = source_of("payments", ("agent",))
    pod = defaulted(delivered("payments/etl", "agent", LARGE[what], source))
    evaluated = counted(policy(source), pod)

    assert max(one.units for one in evaluated) < cel_cost.PER_EXPRESSION / 2
    assert sum(one.units for one in evaluated) < cel_cost.PER_POLICY / 2
    assert [] == denials(policy(source), pod)


@pytest.mark.parametrize("delivery", ["agent", "secret"])
def test_costs_are_counted_by_an_evaluation_that_comes_to_the_same(
    delivery: str,
    final: dict[str, Any],  # noqa: F811
    hardest: tuple[Source, dict[str, Any]],
) -> None:
    source = source_of("payments")
    pods = [(policy(source), delivered("payments/etl", delivery, secrets, source)) for secrets in SECRETS.values()]
    pods += [(hardest[1], edited(final, field, value)) for field, value in bypasses.ALL[::10]]
    for spec, pod in pods:
        assert bool(denials(spec, pod)) == any(not one.value for one in counted(spec, pod) if is_rule(spec, one))


def is_rule(spec: dict[str, Any], one: cel_cost.Evaluated) -> bool:
    return one.expression in [entry["expression"] for entry in spec["validations"]]


def counted(spec: dict[str, Any], pod: dict[str, Any]) -> list[cel_cost.Evaluated]:
    request = {"operation": "CREATE", "userInfo": WORKER}
    return cel_cost.of_policy(spec, {"object": cel.as_typed(pod), "oldObject": None, "request": request})


def expressions(spec: dict[str, Any]) -> list[str]:
    return [entry["expression"] for entry in (*spec.get("variables", ()), *spec["validations"])]


@pytest.mark.parametrize("what", ["pods", "exec"])
@pytest.mark.parametrize("name", teams.names(SHIPPED))
def test_every_expression_is_one_that_the_api_server_compiles(name: str, what: str) -> None:
    """Its own limits: 100,000 code points an expression (cel-go's parser), 1.5 MiB an object (etcd)."""
    spec = policy(source_of(name), what)
    for expression in expressions(spec):
        cel.compiled(expression)

        assert len(expression) < 100_000
        # Optional fields and maps of mixed types are not taken everywhere.
        assert ".?" not in expression
    assert len(str(spec)) < 1_000_000
    assert all(rule["message"] and "\n" not in rule["message"] for rule in spec["validations"])
