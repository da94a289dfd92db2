"""What the cluster, Airflow and webhooks add to a pod, and so will add again: it is no part of a template."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from airflow_k8s_vault.migrate.draft import Draft
from airflow_k8s_vault.policy import MERGE_KEYS, FieldPath, shape_mistakes

_BY_CLUSTER = "the cluster sets it"
_BY_AIRFLOW = "Airflow sets it for each run"
_BY_WEBHOOK = "{} adds it again"
_DEFAULT = "the cluster's own default"
_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
_ACCOUNT_VOLUME = "kube-api-access-"
_EKS = "/var/run/secrets/eks.amazonaws.com/serviceaccount"

_METADATA = (
    *("uid", "resourceVersion", "creationTimestamp", "generation", "selfLink", "managedFields", "ownerReferences"),
    *("deletionTimestamp", "deletionGracePeriodSeconds", "finalizers"),
)
# https://kubernetes.io/docs/reference/labels-annotations-taints/, CNI plugins, kubectl, and webhooks' own notes.
_KEYS_OF_CLUSTER = (
    *(
        "kubectl.kubernetes.io/last-applied-configuration",
        "kubectl.kubernetes.io/restartedAt",
        "pod-template-hash",
    ),
    *("controller-uid", "controller-revision-hash", "job-name", "batch.kubernetes.io/", "kubernetes.io/config."),
    *(
        "kubernetes.io/limit-ranger",
        "kubernetes.io/psp",
        "deployment.kubernetes.io/",
        "statefulset.kubernetes.io/",
    ),
    *("cni.projectcalico.org/", "k8s.v1.cni.cncf.io/network", "k8s.ovn.org/", "vpc.amazonaws.com/pod-ips"),
    *("openshift.io/scc", "seccomp.security.alpha.kubernetes.io/", "cloud.google.com/cluster_autoscaler"),
    *("autopilot.gke.io/", "apps.kubernetes.io/pod-index", "sidecar.istio.io/status", "istio.io/rev"),
    *("linkerd.io/proxy-version", "linkerd.io/created-by", "vault.hashicorp.com/agent-inject-status"),
)
_KEYS_OF_AIRFLOW = (
    *("dag_id", "task_id", "run_id", "try_number", "map_index", "execution_date", "kubernetes_pod_operator"),
    *("airflow_version", "airflow_kpo_in_cluster", "already_checked", "airflow-worker", "kubernetes_executor"),
)
_CONTAINERS = {
    # What a webhook leaves as a note, and the containers that it adds with it.
    "sidecar.istio.io/status": ("istio", ("istio-proxy", "istio-init", "istio-validation")),
    "linkerd.io/proxy-version": ("Linkerd", ("linkerd-proxy", "linkerd-init")),
    "vault.hashicorp.com/agent-inject-status": ("", ("vault-agent", "vault-agent-init")),
}
_XCOM = "airflow-xcom-sidecar"
_POD_DEFAULTS = {
    "dnsPolicy": "ClusterFirst",
    "schedulerName": "default-scheduler",
    "terminationGracePeriodSeconds": 30,
    "enableServiceLinks": True,
    "hostNetwork": False,
    "preemptionPolicy": "PreemptLowerPriority",
}
_CONTAINER_DEFAULTS = {"terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"}
_EKS_VARIABLES = (
    *("AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_STS_REGIONAL_ENDPOINTS", "AWS_REGION"),
    "AWS_DEFAULT_REGION",
)
_NOT_READY = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")


def leave_out(draft: Draft) -> None:
    """Leave out of the draft what somebody else adds to its pod, and what is no field of a pod."""
    draft.take(("status",), "left out", _BY_CLUSTER)
    _unknown(draft)
    _injected(draft)
    _metadata(draft)
    _spec(draft)
    if draft.live:
        _defaults(draft)


def _unknown(draft: Draft) -> None:
    for path, sentence in _unknown_fields(draft.pod):
        draft.take(path, "left out", sentence)


def _unknown_fields(pod: dict[str, Any]) -> list[tuple[FieldPath, str]]:
    """Return path and reason of each field that no pod has; paths go by names, as in the draft."""
    result = []
    for mistake in shape_mistakes(pod):
        if mistake.is_unknown:
            sentence = mistake.sentence.replace("is no key", "no field").removesuffix(".")
            result.append((_by_name(pod, mistake.path), sentence))
    return result


def _by_name(pod: Any, path: tuple[str | int, ...]) -> FieldPath:
    """Return a path of list positions as one of names, where the list's entries have any."""
    value, named = pod, []
    for before, step in zip(("", *path), path, strict=False):
        key = MERGE_KEYS.get(str(before)) if isinstance(step, int) else None
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            value = None
        has_name = key and isinstance(value, dict) and value.get(key) is not None
        named.append(str(value[key]) if has_name else str(step))
    return tuple(named)


def _metadata(draft: Draft) -> None:
    for key in _METADATA:
        draft.take(("metadata", key), "left out", _BY_CLUSTER)
    for key in ("name", "generateName"):
        draft.take(("metadata", key), "left out", "each run's pod gets a name of its own")
    for section in ("labels", "annotations"):
        for key in list(draft.metadata.get(section) or ()):
            path = ("metadata", section, key)
            if key in _KEYS_OF_AIRFLOW:
                draft.take(path, "left out", _BY_AIRFLOW)
            elif key.startswith(_KEYS_OF_CLUSTER):
                draft.take(path, "left out", _BY_CLUSTER)


def _spec(draft: Draft) -> None:
    for key in ("nodeName", "priority"):
        draft.take(("spec", key), "left out", _BY_CLUSTER)
    draft.take(("spec", "ephemeralContainers"), "left out", "`kubectl debug` put them into the running pod")
    if "serviceAccountName" in draft.spec or draft.live:
        draft.take(("spec", "serviceAccount"), "left out", "the old name of serviceAccountName")
    policy = draft.spec.get("restartPolicy")
    if policy not in (None, "Never"):
        draft.spec["restartPolicy"] = "Never"
        draft.tell(("spec", "restartPolicy"), "changed", "Never: Airflow decides about another try")
    _tolerations(draft)
    _mounted_at(draft, _ACCOUNT, "the cluster adds the service account's token")
    for name in _volumes(draft) - _mounted(draft):
        if name.startswith(_ACCOUNT_VOLUME):
            draft.take(("spec", "volumes", name), "left out", "the cluster adds the service account's token")
    if _mounted_at(draft, _EKS, _BY_WEBHOOK.format("EKS' webhook")):
        for path, _ in list(draft.containers()):
            for name in _EKS_VARIABLES:
                draft.take((*path, "env", name), "left out", _BY_WEBHOOK.format("EKS' webhook"))


def _tolerations(draft: Draft) -> None:
    given = draft.spec.get("tolerations") or []
    kept = [each for each in given if not _is_default_toleration(each)]
    if not given or len(kept) == len(given):
        return
    if kept:
        draft.spec["tolerations"] = kept
        draft.tell(("spec", "tolerations"), "changed", "without the two of 300 s that the cluster adds")
    else:
        draft.take(("spec", "tolerations"), "left out", "the two of 300 s that the cluster adds")


def _is_default_toleration(toleration: Any) -> bool:
    return (
        isinstance(toleration, dict)
        and toleration.get("key") in _NOT_READY
        and toleration.get("tolerationSeconds") == 300
        and toleration.get("effect") == "NoExecute"
    )


def _mounted_at(draft: Draft, directory: str, why: str) -> bool:
    """Leave out the volume that is mounted there, with its mounts; return whether there was one."""
    names = set()
    for path, container in list(draft.containers()):
        for mount in list(container.get("volumeMounts") or ()):
            if mount.get("mountPath") == directory:
                names.add(str(mount.get("name")))
                draft.take((*path, "volumeMounts", directory), "left out", why)
    for name in names - _mounted(draft):
        draft.take(("spec", "volumes", name), "left out", why)
    return bool(names)


def _volumes(draft: Draft) -> set[str]:
    return {str(volume.get("name")) for volume in draft.spec.get("volumes") or ()}


def _mounted(draft: Draft) -> set[str]:
    return {str(mount.get("name")) for _, c in draft.containers() for mount in c.get("volumeMounts") or ()}


def _injected(draft: Draft) -> None:
    """Leave out the containers that somebody adds to each pod, with the volumes that are theirs alone."""
    annotations = draft.metadata.get("annotations") or {}
    for note, (who, names) in _CONTAINERS.items():
        if note in annotations:
            why = _BY_WEBHOOK.format(f"{who}'s webhook") if who else "the package's own agent takes its place"
            _containers(draft, names, why)
    _containers(draft, (_XCOM,), "Airflow adds it where a task pushes an XCom")


def _containers(draft: Draft, names: Iterable[str], why: str) -> None:
    before = _mounted(draft)
    gone = [path for path, container in draft.containers() if str(container.get("name")) in names]
    for path in gone:
        draft.take(path, "left out", why)
    left = before - _mounted(draft)
    for volume in [*(left if gone else ()), *(("xcom",) if gone and _XCOM in names else ())]:
        _volume_everywhere(draft, volume, why)


def _volume_everywhere(draft: Draft, name: str, why: str) -> None:
    for path, container in list(draft.containers()):
        for mount in list(container.get("volumeMounts") or ()):
            if mount.get("name") == name:
                draft.take((*path, "volumeMounts", str(mount.get("mountPath"))), "left out", why)
    draft.take(("spec", "volumes", name), "left out", why)


def _defaults(draft: Draft) -> None:
    for key, value in _POD_DEFAULTS.items():
        if draft.spec.get(key) == value:
            draft.take(("spec", key), "left out", _DEFAULT)
    for path, container in list(draft.containers()):
        for key, value in _CONTAINER_DEFAULTS.items():
            if container.get(key) == value:
                draft.take((*path, key), "left out", _DEFAULT)
        if container.get("imagePullPolicy") == _pull_policy(str(container.get("image"))):
            draft.take((*path, "imagePullPolicy"), "left out", _DEFAULT)


def _pull_policy(image: str) -> str:
    """Return what Kubernetes fills in: https://kubernetes.io/docs/concepts/containers/images/#imagepullpolicy-defaulting"""
    _, _, tag = image.rpartition("/")[2].partition(":")
    return "Always" if "@" not in image and tag in ("", "latest") else "IfNotPresent"
