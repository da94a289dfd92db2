"""PersistentVolumeClaims, as a cluster with a default storage class binds, mounts and protects them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.devcluster.conftest import Api
from tests.faults.worker import wait_until

SPEC = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}


def claim(api: Api, space: str, **spec: Any) -> Any:
    body = {"metadata": {"name": "data"}, "spec": {**SPEC, **spec}}
    return api.response("POST", f"{space}/persistentvolumeclaims", body)


def start(api: Api, space: str, name: str, script: str, **source: Any) -> None:
    """Create a pod that has the claim at /data."""
    base = {"name": "base", "image": "alpine:3.24.2", "command": ["sh", "-c", script]}
    base["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
    volume = {"name": "data", "persistentVolumeClaim": {"claimName": "data", **source}}
    spec = {"containers": [base], "volumes": [volume], "restartPolicy": "Never"}
    answer = api.response("POST", f"{space}/pods", {"metadata": {"name": name}, "spec": spec})
    assert 201 == answer.status_code, answer.text


def ended(api: Api, space: str, name: str) -> str:
    """Return the pod's log once it has ended."""
    phases = ("Succeeded", "Failed")
    wait_until(lambda: api("GET", f"{space}/pods/{name}")["status"]["phase"] in phases)
    return api.response("GET", f"{space}/pods/{name}/log").text


def test_it_is_bound_by_its_first_pod_and_keeps_what_that_wrote(api: Api, space: str) -> None:
    assert 201 == claim(api, space).status_code
    before = api("GET", f"{space}/persistentvolumeclaims/data")

    start(api, space, "writer", "echo kept > /data/file")
    ended(api, space, "writer")
    start(api, space, "reader", "cat /data/file; echo x > /data/file || echo read-only", readOnly=True)
    log = ended(api, space, "reader")
    after = api("GET", f"{space}/persistentvolumeclaims/data")

    assert ("Pending", "standard") == (before["status"]["phase"], before["spec"]["storageClassName"])
    assert {"phase": "Bound", "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}} == after["status"]
    assert log.startswith("kept\n")
    assert log.endswith("read-only\n")


def test_a_pod_waits_for_a_claim_that_is_not_there_and_starts_once_it_is(api: Api, space: str) -> None:
    start(api, space, "early", "echo here")

    def condition() -> Any:
        conditions = api("GET", f"{space}/pods/early")["status"].get("conditions", [])
        return next((each for each in conditions if each.get("reason") == "Unschedulable"), None)

    wait_until(lambda: condition() is not None)
    message = condition()["message"]
    claim(api, space)

    assert message.startswith('0/1 nodes are available: persistentvolumeclaim "data" not found. ')
    assert "here\n" == ended(api, space, "early")


def test_it_is_not_deleted_before_its_pod_has_ended_and_takes_its_files_with_it(api: Api, space: str) -> None:
    claim(api, space)
    start(api, space, "user", "touch /data/file; while [ -e /data/file ]; do sleep 0.1; done")
    path = f"{space}/persistentvolumeclaims/data"
    wait_until(lambda: api("GET", f"{space}/pods/user")["status"]["phase"] == "Running")

    api("DELETE", path)
    while_used = api("GET", path)
    api("DELETE", f"{space}/pods/user", gracePeriodSeconds=0)

    assert "deletionTimestamp" in while_used["metadata"]
    wait_until(lambda: api.response("GET", path).status_code == 404)

    claim(api, space)
    start(api, space, "next", "ls /data")
    assert "" == ended(api, space, "next")


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"accessModes": []}, "spec.accessModes"),
        ({"accessModes": ["Everyone"]}, "spec.accessModes"),
        ({"resources": {}}, "spec.resources[storage]"),
        ({"resources": {"requests": {"storage": "0"}}}, "spec.resources[storage]"),
        ({"storageClassName": "fast"}, "spec.storageClassName"),
        ({"volumeMode": "Block"}, "spec.volumeMode"),
        ({"selector": {"matchLabels": {"a": "b"}}}, "spec.selector"),
    ],
)
def test_what_cannot_be_one_is_refused_by_its_field(
    api: Api, space: str, spec: dict[str, Any], field: str
) -> None:
    answer = claim(api, space, **spec)

    assert 422 == answer.status_code
    assert [field] == [cause["field"] for cause in answer.json()["details"]["causes"]]


def test_it_cannot_be_changed(api: Api, space: str) -> None:
    claim(api, space)
    change = {"spec": {"accessModes": ["ReadWriteMany"]}}
    kind = "application/merge-patch+json"

    answer = api.response("PATCH", f"{space}/persistentvolumeclaims/data", change, kind=kind)

    assert 422 == answer.status_code
