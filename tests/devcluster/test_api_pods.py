"""What the API server makes of a pod before it runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.devcluster.conftest import Api, pod

MERGE = "application/merge-patch+json"


def base(**fields: Any) -> dict[str, Any]:
    return {"name": "base", "image": "python:3.12-slim", **fields}


def env(name: str = "A", **value_from: Any) -> dict[str, Any]:
    return {"containers": [base(env=[{"name": name, "valueFrom": value_from}])]}


def eventually(read: Callable[[], Any], expected: Callable[[Any], bool], seconds: float = 240) -> Any:
    deadline = time.monotonic() + seconds
    while not expected(result := read()) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert expected(result), result
    return result


def test_a_pod_gets_the_defaults_of_kubernetes(api: Api, space: str) -> None:
    created = api("POST", f"{space}/pods", pod())

    spec, container = created["spec"], created["spec"]["containers"][0]
    assert spec["restartPolicy"] == "Always"
    assert spec["terminationGracePeriodSeconds"] == 30
    assert (spec["serviceAccountName"], spec["serviceAccount"]) == ("default", "default")
    assert container["terminationMessagePath"] == "/dev/termination-log"
    assert (created["status"]["phase"], created["status"]["qosClass"]) == ("Pending", "BestEffort")


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("python", "Always"),
        ("python:latest", "Always"),
        ("host:5000/python", "Always"),
        ("python:3.12", "IfNotPresent"),
        ("python@sha256:" + "0" * 64, "IfNotPresent"),
    ],
)
def test_the_pull_policy_follows_the_images_tag(api: Api, space: str, image: str, policy: str) -> None:
    created = api("POST", f"{space}/pods", pod(containers=[base(image=image)]))

    assert created["spec"]["containers"][0]["imagePullPolicy"] == policy


def test_every_container_mounts_the_service_accounts_token_unless_told_not_to(api: Api, space: str) -> None:
    with_token = api("POST", f"{space}/pods", pod("with"))
    without = api("POST", f"{space}/pods", pod("without", automountServiceAccountToken=False))

    mount = with_token["spec"]["containers"][0]["volumeMounts"][0]
    assert mount["mountPath"] == "/var/run/secrets/kubernetes.io/serviceaccount"
    assert with_token["spec"]["volumes"][0]["name"] == mount["name"]
    assert "volumes" not in without["spec"]


def test_a_service_account_that_is_not_there_is_forbidden(api: Api, namespace: str, space: str) -> None:
    answer = api.response("POST", f"{space}/pods", pod(serviceAccountName="nobody"))

    assert answer.status_code == 403
    assert answer.json()["message"] == (
        f'pods "a" is forbidden: error looking up service account {namespace}/nobody: '
        'serviceaccount "nobody" not found'
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"extra": 1}, 'strict decoding error: unknown field "spec.extra"'),
        ({"containers": [base(imagePullpolicy="x")]}, 'unknown field "spec.containers[0].imagePullpolicy"'),
        ({"containers": "x"}, "json: cannot unmarshal string into Go struct field spec.containers of type array"),
        ({"containers": [base(resources={"limits": {"memory": "lots"}})]}, "quantities must match the regular"),
        ({"priority": "1"}, "json: cannot unmarshal string into Go struct field spec.priority of type int64"),
    ],
)
def test_fields_that_kubernetes_does_not_know_are_a_bad_request(
    api: Api, space: str, change: dict[str, Any], message: str
) -> None:
    answer = api.response("POST", f"{space}/pods", pod(**change))

    assert answer.status_code == 400
    assert message in answer.json()["message"]


MEMORY = {"volumes": [{"name": "v", "emptyDir": {}}]}
MINE = {"key": "mine", "operator": "Exists", "effect": "NoExecute"}
FILE_KEY = {"volumeName": "v", "path": "env", "key": "A"}


@pytest.mark.parametrize(
    ("spec", "field", "message"),
    [
        ({"containers": []}, "spec.containers", "Required value"),
        ({"containers": [{"name": "base"}]}, "spec.containers[0].image", "Required value"),
        ({"containers": [base(), base()]}, "spec.containers[1].name", 'Duplicate value: "base"'),
        ({"initContainers": [base()]}, "spec.initContainers[0].name", 'Duplicate value: "base"'),
        ({"containers": [base(volumeMounts=[{"name": "no", "mountPath": "/x"}])]},
         "spec.containers[0].volumeMounts[0].name", 'Not found: "no"'),
        ({**MEMORY, "containers": [base(volumeMounts=[{"name": "v", "mountPath": "/x"}] * 2)]},
         "spec.containers[0].volumeMounts[1].mountPath", 'Invalid value: "/x": must be unique'),
        ({**MEMORY, "containers": [base(volumeMounts=[{"name": "v", "mountPath": "/x", "subPath": "../y"}])]},
         "spec.containers[0].volumeMounts.subPath", "Invalid value: \"../y\": must not contain '..'"),
        ({"volumes": [{"name": "v", "emptyDir": {}}] * 2}, "spec.volumes[1].name", 'Duplicate value: "v"'),
        ({"volumes": [{"name": "v", "emptyDir": {"medium": "Disk"}}]}, "spec.volumes[0].emptyDir.medium",
         'Unsupported value: "Disk": supported values: "", "HugePages", "Memory"'),
        ({"volumes": [{"name": "v", "projected": {"sources": [
            {"serviceAccountToken": {"path": "t", "expirationSeconds": 599}}]}}]},
         "spec.volumes[0].projected.sources[0].serviceAccountToken.expirationSeconds",
         "Invalid value: 599: may not specify a duration less than 10 minutes"),
        (env(name="A=B", fieldRef={"fieldPath": "metadata.name"}), "spec.containers[0].env[0].name",
         'Invalid value: "A=B": a valid environment variable name must consist only of printable ASCII characters '
         "other than '=' (regex used for validation is '[ -<>-~]+')"),
        (env(fieldRef={"fieldPath": "spec.image"}), "spec.containers[0].env[0].valueFrom.fieldRef.fieldPath",
         'Invalid value: "spec.image": error converting fieldPath: field label not supported: spec.image'),
        (env(fileKeyRef=FILE_KEY), "spec.containers[0].env[0].valueFrom.fileKeyRef.volumeName", 'Not found: "v"'),
        ({"containers": [base(lifecycle={"preStop": {"sleep": {"seconds": 31}}})]},
         "spec.containers[0].lifecycle.preStop.sleep",
         "Invalid value: 31: must be non-negative and less than terminationGracePeriodSeconds (30)"),
        ({"containers": [base(restartPolicy="Never")]}, "spec.containers[0].restartPolicy",
         "Forbidden: devcluster does not support this: only an init container can have one here, and only Always: "
         "a sidecar"),
        ({**MEMORY, **env(fileKeyRef={**FILE_KEY, "path": "../env"})},
         "spec.containers[0].env[0].valueFrom.fileKeyRef.path",
         "Invalid value: \"../env\": must not contain '..'"),
        ({**MEMORY, **env(fileKeyRef={**FILE_KEY, "path": "/env"})},
         "spec.containers[0].env[0].valueFrom.fileKeyRef.path", 'Invalid value: "/env": must be a relative path'),
        ({"containers": [base(ports=[{"containerPort": 70000}])]}, "spec.containers[0].ports[0].containerPort",
         "Invalid value: 70000: must be between 1 and 65535, inclusive"),
        ({"initContainers": [{"name": "i", "image": "x", "lifecycle": {"preStop": {"exec": {"command": ["x"]}}}}]},
         "spec.initContainers[0].lifecycle",
         "Forbidden: may not be set for init containers without restartPolicy=Always"),
        ({"containers": [base(resources={"limits": {"cpu": "1"}, "requests": {"cpu": "1500m"}})]},
         "spec.containers[0].resources.requests",
         'Invalid value: "1500m": must be less than or equal to cpu limit of 1'),
        ({"restartPolicy": "Sometimes"}, "spec.restartPolicy",
         'Unsupported value: "Sometimes": supported values: "Always", "Never", "OnFailure"'),
        ({"activeDeadlineSeconds": 0}, "spec.activeDeadlineSeconds",
         "Invalid value: 0: must be between 1 and 2147483647, inclusive"),
        ({"nodeName": "devcluster"}, "spec.nodeName",
         "Forbidden: cannot be set until all schedulingGates have been cleared"),
    ],
)  # fmt: skip
def test_a_pod_that_kubernetes_refuses_is_refused_in_its_words(
    api: Api, space: str, spec: dict[str, Any], field: str, message: str
) -> None:
    answer = api.response("POST", f"{space}/pods", pod(**spec))

    assert answer.status_code == 422
    causes = answer.json()["details"]["causes"]
    assert [(cause["field"], cause["message"]) for cause in causes] == [(field, message)]


def test_all_mistakes_are_named_at_once(api: Api, space: str) -> None:
    answer = api("POST", f"{space}/pods", pod("A", containers=[base(name="B", image="")]))

    fields = [cause["field"] for cause in answer["details"]["causes"]]
    assert fields == ["metadata.name", "spec.containers[0].name", "spec.containers[0].image"]
    assert answer["message"].startswith('Pod "A" is invalid: [metadata.name: Invalid value: "A": ')


@pytest.mark.parametrize(
    ("patch", "allowed"),
    [
        ({"metadata": {"labels": {"a": "b"}}}, True),
        ({"spec": {"activeDeadlineSeconds": 50}}, True),
        ({"spec": {"activeDeadlineSeconds": 200}}, False),
        ({"spec": {"activeDeadlineSeconds": None}}, False),
        # Kubernetes takes this and the last one, and no kubelet here would know of it.
        ({"spec": {"containers": [base(image="python:3.13-slim")]}}, False),
        ({"spec": {"schedulingGates": None}}, True),
        ({"spec": {"schedulingGates": [{"name": "test/hold"}, {"name": "test/more"}]}}, False),
        ({"spec": {"serviceAccountName": "other"}}, False),
        ({"spec": {"restartPolicy": "Never"}}, False),
        ({"spec": {"tolerations": [{**MINE, "tolerationSeconds": 5}]}}, False),
    ],
)
def test_a_pods_spec_hardly_changes(api: Api, space: str, patch: dict[str, Any], allowed: bool) -> None:
    api("POST", f"{space}/pods", pod(activeDeadlineSeconds=100, tolerations=[MINE]))

    answer = api.response("PATCH", f"{space}/pods/a", patch, kind=MERGE)

    assert answer.status_code == (200 if allowed else 422), answer.text
    assert allowed or "spec" in answer.json()["details"]["causes"][0]["field"]


def test_a_gated_pod_waits_until_its_gate_is_removed(api: Api, space: str) -> None:
    api("POST", f"{space}/pods", pod())
    read = lambda: api("GET", f"{space}/pods/a")  # noqa: E731
    gated = eventually(read, lambda result: "conditions" in result["status"])

    api("PATCH", f"{space}/pods/a", {"spec": {"schedulingGates": None}}, kind=MERGE)

    assert gated["status"]["conditions"][0]["reason"] == "SchedulingGated"
    assert "nodeName" not in gated["spec"]
    bound = eventually(read, lambda result: result["spec"].get("nodeName"))
    assert bound["spec"]["nodeName"] == "devcluster"


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ({"nodeSelector": {"gpu": "true"}}, "1 node(s) didn't match Pod's node affinity/selector"),
        ({"containers": [base(resources={"limits": {"nvidia.com/gpu": "1"}})]}, "1 Insufficient nvidia.com/gpu"),
    ],
)
def test_a_pod_that_fits_no_node_stays_pending_and_says_why(
    api: Api, space: str, spec: dict[str, Any], why: str
) -> None:
    api("POST", f"{space}/pods", pod(schedulingGates=[], **spec))

    read = lambda: api("GET", f"{space}/pods/a")["status"].get("conditions")  # noqa: E731
    [condition] = eventually(read, bool)

    message = (
        f"0/1 nodes are available: {why}. no new claims to deallocate, "
        "preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."
    )
    assert (condition["reason"], condition["message"]) == ("Unschedulable", message)
    [event] = api("GET", f"{space}/events", fieldSelector="involvedObject.name=a")["items"]
    assert (event["reason"], event["message"]) == ("FailedScheduling", message)


def test_a_pod_on_no_node_is_deleted_at_once(api: Api, space: str) -> None:
    api("POST", f"{space}/pods", pod())

    deleted = api("DELETE", f"{space}/pods/a")

    assert deleted["kind"] == "Pod"
    assert api.response("GET", f"{space}/pods/a").status_code == 404


def test_logs_of_a_pod_on_no_node_are_a_bad_request(api: Api, space: str) -> None:
    api("POST", f"{space}/pods", pod())

    answer = api.response("GET", f"{space}/pods/a/log")

    assert (answer.status_code, answer.json()["message"]) == (400, "pod a does not have a host assigned")


def test_a_pod_that_the_namespaces_level_forbids_is_refused_with_each_field(
    api: Api, namespace: str, space: str
) -> None:
    labels = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
    api("PATCH", f"/api/v1/namespaces/{namespace}", labels, kind="application/merge-patch+json")
    bare = api.response("POST", f"{space}/pods", pod(initContainers=[{"name": "first", "image": "alpine:3.24.2"}]))
    rooted = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"], "add": ["SYS_TIME"]},
        "runAsUser": 0,
        "seccompProfile": {"type": "Unconfined"},
    }
    root = api.response(
        "POST",
        f"{space}/pods",
        pod(containers=[base(securityContext=rooted)], securityContext={"runAsNonRoot": True}),
    )

    assert (bare.status_code, root.status_code) == (403, 403)
    assert bare.json()["message"].startswith('pods "a" is forbidden: violates PodSecurity "restricted:latest": ')
    for container in ("spec.initContainers[0]", "spec.containers[0]"):
        for field in ("allowPrivilegeEscalation", "capabilities.drop", "runAsNonRoot", "seccompProfile"):
            assert f"{container}.securityContext.{field}" in bare.json()["message"]
    for what in ("SYS_TIME", "runAsUser", "Unconfined"):
        assert what in root.json()["message"]
