"""`airflow k8s-vault compile kubernetes`: the objects, their order, their lines, and that all of it is valid."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.commands.test_templates import run
from tests.compile.conftest import add, compiled, one

GOLDEN = Path(__file__).parent / "golden/kubernetes.yaml"
ALL = """\
deliveries: [agent, secret]
image_pull_secrets: [registry]
limits: {cpu: 20, memory: 40Gi, pods: 50, cpu_per_pod: 2, memory_per_pod: 4Gi}
egress:
  - {cidr: 10.1.0.0/16, ports: [5432, 5433]}
  - {namespace: brokers}
"""


def without_expressions(obj: dict[str, Any]) -> dict[str, Any]:
    """Return the object without what the tests of the admission policies evaluate."""
    spec = obj.get("spec", {})
    return (
        {**obj, "spec": {k: v for k, v in spec.items() if k not in ("validations", "variables")}} if spec else obj
    )


def test_the_shipped_teams_compile_to_these_objects(folder: Path) -> None:
    matches = [without_expressions(obj) for obj in compiled()]
    if os.environ.get("WRITE_GOLDEN"):
        GOLDEN.write_text(yaml.safe_dump_all(matches, sort_keys=False))

    assert list(yaml.safe_load_all(GOLDEN.read_text())) == matches


def test_the_same_input_gives_the_same_bytes(folder: Path) -> None:
    add(folder / "payments/team.yaml", ALL)

    assert run("compile", "kubernetes").out == run("compile", "kubernetes").out


def test_each_object_says_whose_it_is_and_which_line_it_comes_from(folder: Path) -> None:
    add(folder / "payments/team.yaml", ALL)
    for obj in compiled("--team", "payments"):
        meta = obj["metadata"]
        file, line = re.fullmatch(r"(\S+), line (\d+)", meta["annotations"]["airflow-k8s-vault/source"]).groups()
        words = (folder.parent / file).read_text().splitlines()[int(line) - 1]

        assert {
            "app.kubernetes.io/managed-by": "airflow-k8s-vault",
            "airflow-k8s-vault/team": "payments",
        }.items() <= (meta["labels"].items())
        assert re.match(r" *(namespace|service_account|images|limits|egress|worker|triggerer):", words), words


def test_only_the_teams_that_are_named_are_compiled(folder: Path) -> None:
    namespaces = {obj["metadata"].get("namespace") for obj in compiled("--team", "payments")}

    assert {None, "team-payments"} == namespaces


def test_a_namespace_comes_before_all_that_lies_in_it_and_a_role_before_its_binding(folder: Path) -> None:
    order = [(obj["kind"], obj["metadata"]["name"]) for obj in compiled("--team", "payments")]

    assert ("Namespace", "team-payments") == order[0]
    assert order.index(("Role", "airflow-worker")) < order.index(("RoleBinding", "airflow-worker"))


@pytest.mark.parametrize("version", ["1.30", "1.33", "1.36"])
def test_kubernetes_takes_all_of_it(folder: Path, version: str) -> None:
    add(folder / "payments/team.yaml", ALL)
    for obj in compiled():
        kubernetes_validate.validate(obj, version, strict=True)


def rights(matches: list[dict[str, Any]], who: str) -> set[tuple[str, str]]:
    rules = one(matches, "Role", who)["rules"]
    return {(resource, verb) for rule in rules for resource in rule["resources"] for verb in rule["verbs"]}


@pytest.mark.parametrize("deliveries", ["[agent]", "[secret]"])
def test_the_triggerer_has_fewer_rights_than_the_worker(folder: Path, deliveries: str) -> None:
    add(folder / "payments/team.yaml", f"deliveries: {deliveries}")
    result = compiled("--team", "payments")

    more = {("pods", "create"), ("pods", "patch"), ("pods/exec", "create"), ("serviceaccounts/token", "create")}

    assert len(rights(result, "triggerer")) < len(rights(result, "worker"))
    assert not (more | {("secrets", "create")}) & rights(result, "triggerer")


def test_a_worker_of_delivery_agent_gets_no_right_to_secrets_and_one_of_secret_those_of_the_teams_account(
    folder: Path,
) -> None:
    of_agent = compiled("--team", "payments")
    add(folder / "payments/team.yaml", "deliveries: [secret]")
    of_secret = compiled("--team", "payments")
    (token,) = (
        r for r in one(of_secret, "Role", "worker")["rules"] if r["resources"] == ["serviceaccounts/token"]
    )

    assert not any(resource in ("secrets", "serviceaccounts/token") for resource, _ in rights(of_agent, "worker"))
    assert ["airflow-payments"] == token["resourceNames"]
    assert ("secrets", "create") in rights(of_secret, "worker")


def test_a_team_without_xcoms_lets_nobody_run_commands_in_pods(folder: Path) -> None:
    add(folder / "payments/team.yaml", "xcom: false")

    assert not any(resource == "pods/exec" for resource, _ in rights(compiled("--team", "payments"), "worker"))


def test_each_team_may_have_workers_of_its_own(folder: Path) -> None:
    platform = folder / "platform.yaml"
    platform.write_text(platform.read_text().replace("airflow/airflow-worker", "airflow-{team}/worker-{team}"))
    (subject,) = one(compiled("--team", "payments"), "RoleBinding", "worker")["subjects"]

    assert ("airflow-payments", "worker-payments") == (subject["namespace"], subject["name"])


def test_limits_become_a_quota_and_ranges_and_egress_a_network_policy(folder: Path) -> None:
    add(folder / "payments/team.yaml", ALL)
    result = compiled("--team", "payments")
    egress = one(result, "NetworkPolicy")["spec"]["egress"]

    assert {
        "requests.cpu": "20",
        "requests.memory": "40Gi",
        "limits.memory": "40Gi",
        "pods": "50",
    } == one(result, "ResourceQuota")["spec"]["hard"]
    assert {"type": "Pod", "max": {"memory": "4Gi"}} in one(result, "LimitRange")["spec"]["limits"]
    assert [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "vault"}}}] == egress[1]["to"]
    assert [{"port": 8200, "protocol": "TCP"}] == egress[1]["ports"]
    assert [{"ipBlock": {"cidr": "10.1.0.0/16"}}] == egress[2]["to"]
    assert [{"registry"}] == [{s["name"] for s in one(result, "ServiceAccount")["imagePullSecrets"]}]


def test_an_account_of_airflows_may_be_a_user_as_a_clouds_identity_is(folder: Path) -> None:
    platform = folder / "platform.yaml"
    user = "airflow-worker@project.iam.gserviceaccount.com"
    platform.write_text(platform.read_text().replace("worker: airflow/airflow-worker", f'worker: "user:{user}"'))
    objects = compiled("--team", "payments")

    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}
    assert [subject] == one(objects, "RoleBinding", "airflow-worker")["subjects"]
    assert "ServiceAccount" == one(objects, "RoleBinding", "airflow-triggerer")["subjects"][0]["kind"]
    rules = str(one(objects, "ValidatingAdmissionPolicy", "-pods")["spec"]["validations"])
    assert f'request.userInfo.username in ["{user}", "system:serviceaccount:airflow:airflow-triggerer"]' in rules


def test_no_account_of_airflows_is_one_of_kubernetes_own_users(folder: Path) -> None:
    platform = folder / "platform.yaml"
    text = platform.read_text().replace("worker: airflow/airflow-worker", "worker: user:system:admin")
    platform.write_text(text)
    ran = run("compile", "kubernetes")

    assert ran.status != 0
    assert "user:airflow-worker" in ran.err
