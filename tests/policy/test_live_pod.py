"""A pod as the API server returns it is the one that was sent, or it is not."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from airflow_k8s_vault.policy import differences

Manifest = dict[str, Any]

SENT: Manifest = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {
        "name": "load-aaaaaaaa",
        "namespace": "team-payments",
        "labels": {"dag_id": "d", "try_number": "2"},
        "annotations": {"airflow-k8s-vault/owner": "0f" * 16},
    },
    "spec": {
        "serviceAccountName": "airflow-payments",
        "hostNetwork": False,
        "affinity": {},
        "tolerations": [{"key": "batch", "operator": "Exists"}],
        "schedulingGates": [{"name": "airflow-k8s-vault/credentials"}],
        "containers": [
            {
                "name": "base",
                "image": "postgres:18",
                "command": ["sh", "-c", "true"],
                "env": [
                    {"name": "EMPTY", "value": ""},
                    {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
                    {"name": "A", "valueFrom": {"fileKeyRef": {"volumeName": "e", "path": "p", "key": "k"}}},
                ],
                "ports": [{"containerPort": 8080}],
                "readinessProbe": {"httpGet": {"port": 8080}},
                "resources": {"limits": {"memory": "0.5Gi", "cpu": 1}},
                "volumeMounts": [{"name": "work", "mountPath": "/work", "readOnly": False}],
                "securityContext": {"allowPrivilegeEscalation": False},
            }
        ],
        "volumes": [
            {"name": "work", "emptyDir": {"sizeLimit": "1024Mi"}},
            {"name": "settings", "configMap": {"name": "settings"}},
            {"name": "token", "projected": {"sources": [{"serviceAccountToken": {"path": "t", "audience": "v"}}]}},
        ],
    },
}
ACCOUNT_TOKEN: Manifest = {
    "name": "kube-api-access-x2v4z",
    "projected": {
        "defaultMode": 420,
        "sources": [
            {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {
                "downwardAPI": {
                    "items": [
                        {
                            "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"},
                            "path": "namespace",
                        }
                    ]
                }
            },
        ],
    },
}


@pytest.fixture
def live() -> Manifest:
    """The pod as Kubernetes 1.36 returns it: with its defaults, what admission adds, and what came to it since."""
    pod = copy.deepcopy(SENT)
    del pod["apiVersion"], pod["kind"]
    pod["metadata"] |= {"name": "load-bbbbbbbb", "uid": "5288eff2", "generation": 2, "resourceVersion": "89"}
    pod["metadata"]["labels"] |= {"try_number": "1", "already_checked": "True"}
    pod["metadata"]["annotations"] |= {"cni.projectcalico.org/podIP": "10.1.2.3/32"}
    pod["status"] = {"phase": "Running"}
    spec, base = pod["spec"], pod["spec"]["containers"][0]
    del spec["hostNetwork"], spec["affinity"], spec["schedulingGates"]
    spec |= {
        "dnsPolicy": "ClusterFirst",
        "enableServiceLinks": True,
        "imagePullSecrets": [{"name": "registry"}],
        "nodeName": "node-1",
        "preemptionPolicy": "PreemptLowerPriority",
        "priority": 0,
        "restartPolicy": "Never",
        "schedulerName": "default-scheduler",
        "securityContext": {"fsGroup": 1000},
        "serviceAccount": "airflow-payments",
        "terminationGracePeriodSeconds": 30,
    }
    away = {"effect": "NoExecute", "operator": "Exists", "tolerationSeconds": 300}
    spec["tolerations"] += [{"key": f"node.kubernetes.io/{key}", **away} for key in ("not-ready", "unreachable")]
    del base["env"][0]["value"], base["volumeMounts"][0]["readOnly"]
    base["env"][1]["valueFrom"]["fieldRef"]["apiVersion"] = "v1"
    base["env"][2]["valueFrom"]["fileKeyRef"]["optional"] = False
    base["ports"][0]["protocol"] = "TCP"
    base["readinessProbe"] |= {
        "periodSeconds": 10,
        "timeoutSeconds": 1,
        "successThreshold": 1,
        "failureThreshold": 3,
    }
    base["readinessProbe"]["httpGet"] |= {"path": "/", "scheme": "HTTP"}
    base["resources"] = {
        "limits": {"cpu": "1", "memory": "512Mi"},
        "requests": {"cpu": "1", "memory": "512Mi"},
    }
    base |= {
        "imagePullPolicy": "IfNotPresent",
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
    }
    at = "/var/run/secrets/kubernetes.io/serviceaccount"
    base["volumeMounts"] += [{"name": ACCOUNT_TOKEN["name"], "mountPath": at, "readOnly": True}]
    volumes = spec["volumes"]
    volumes[0]["emptyDir"]["sizeLimit"] = "1Gi"
    volumes[1]["configMap"]["defaultMode"] = 420
    volumes[2]["projected"]["defaultMode"] = 420
    volumes[2]["projected"]["sources"][0]["serviceAccountToken"]["expirationSeconds"] = 3600
    volumes.append(copy.deepcopy(ACCOUNT_TOKEN))
    return pod


def test_what_kubernetes_adds_and_what_changes_with_each_try_is_no_difference(live: Manifest) -> None:
    assert differences(live, SENT) == []


def base_of(pod: Manifest) -> Manifest:
    base: Manifest = pod["spec"]["containers"][0]
    return base


CHANGES: dict[str, Callable[[Manifest], Any]] = {
    "metadata.namespace": lambda pod: pod["metadata"].update(namespace="team-risk"),
    "spec.serviceAccountName": lambda pod: pod["spec"].update(serviceAccountName="default"),
    "metadata.annotations[airflow-k8s-vault/owner]": lambda pod: pod["metadata"]["annotations"].clear(),
    "metadata.labels[dag_id]": lambda pod: pod["metadata"]["labels"].update(dag_id="other"),
    "spec.containers[base].image": lambda pod: base_of(pod).update(image="evil"),
    "spec.containers[base].command": lambda pod: base_of(pod).update(command=["true"]),
    "spec.containers[base].args": lambda pod: base_of(pod).update(args=["true"]),
    "spec.containers[base].env[A].valueFrom.fileKeyRef.key": lambda pod: base_of(pod)["env"][2]["valueFrom"][
        "fileKeyRef"
    ].update(key="other"),
    "spec.containers[base].env[X].value": lambda pod: base_of(pod)["env"].append({"name": "X", "value": "x"}),
    "spec.containers[base].ports": lambda pod: base_of(pod)["ports"].append({"containerPort": 1}),
    "spec.containers[base].resources.limits.memory": lambda pod: base_of(pod)["resources"]["limits"].update(
        memory="512M"
    ),
    "spec.containers[base].securityContext.privileged": lambda pod: base_of(pod)["securityContext"].update(
        privileged=True
    ),
    "spec.containers[base].securityContext.allowPrivilegeEscalation": lambda pod: base_of(pod)[
        "securityContext"
    ].clear(),
    "spec.containers[base].securityContext.runAsUser": lambda pod: base_of(pod)["securityContext"].update(
        runAsUser=0
    ),
    "spec.containers[base].securityContext.seLinuxOptions.type": lambda pod: base_of(pod)[
        "securityContext"
    ].update(seLinuxOptions={"level": "s0:c1,c2", "type": "spc_t"}),
    "spec.securityContext.supplementalGroups": lambda pod: pod["spec"]["securityContext"].update(
        supplementalGroups=[1000, 0]
    ),
    "spec.containers[base].lifecycle.preStop.exec.command": lambda pod: base_of(pod).update(
        lifecycle={"preStop": {"exec": {"command": ["true"]}}}
    ),
    "spec.containers[extra].name": lambda pod: pod["spec"]["containers"].append({"name": "extra"}),
    "spec.initContainers[first].name": lambda pod: pod["spec"].update(initContainers=[{"name": "first"}]),
    "spec.ephemeralContainers[debug].name": lambda pod: pod["spec"].update(
        ephemeralContainers=[{"name": "debug"}]
    ),
    "spec.containers[base].readinessProbe.httpGet.path": lambda pod: base_of(pod)["readinessProbe"][
        "httpGet"
    ].update(path="/other"),
    "spec.hostPID": lambda pod: pod["spec"].update(hostPID=True),
    "spec.shareProcessNamespace": lambda pod: pod["spec"].update(shareProcessNamespace=True),
    "spec.runtimeClassName": lambda pod: pod["spec"].update(runtimeClassName="other"),
    "spec.terminationGracePeriodSeconds": lambda pod: pod["spec"].update(terminationGracePeriodSeconds=0),
    "spec.tolerations": lambda pod: pod["spec"]["tolerations"].append({"operator": "Exists"}),
    "spec.volumes[work].hostPath.path": lambda pod: pod["spec"]["volumes"][0].update(hostPath={"path": "/"}),
    "spec.volumes[token].projected.sources": lambda pod: pod["spec"]["volumes"][2]["projected"]["sources"][0][
        "serviceAccountToken"
    ].update(audience="other"),
    "spec.volumes[kube-api-access-x2v4z].projected.sources": lambda pod: pod["spec"]["volumes"][3]["projected"][
        "sources"
    ][0]["serviceAccountToken"].update(audience="vault"),
    "spec.containers[base].volumeMounts[/other].name": lambda pod: base_of(pod)["volumeMounts"].append(
        {"name": "work", "mountPath": "/other"}
    ),
}


@pytest.mark.parametrize("field", CHANGES)
def test_another_pod_is_told_by_the_field_that_differs(live: Manifest, field: str) -> None:
    CHANGES[field](live)

    assert field in differences(live, SENT)


@pytest.mark.parametrize("field", ["image", "command", "resources", "volumeMounts", "env", "securityContext"])
def test_what_is_missing_is_a_difference(live: Manifest, field: str) -> None:
    del base_of(live)[field]

    assert any(f"spec.containers[base].{field}" in result for result in differences(live, SENT))
