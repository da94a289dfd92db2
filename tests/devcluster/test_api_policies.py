"""ValidatingAdmissionPolicies: held for the namespaces that they are bound to; refused where they cannot be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.devcluster.conftest import Api, pod

GROUP = "/apis/admissionregistration.k8s.io/v1"
POLICIES, BINDINGS = f"{GROUP}/validatingadmissionpolicies", f"{GROUP}/validatingadmissionpolicybindings"


def policy(name: str, expression: str, operations: list[str], resources: list[str], **spec: Any) -> dict[str, Any]:
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": operations, "resources": resources}
    validations = [{"expression": expression, "message": "not so"}]
    return {
        "metadata": {"name": name},
        "spec": {"matchConstraints": {"resourceRules": [rule]}, "validations": validations, **spec},
    }


def binding(name: str, namespace: str, **spec: Any) -> dict[str, Any]:
    selector = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    content = {
        "policyName": name,
        "validationActions": ["Deny"],
        "matchResources": {"namespaceSelector": selector},
    }
    return {"metadata": {"name": name}, "spec": {**content, **spec}}


@pytest.fixture
def held(api: Api, namespace: str) -> Iterator[Any]:
    """Set up a policy for the test's namespace; it goes with the test."""

    def hold(expression: str, operations: list[str], resources: list[str], **spec: Any) -> None:
        assert (
            201
            == api.response(
                "POST", POLICIES, policy(namespace, expression, operations, resources, **spec)
            ).status_code
        )
        assert 201 == api.response("POST", BINDINGS, binding(namespace, namespace)).status_code

    yield hold
    api("DELETE", f"{BINDINGS}/{namespace}")
    api("DELETE", f"{POLICIES}/{namespace}")


def test_a_pod_that_a_policy_does_not_admit_is_refused_in_kubernetes_words(
    api: Api, space: str, namespace: str, held: Any
) -> None:
    held('object.metadata.name == "b" || request.dryRun', ["CREATE"], ["pods"])
    refused = api.response("POST", f"{space}/pods", pod("a"))
    elsewhere = api.response("POST", "/api/v1/namespaces/default/pods?dryRun=All", pod("a"))
    admitted = api.response("POST", f"{space}/pods", pod("b"))

    assert (422, "Invalid") == (refused.status_code, refused.json()["reason"])
    assert refused.json()["message"].endswith(
        f"is forbidden: ValidatingAdmissionPolicy '{namespace}' with binding '{namespace}' denied request: not so"
    )
    assert [201, 201] == [elsewhere.status_code, admitted.status_code]


def test_a_policy_sees_who_asks_what_was_and_its_own_variables(api: Api, space: str, held: Any) -> None:
    admin = 'request.userInfo.username == "kubernetes-admin" && "system:masters" in request.userInfo.groups'
    held(
        f'{admin} && (variables.fresh || oldObject.metadata.labels["a"] == object.metadata.labels["a"])',
        ["CREATE", "UPDATE"],
        ["pods"],
        variables=[{"name": "fresh", "expression": 'request.operation == "CREATE"'}],
    )
    made = pod("a")
    made["metadata"]["labels"] = {"a": "1"}
    patch = {"kind": "application/merge-patch+json"}

    assert 201 == api.response("POST", f"{space}/pods", made).status_code
    assert (
        200 == api.response("PATCH", f"{space}/pods/a", {"metadata": {"labels": {"b": "2"}}}, **patch).status_code
    )
    assert (
        422 == api.response("PATCH", f"{space}/pods/a", {"metadata": {"labels": {"a": "2"}}}, **patch).status_code
    )


def test_what_cannot_be_evaluated_is_refused(api: Api, space: str, held: Any) -> None:
    held("object.spec.nothing == 1", ["CREATE"], ["pods"])

    assert "resulted in error" in api("POST", f"{space}/pods", pod("a"))["message"]


@pytest.mark.parametrize("expression", ["object.", "1 == 'a'", "object.a.?b", "nobody"])
def test_an_expression_that_does_not_compile_makes_no_policy(api: Api, expression: str) -> None:
    refused = api.response("POST", POLICIES, policy("never", expression, ["CREATE"], ["pods"]))

    assert (422, "compilation failed" in refused.json()["message"]) == (refused.status_code, True)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (POLICIES, policy("x", "true", ["CREATE"], ["pods"], paramKind={"apiVersion": "v1", "kind": "ConfigMap"})),
        (
            POLICIES,
            policy("x", "true", ["CREATE"], ["pods"], matchConditions=[{"name": "a", "expression": "true"}]),
        ),
        (BINDINGS, binding("x", "default", validationActions=["Audit"])),
        (BINDINGS, binding("x", "default", matchResources={"objectSelector": {"matchLabels": {"a": "b"}}})),
    ],
)
def test_what_devcluster_cannot_hold_is_refused(api: Api, path: str, body: dict[str, Any]) -> None:
    refused = api.response("POST", path, body)

    assert (422, True) == (refused.status_code, "devcluster does not support" in refused.json()["message"])


@pytest.mark.parametrize(
    ("pattern", "count", "reason"),
    [("c?" * 100, 1, "cost limit"), ("c?" * 50, 20, "budget"), ("c?", 20, "")],
    ids=["an expression", "a policy", "neither"],
)
def test_what_costs_the_api_server_too_much_is_refused(
    api: Api, space: str, held: Any, pattern: str, count: int, reason: str
) -> None:
    """1,000,000 units an expression and 10,000,000 a policy: apiserver, pkg/apis/cel/config.go."""
    at = "object.metadata.annotations"
    dear = f'{at}.all(k, {at}[k].matches("^a*{pattern}$"))'
    held(dear, ["CREATE"], ["pods"], validations=[{"expression": dear} for _ in range(count)])
    made = pod("a")
    made["metadata"]["annotations"] = {f"a{number}": "a" * 50_000 for number in range(5)}
    answer = api.response("POST", f"{space}/pods", made)

    assert reason in answer.text
    assert (422 if reason else 201) == answer.status_code
