"""Whether a pod that the API server has is the one that would be sent now."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from airflow_k8s_vault import quantity
from airflow_k8s_vault.policy.manifest import CONTAINER_LISTS, FieldPath, Flat, flatten, shown_path

# Another one in each try of a task, or written down later.
_VARYING = frozenset(
    (
        ("metadata", "name"),
        *(("metadata", "labels", name) for name in ("try_number", "airflow_version", "airflow_kpo_in_cluster")),
        ("metadata", "labels", "airflow-k8s-vault-delivery"),
        # Taken off one by one, each by who put it on.
        ("spec", "schedulingGates"),
    )
)
# What API server, admission and scheduler set where nobody else did, with the value that they give; None: any.
# Source: `SetDefaults_*` in pkg/apis/core/v1/defaults.go, and the admission plugins that are on by default.
_SET_IN_POD: dict[str, tuple[Any, ...] | None] = {
    "dnsPolicy": ("ClusterFirst",),
    "enableServiceLinks": (True,),
    "restartPolicy": ("Never",),
    "schedulerName": ("default-scheduler",),
    "terminationGracePeriodSeconds": (30,),
    **dict.fromkeys(("imagePullSecrets", "nodeName", "overhead", "preemptionPolicy", "priority")),
    **dict.fromkeys(("priorityClassName", "tolerations")),
}
_SET_IN_CONTAINER: dict[str, tuple[Any, ...] | None] = {
    "terminationMessagePath": ("/dev/termination-log",),
    "terminationMessagePolicy": ("File",),
    # By a LimitRange; and requests are what the limits are.
    **dict.fromkeys(("imagePullPolicy", "resources")),
}
_PROBE = {"failureThreshold": 3, "periodSeconds": 10, "successThreshold": 1, "timeoutSeconds": 1}
_MODE = {"defaultMode": 0o644}
# By the field that they are in.
_SET_BELOW: dict[str, dict[str, Any]] = {
    **dict.fromkeys(("configMap", "downwardAPI", "projected", "secret"), _MODE),
    **dict.fromkeys(("livenessProbe", "readinessProbe", "startupProbe"), _PROBE),
    "fieldRef": {"apiVersion": "v1"},
    "fileKeyRef": {"optional": False},
    "grpc": {"service": ""},
    "hostPath": {"type": ""},
    "httpGet": {"path": "/", "scheme": "HTTP"},
    "ports": {"protocol": "TCP"},
    "resourceFieldRef": {"divisor": "0"},
    "serviceAccountToken": {"expirationSeconds": 3600},
}
# What OpenShift's admission gives each namespace its own of: never root's, and of SELinux the level alone.
_IDS_IN_SECURITY_CONTEXT = frozenset(("fsGroup", "runAsUser", "supplementalGroups"))
# Not written where they are false: they are no pointers in Kubernetes' own types.
_LEFT_OUT = frozenset(("hostNetwork", "hostPID", "hostIPC", "readOnly", "stdin", "stdinOnce", "tty"))
# The token of the service account, which admission mounts where the pod does not say that it wants none.
_ACCOUNT_TOKEN = re.compile(r"kube-api-access-[a-z0-9]{5}")
_ACCOUNT_TOKEN_AT = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105 - a folder


def differences(live: Mapping[str, Any], sent: Mapping[str, Any]) -> list[str]:
    """Return the name of each field of the pod that is not as it would be sent now, the most telling first.

    live: the manifest as the API server returns it. sent: the manifest that passed the final check. What
    Kubernetes adds to each pod is no difference, and neither are further labels and annotations. Containers,
    volumes and variables that an admission webhook added are: nobody can tell who added them.
    """
    # In a list the items have neither apiVersion nor kind.
    result, expected = ({path: value for path, value in flatten(pod).items() if path[1:]} for pod in (live, sent))
    changed = [path for path, value in expected.items() if path not in _VARYING and not _same(path, result, value)]
    added = [
        path for path in result if path[0] == "spec" and path not in expected and not _by_cluster(path, result)
    ]
    return [
        shown_path(path)
        for path in sorted([*changed, *added], key=lambda path: path[:2] == ("metadata", "labels"))
    ]


def _same(path: FieldPath, actual: Flat, expected: Any) -> bool:
    if path == ("spec", "tolerations"):
        return _tolerates(actual.get(path) or [], expected)
    if path not in actual and (expected == "" or (expected is False and path[-1] in _LEFT_OUT)):
        return True
    if ("resources" in path or path[-1] == "sizeLimit") and (amount := quantity.parse(expected)) is not None:
        return amount == quantity.parse(actual.get(path))
    return _covers(actual.get(path), expected, path[-1])


def _covers(actual: Any, expected: Any, field: str) -> bool:
    """Whether the value of a field is the one that was wanted, with no more than what the API server adds."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        added = actual.keys() - expected.keys()
        return all(_is_set_below(field, key, actual[key]) for key in added) and all(
            key in actual and _covers(actual[key], value, key) for key, value in expected.items()
        )
    if isinstance(expected, list) and isinstance(actual, list):
        return len(actual) == len(expected) and all(map(_covers, actual, expected, [field] * len(expected)))
    # 1 and True are equal in Python, and are not in JSON.
    return type(actual) is type(expected) and bool(actual == expected)


def _is_set_below(field: str, key: str, value: Any) -> bool:
    return key in _SET_BELOW.get(field, ()) and _covers(value, _SET_BELOW[field][key], key)


def _tolerates(actual: list[Any], expected: list[Any]) -> bool:
    """Whether only what admission adds, of a node's own conditions, is there beside what was wanted."""
    rest = [one for one in actual if one not in expected]
    return all(one in actual for one in expected) and all(
        str(one.get("key", "")).startswith("node.kubernetes.io/") for one in rest
    )


def _by_cluster(path: FieldPath, actual: Flat) -> bool:
    """Whether the cluster sets this field, to this value, in a pod that does not have it."""
    section, name, rest = path[1], path[2:3], path[3:]
    if section == "serviceAccount":
        # The field's old name.
        return bool(actual[path] == actual.get(("spec", "serviceAccountName")))
    if section == "tolerations":
        return _tolerates(actual[path], [])
    if section in _SET_IN_POD:
        return _is_one_of(actual[path], _SET_IN_POD[section])
    if "securityContext" in path[:-1] and _is_of_namespace(
        path[path.index("securityContext") + 1 :], actual[path]
    ):
        return True
    if section == "volumes" and name and _ACCOUNT_TOKEN.fullmatch(name[0]):
        return _is_account_token(name[0], actual)
    if section in CONTAINER_LISTS and rest[:1] == ("volumeMounts",):
        return rest[1] == _ACCOUNT_TOKEN_AT and bool(_ACCOUNT_TOKEN.fullmatch(_mounted(path, actual)))
    if section in CONTAINER_LISTS and rest and rest[0] in _SET_IN_CONTAINER:
        return _is_one_of(actual[path], _SET_IN_CONTAINER[rest[0]])
    return bool(rest) and _is_set_below(path[-2], path[-1], actual[path])


def _is_of_namespace(path: FieldPath, value: Any) -> bool:
    """Whether a field of a security context, by its path there, is one that is given to a whole namespace."""
    if path[0] == "seLinuxOptions":
        return bool(path[1:] == ("level",) or (path[1:] == () and set(value) <= {"level"}))
    ids = value if isinstance(value, list) else [value]
    return path[0] in _IDS_IN_SECURITY_CONTEXT and 0 not in ids


def _is_one_of(value: Any, allowed: tuple[Any, ...] | None) -> bool:
    return allowed is None or value in allowed


def _mounted(path: FieldPath, actual: Flat) -> str:
    return str(actual.get((*path[:5], "name")))


def _is_account_token(name: str, actual: Flat) -> bool:
    """Whether a volume is what admission makes of it: a token for the API server, and for nobody else."""
    fields = {path[3:]: value for path, value in actual.items() if path[:3] == ("spec", "volumes", name)}
    kinds = {step for rest in fields for step in rest[:1]} - {"name"}
    tokens = list(_tokens(fields.get(("projected", "sources"))))
    return kinds == {"projected"} and len(tokens) == 1 and "audience" not in tokens[0]


def _tokens(sources: Any) -> Iterator[Mapping[str, Any]]:
    for source in sources or ():
        if set(source) - {"serviceAccountToken", "configMap", "downwardAPI"}:
            yield from ({"audience": "of another source"}, {})
        elif "serviceAccountToken" in source:
            yield source["serviceAccountToken"]
