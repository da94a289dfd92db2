"""`airflow k8s-vault plan`: drifts, planted one by one in a real OpenBao and devcluster, each named as it is."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from k8s_vault_devcluster.openbao import OpenBao, VaultAdmin
from k8s_vault_devcluster.provision import Provisioning, with_token
from k8s_vault_devcluster.server import DevCluster
from kubernetes import client, config

from airflow_k8s_vault.commands import plan
from airflow_k8s_vault.compile import Source
from airflow_k8s_vault.compile.plan import Difference, Plan, hcl, vault
from tests.commands.test_templates import run
from tests.compile.conftest import SHIPPED
from tests.compile.test_vault import DAG, DAGS

NAMESPACE = "team-payments"
ROLE = "auth/kubernetes/role/payments"
POLICY = "sys/policies/acl/airflow-payments"
LIMITS = """\
limits: {cpu: 20, memory: 40Gi, pods: 50, cpu_per_pod: 2, memory_per_pod: 4Gi}
egress: [{cidr: 10.1.0.0/16, ports: [5432]}]
"""


class Live:
    """Both servers as they are compiled, and what it takes to make them drift."""

    def __init__(self, setup: Provisioning, sources: list[Source], kubeconfig: Path, vault: VaultAdmin) -> None:
        self.setup, self.sources, self.kubeconfig, self.vault = setup, sources, kubeconfig, vault
        self.core, self.rbac = client.CoreV1Api(setup.api), client.RbacAuthorizationV1Api(setup.api)
        self.admission = client.AdmissionregistrationV1Api(setup.api)
        self.network = client.NetworkingV1Api(setup.api)

    def role(self, **changed: Any) -> None:
        self.vault.request("POST", ROLE, {**self.vault.request("GET", ROLE)["data"], **changed})

    def policy(self, change: Callable[[str], str]) -> None:
        text = self.vault.request("GET", POLICY)["data"]["policy"]
        self.vault.request("PUT", POLICY, {"policy": change(text)})

    def bind(self, verbs: list[str], resources: list[str], subject: dict[str, str], name: str = "other") -> None:
        rules = [{"apiGroups": [""], "resources": resources, "verbs": verbs}]
        self.rbac.create_namespaced_role(NAMESPACE, {"metadata": {"name": name}, "rules": rules})
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
        body = {"metadata": {"name": name}, "roleRef": reference, "subjects": [subject]}
        self.rbac.create_namespaced_role_binding(NAMESPACE, body)

    def unbind(self, name: str = "other") -> None:
        self.rbac.delete_namespaced_role_binding(name, NAMESPACE)
        self.rbac.delete_namespaced_role(name, NAMESPACE)

    def bind_everywhere(self, role: str, subject: dict[str, str]) -> None:
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role}
        body = {"metadata": {"name": "other"}, "roleRef": reference, "subjects": [subject]}
        self.rbac.create_cluster_role_binding(body)


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("plan")
    templates_dir, dags = folder / "pod_templates", folder / "dags"
    import shutil

    shutil.copytree(SHIPPED, templates_dir)
    shutil.copytree(DAGS, dags)
    (dags / "science.py").write_text(DAG)
    file = templates_dir / "payments/team.yaml"
    file.write_text(f"{file.read_text()}{LIMITS}")
    openbao, cluster = OpenBao(folder), DevCluster(folder / "cluster")
    api = config.new_client_from_config(str(cluster.kubeconfig))
    try:
        with (
            pytest.MonkeyPatch.context() as patch,
            Provisioning(openbao.admin, api, settings={"vault_addr": "https://192.0.2.7:8200"}) as setup,
        ):
            patch.setenv("AIRFLOW__K8S_VAULT__TEMPLATES_DIR", str(templates_dir))
            patch.setenv("AIRFLOW__K8S_VAULT__VAULT_ADDR", "https://192.0.2.7:8200")
            setup.login()
            sources = setup.teams(templates_dir, dags=dags)
            patch.setenv("KUBECONFIG", str(cluster.kubeconfig))
            patch.setenv("VAULT_ADDR", openbao.address)
            patch.setenv("VAULT_TOKEN", openbao.root_token)
            yield Live(setup, sources, cluster.kubeconfig, openbao.admin)
    finally:
        openbao.stop()
        cluster.stop()


def seen(live: Live) -> list[Difference]:
    return list(plan.compare(live.sources)[0])


class Drift(NamedTuple):
    """plant: makes it. sign, name: how it has to be named. told: what the reason or a field has to hold."""

    plant: Callable[[Live], Any]
    sign: str
    name: str
    reason: str = ""
    mend: Callable[[Live], Any] = lambda live: None


EVERYBODY = {"kind": "Group", "name": "system:serviceaccounts", "apiGroup": "rbac.authorization.k8s.io"}
ALICE = {"kind": "User", "name": "alice", "apiGroup": "rbac.authorization.k8s.io"}
CI = {"kind": "ServiceAccount", "name": "ci", "namespace": "build"}
MORE = '\npath "secret/data/payments/other" { capabilities = ["read"] }\n'
PODS, EXEC = f"airflow-k8s-vault-{NAMESPACE}-pods", f"airflow-k8s-vault-{NAMESPACE}-exec"


def _bound(verbs: list[str], resources: list[str], subject: dict[str, str], message: str) -> Drift:
    """Return the drift of a RoleBinding that gives somebody what only Airflow's accounts may."""
    return Drift(
        lambda at: at.bind(verbs, resources, subject),
        "!",
        f"RoleBinding other in {NAMESPACE}",
        message,
        mend=lambda at: at.unbind(),
    )


def _patch_role(live: Live, name: str, rules: list[dict[str, Any]]) -> None:
    live.rbac.patch_namespaced_role(name, NAMESPACE, {"rules": rules})


def _rules(live: Live, name: str) -> list[dict[str, Any]]:
    role = live.rbac.read_namespaced_role(name, NAMESPACE)
    return [{"apiGroups": r.api_groups, "resources": r.resources, "verbs": r.verbs} for r in role.rules]


def _labelled(live: Live, **meta: str) -> dict[str, Any]:
    labels = {"app.kubernetes.io/managed-by": "airflow-k8s-vault", "airflow-k8s-vault/team": "gone"}
    return {"metadata": {"name": "left", "labels": labels, **meta}}


VAULT = {
    "policy missing": Drift(lambda at: at.vault.request("DELETE", POLICY), "+", "policy airflow-payments"),
    "role missing": Drift(lambda at: at.vault.request("DELETE", ROLE), "+", f"role {ROLE}"),
    "policy lacks a path": Drift(
        lambda at: at.policy(lambda t: t.replace("secret/data/payments/partner", "secret/data/payments/partner2")),
        "~",
        "policy airflow-payments",
        "secret/data/payments/partner",
    ),
    "policy lacks a capability": Drift(
        lambda at: at.policy(lambda t: t.replace('["update"]', '["create"]', 1)),
        "~",
        "policy airflow-payments",
        "auth/token/renew-self",
    ),
    "policy denies": Drift(
        lambda at: at.policy(lambda t: t + '\npath "secret/data/payments/partner" { capabilities = ["deny"] }\n'),
        "~",
        "policy airflow-payments",
        "secret/data/payments/partner",
    ),
    "policy allows an undeclared path": Drift(
        lambda at: at.policy(lambda t: t + MORE), "0", "policy airflow-payments", "secret/data/payments/other"
    ),
    "policy allows another team's path": Drift(
        lambda at: at.policy(lambda t: t + MORE.replace("payments", "data-science")),
        "!",
        "policy airflow-payments",
        "secret/data/data-science/other",
    ),
    "policy allows all": Drift(
        lambda at: at.policy(lambda t: t + '\npath "*" { capabilities = ["read", "sudo"] }\n'),
        "!",
        "policy airflow-payments",
        "* [read, sudo]",
    ),
    "policy lets write": Drift(
        lambda at: at.policy(
            lambda t: t.replace(
                'partner" {\n  capabilities = ["read"]', 'partner" {\n  capabilities = ["read", "update"]'
            )
        ),
        "!",
        "policy airflow-payments",
        "partner [update]",
    ),
    "policy in the older words": Drift(
        lambda at: at.policy(lambda t: t + '\npath "sys/*" { policy = "write" }\n'),
        "!",
        "policy airflow-payments",
        "sys/*",
    ),
    "role of another account": Drift(
        lambda at: at.role(bound_service_account_names=["default"]),
        "~",
        f"role {ROLE}",
        "bound_service_account_names",
    ),
    "role of more accounts": Drift(
        lambda at: at.role(bound_service_account_names=["airflow-payments", "default"]),
        "!",
        f"role {ROLE}",
        "bound_service_account_names",
    ),
    "role of all accounts": Drift(
        lambda at: at.role(bound_service_account_names=["*"]), "!", f"role {ROLE}", "bound_service_account_names"
    ),
    "role of more namespaces": Drift(
        lambda at: at.role(bound_service_account_namespaces=[NAMESPACE, "default"]),
        "!",
        f"role {ROLE}",
        "bound_service_account_namespaces",
    ),
    "role of another namespace": Drift(
        lambda at: at.role(bound_service_account_namespaces=["default"]),
        "~",
        f"role {ROLE}",
        "bound_service_account_namespaces",
    ),
    "role without audience": Drift(lambda at: at.role(audience=""), "!", f"role {ROLE}", "audience"),
    "role of another audience": Drift(lambda at: at.role(audience="other"), "~", f"role {ROLE}", "audience"),
    "role with another policy": Drift(
        lambda at: at.role(token_policies=["airflow-data-science"]), "~", f"role {ROLE}", "token_policies"
    ),
    "role with one policy more": Drift(
        lambda at: at.role(token_policies=["airflow-payments", "admin"]), "!", f"role {ROLE}", "token_policies"
    ),
    "role with the default policy": Drift(
        lambda at: at.role(token_no_default_policy=False), "!", f"role {ROLE}", "token_no_default_policy"
    ),
    "tokens live longer": Drift(lambda at: at.role(token_ttl=7200), "!", f"role {ROLE}", "token_ttl"),
    "tokens live shorter": Drift(lambda at: at.role(token_ttl=30), "~", f"role {ROLE}", "token_ttl"),
    "tokens live for ever": Drift(lambda at: at.role(token_period=3600), "!", f"role {ROLE}", "token_period"),
    "tokens are batch tokens": Drift(lambda at: at.role(token_type="batch"), "~", f"role {ROLE}", "token_type"),
    "a policy that no team has": Drift(
        lambda at: at.vault.request("PUT", "sys/policies/acl/airflow-old", {"policy": MORE}),
        "-",
        "policy airflow-old",
        mend=lambda at: at.vault.request("DELETE", "sys/policies/acl/airflow-old"),
    ),
    "another role gives out the policy": Drift(
        lambda at: at.vault.request(
            "POST",
            "auth/kubernetes/role/sideways",
            {
                "bound_service_account_names": ["x"],
                "bound_service_account_namespaces": ["y"],
                "token_policies": ["airflow-payments"],
            },
        ),
        "!",
        "role auth/kubernetes/role/sideways",
        "airflow-payments",
        mend=lambda at: at.vault.request("DELETE", "auth/kubernetes/role/sideways"),
    ),
}
CLUSTER = {
    "level of the namespace": Drift(
        lambda at: at.core.patch_namespace(
            NAMESPACE, {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "privileged"}}}
        ),
        "~",
        f"Namespace {NAMESPACE}",
        "pod-security.kubernetes.io/enforce",
    ),
    "account missing": Drift(
        lambda at: at.core.delete_namespaced_service_account("airflow-payments", NAMESPACE),
        "+",
        f"ServiceAccount {NAMESPACE}/airflow-payments",
    ),
    "account with a token": Drift(
        lambda at: at.core.patch_namespaced_service_account(
            "airflow-payments", NAMESPACE, {"automountServiceAccountToken": True}
        ),
        "~",
        f"ServiceAccount {NAMESPACE}/airflow-payments",
        "automountServiceAccountToken",
    ),
    "role with a right more": Drift(
        lambda at: _patch_role(
            at,
            "airflow-worker",
            [*_rules(at, "airflow-worker"), {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}],
        ),
        "!",
        f"Role {NAMESPACE}/airflow-worker",
        "rules",
    ),
    "role with a right less": Drift(
        lambda at: _patch_role(at, "airflow-triggerer", _rules(at, "airflow-triggerer")[:-1]),
        "~",
        f"Role {NAMESPACE}/airflow-triggerer",
        "rules",
    ),
    "role missing": Drift(
        lambda at: at.rbac.delete_namespaced_role("airflow-worker", NAMESPACE),
        "+",
        f"Role {NAMESPACE}/airflow-worker",
    ),
    "binding missing": Drift(
        lambda at: at.rbac.delete_namespaced_role_binding("airflow-triggerer", NAMESPACE),
        "+",
        f"RoleBinding {NAMESPACE}/airflow-triggerer",
    ),
    "binding of one subject more": Drift(
        lambda at: at.rbac.patch_namespaced_role_binding(
            "airflow-worker",
            NAMESPACE,
            {"subjects": [{"kind": "ServiceAccount", "name": "airflow-worker", "namespace": "airflow"}, CI]},
        ),
        "!",
        f"RoleBinding {NAMESPACE}/airflow-worker",
        "subjects",
    ),
    "quota raised": Drift(
        lambda at: at.core.patch_namespaced_resource_quota(
            "airflow-k8s-vault", NAMESPACE, {"spec": {"hard": {"pods": "500"}}}
        ),
        "~",
        f"ResourceQuota {NAMESPACE}/airflow-k8s-vault",
        "spec.hard.pods",
    ),
    "quota missing": Drift(
        lambda at: at.core.delete_namespaced_resource_quota("airflow-k8s-vault", NAMESPACE),
        "+",
        f"ResourceQuota {NAMESPACE}/airflow-k8s-vault",
    ),
    "range missing": Drift(
        lambda at: at.core.delete_namespaced_limit_range("airflow-k8s-vault", NAMESPACE),
        "+",
        f"LimitRange {NAMESPACE}/airflow-k8s-vault",
    ),
    "network policy lets out": Drift(
        lambda at: at.network.patch_namespaced_network_policy(
            "airflow-k8s-vault", NAMESPACE, {"spec": {"egress": [{}]}}
        ),
        "~",
        f"NetworkPolicy {NAMESPACE}/airflow-k8s-vault",
        "spec.egress",
    ),
    "network policy missing": Drift(
        lambda at: at.network.delete_namespaced_network_policy("airflow-k8s-vault", NAMESPACE),
        "+",
        f"NetworkPolicy {NAMESPACE}/airflow-k8s-vault",
    ),
    "admission policy missing": Drift(
        lambda at: at.admission.delete_validating_admission_policy(PODS), "+", f"ValidatingAdmissionPolicy {PODS}"
    ),
    "admission binding missing": Drift(
        lambda at: at.admission.delete_validating_admission_policy_binding(EXEC),
        "+",
        f"ValidatingAdmissionPolicyBinding {EXEC}",
    ),
    "admission rule changed": Drift(
        lambda at: at.admission.patch_validating_admission_policy(
            EXEC, {"spec": {"validations": [{"expression": "true", "message": "x"}]}}
        ),
        "~",
        f"ValidatingAdmissionPolicy {EXEC}",
        "spec.validations",
    ),
    "admission lets failures pass": Drift(
        lambda at: at.admission.patch_validating_admission_policy(PODS, {"spec": {"failurePolicy": "Ignore"}}),
        "~",
        f"ValidatingAdmissionPolicy {PODS}",
        "spec.failurePolicy",
    ),
    "admission of another namespace": Drift(
        lambda at: at.admission.patch_validating_admission_policy_binding(
            PODS,
            {
                "spec": {
                    "matchResources": {
                        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "elsewhere"}}
                    }
                }
            },
        ),
        "~",
        f"ValidatingAdmissionPolicyBinding {PODS}",
        "kubernetes.io/metadata.name",
    ),
    "an account of a team that is gone": Drift(
        lambda at: at.core.create_namespaced_service_account("default", _labelled(at)),
        "-",
        "ServiceAccount default/left",
        mend=lambda at: at.core.delete_namespaced_service_account("left", "default"),
    ),
    "somebody may make pods": _bound(["create"], ["pods"], ALICE, "user alice create pods"),
    "somebody may run commands": _bound(["*"], ["pods/exec"], CI, "service account build/ci create pods/exec"),
    "everybody may read Secrets": _bound(
        ["get", "list"], ["secrets"], EVERYBODY, "group system:serviceaccounts get secrets"
    ),
    "somebody may make tokens": _bound(["create"], ["serviceaccounts/token"], CI, "create serviceaccounts/token"),
    "somebody is administrator of all": Drift(
        lambda at: at.bind_everywhere("cluster-admin", CI),
        "!",
        f"ClusterRoleBinding other in {NAMESPACE}",
        "create pods",
        mend=lambda at: at.rbac.delete_cluster_role_binding("other"),
    ),
}


def test_what_was_applied_shows_no_difference(live: Live) -> None:
    assert [] == seen(live)


@pytest.mark.parametrize(
    "drift",
    [*VAULT.values(), *CLUSTER.values()],
    ids=[*(f"vault: {n}" for n in VAULT), *(f"cluster: {n}" for n in CLUSTER)],
)
def test_a_drift_is_named_by_its_sign_and_object_and_nothing_else_is(live: Live, drift: Drift) -> None:
    drift.plant(live)
    try:
        result = seen(live)
    finally:
        drift.mend(live)
        live.setup.apply(live.sources)
    named = [item for item in result if (item.sign, item.name) == (drift.sign, drift.name)]
    words = [f"{item.reason} {[field.path for field in item.fields]}" for item in named]

    assert any(drift.reason in text for text in words), [list(item.lines()) for item in result]
    assert {drift.name.partition(" in ")[0]} == {item.name.partition(" in ")[0] for item in result}


def test_thirty_drifts_are_planted() -> None:
    assert len(VAULT) + len(CLUSTER) >= 30


def test_the_command_tells_by_its_status_whether_there_is_a_difference(live: Live) -> None:
    words = ("plan", "--dags", str(live.kubeconfig.parents[1] / "dags"))
    equal = run(*words, "-o", "json")
    live.role(token_ttl=30)
    try:
        differs = run(*words, "-o", "json")
        shown = run(*words, "--only", "vault")
    finally:
        live.setup.apply(live.sources)

    assert (0, []) == (equal.status, equal.json()["differences"])
    assert (2, ["~"]) == (differs.status, [item["sign"] for item in differs.json()["differences"]])
    assert "      token_ttl: 30 -> 600" in shown.out
    assert "1 different (of 4 objects)." in shown.out


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize(
    ("variable", "value", "object_", "reason"),
    [
        ("VAULT_ADDR", "http://127.0.0.1:9", "Vault", ""),
        ("VAULT_TOKEN", "", "Vault", "VAULT_TOKEN is not set"),
        ("KUBECONFIG", "/nowhere", "the cluster", "no kubeconfig"),
    ],
)
def test_what_cannot_be_reached_is_not_seen_and_the_rest_is_compared(
    live: Live, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, object_: str, reason: str
) -> None:
    monkeypatch.setenv(variable, value)
    result = Plan(*plan.compare(live.sources))

    assert [("?", object_)] == [(item.sign, item.name) for item in result.differences]
    assert reason in result.differences[0].reason
    assert (1, True) == (result.status, result.compared > 0)


def test_what_may_not_be_read_is_not_seen_and_never_equal(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    auditor = {"policy": 'path "sys/policies/acl/*" { capabilities = ["read", "list"] }'}
    live.vault.request("PUT", "sys/policies/acl/auditor", auditor)
    made = live.vault.request("POST", "auth/token/create", {"policies": ["auditor"]})
    monkeypatch.setenv("VAULT_TOKEN", made["auth"]["client_token"])
    result = Plan(*plan.compare(live.sources, only="vault"))

    assert {f"role {ROLE}", "the roles of auth/kubernetes"} <= {item.name for item in result.differences}
    assert {"?"} == {item.sign for item in result.differences}
    assert 1 == result.status


def test_what_a_kubeconfig_may_not_read_is_not_seen(
    live: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow's worker reads next to nothing of its own walls."""
    token = live.setup.account(live.sources[1].worker)
    file = with_token(live.kubeconfig, token, tmp_path / "kubeconfig")
    monkeypatch.setenv("KUBECONFIG", str(file))
    result = Plan(*plan.compare(live.sources, only="kubernetes"))

    assert {f"Namespace {NAMESPACE}", "the clusterroles", f"the rolebindings of namespace {NAMESPACE}"} <= {
        item.name for item in result.differences
    }
    assert {("?", "403 Forbidden")} == {(item.sign, item.reason) for item in result.differences}
    assert 1 == result.status


def test_the_role_of_a_dag_that_is_gone_is_not_compiled_whatever_the_account_is_called(live: Live) -> None:
    source = live.sources[1]
    team = replace(source.team, service_account="jobs", walls=replace(source.team.walls, identity="dag"))
    left = {"auth/kubernetes/role/jobs-old-0a1b2c3d": {"token_policies": ["jobs-old-0a1b2c3d"]}}
    matches = vault.vault_differences(
        [replace(source, team=team)], vault.LiveVault(other_roles=left), all_teams=True
    )

    assert [("-", "role auth/kubernetes/role/jobs-old-0a1b2c3d")] == [(item.sign, item.name) for item in matches]


def test_explain_names_the_task_the_line_or_the_reason(live: Live) -> None:
    dags = ("--dags", str(live.kubeconfig.parents[1] / "dags"))

    assert "payments_load.load" in run("plan", *dags, "--explain", "secret/payments/partner").out
    assert "payments_load.load" in run("plan", *dags, "--explain", "secret/data/payments/partner").out
    for path in ("secret/payments/*", "secret/payments/partner", "secret/data/payments/deep/one"):
        assert "team.yaml, line 8: secret/payments/*" in run("plan", "--explain", path).out
    assert "the XCom is read out of its sidecar" in run("plan", "--explain", "pods/exec:create").out
    assert 1 == run("plan", *dags, "--explain", "secret/payments/other").status


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        ('path "a/*" { capabilities = ["read", "list"] }', {"a/*": {"read", "list"}}),
        (
            '# c\n// d\n/* e\n */ path "a" {\n capabilities=["read",]\n}\npath "b" { policy = "read" }',
            {"a": {"read"}, "b": {"read", "list"}},
        ),
        ('name = "x"\npath "a" { capabilities = ["read"]\n allowed_parameters = { "*" = [] } }', {"a": {"read"}}),
        ('path "a" { capabilities = ["read"] }\npath "a" { capabilities = ["list"] }', {"a": {"read", "list"}}),
        (json.dumps({"path": {"a": {"capabilities": ["read"]}}}), {"a": {"read"}}),
        ('path "a\\"b" { capabilities = ["read"] }', {'a"b': {"read"}}),
        ("", {}),
    ],
)
def test_a_policy_is_read_as_vault_reads_it(text: str, rules: dict[str, set[str]]) -> None:
    assert rules == hcl.rules(text)


@pytest.mark.parametrize(
    "text", ["path", 'path "a"', 'path "a" {', "{", "path a {}", 'path "a" { capabilities = [', "%"]
)
def test_what_is_no_policy_is_said_to_be_none(text: str) -> None:
    with pytest.raises(hcl.Unreadable):
        hcl.rules(text)
