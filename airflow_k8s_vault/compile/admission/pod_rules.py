"""The rules on the pod as a whole: the fields that it may have, and those that only a template decides."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from airflow_k8s_vault.compile import cel
from airflow_k8s_vault.compile.admission.rule import Rule
from airflow_k8s_vault.compile.source import Source
from airflow_k8s_vault.delivery.secret import GATE, LABEL
from airflow_k8s_vault.policy import ISSUER_KEYS
from airflow_k8s_vault.teams import POD_ARGUMENTS

# What the API server fills in: pkg/apis/core/v1/defaults.go and the plugins Priority, ServiceAccount,
# DefaultTolerationSeconds.
_DEFAULTS: dict[str, Any] = {
    "dnsPolicy": "ClusterFirst",
    "schedulerName": "default-scheduler",
    "terminationGracePeriodSeconds": 30,
    "securityContext": {},
    "enableServiceLinks": True,
    "preemptionPolicy": "PreemptLowerPriority",
    "restartPolicy": "Always",
    "serviceAccount": cel.VARIES,
    "priority": cel.VARIES,
    "tolerations": cel.VARIES,
}
# Each has a rule of its own; where a pod runs says nothing of what it can read.
_NOT_COMPARED = frozenset(
    (
        *("containers", "initContainers", "volumes", "serviceAccountName", "serviceAccount", "nodeName"),
        *(
            "priority",
            "tolerations",
            "affinity",
            "nodeSelector",
            "topologySpreadConstraints",
            "ephemeralContainers",
        ),
        *("schedulingGates", "imagePullSecrets", "restartPolicy", "activeDeadlineSeconds"),
    )
)
_NODE_TOLERATIONS = "node.kubernetes.io/"
# Of the package's own labels and annotations.
_OWN_PREFIX = "airflow-k8s-vault"


def is_open(source: Source, field: str) -> bool:
    """Return whether a DAG, or Airflow's mutation hook, may set this field of the pod, or a part of it."""
    opened = [
        at
        for argument in POD_ARGUMENTS
        if argument.rule == "open" or argument.name in source.team.overridable
        for at in argument.fields
    ]
    hooked = source.team.platform.hook_fields
    return any(at == field or at.startswith((f"{field}.", f"{field}[")) for at in (*opened, *hooked))


def of_identity(source: Source) -> Iterator[Rule]:
    """Yield the rules on whom the pod acts as."""
    account = source.team.service_account
    if source.team.walls.identity == "dag":
        is_ours = f"object.spec.serviceAccountName.startsWith({cel.literal(f'{account}-')})"
        named = f"one of a DAG's service accounts ({account}-…)"
    else:
        is_ours = f"object.spec.serviceAccountName == {cel.literal(account)}"
        named = f"service account {account}"
    yield Rule(f"has(object.spec.serviceAccountName) && {is_ours}", f"Pods of this namespace run as {named}.")
    mounts = {pod["spec"].get("automountServiceAccountToken") for pod in source.pods}
    if mounts <= {False}:
        yield Rule(
            "has(object.spec.automountServiceAccountToken) && object.spec.automountServiceAccountToken == false",
            "No pod of this namespace is given a Kubernetes token: automountServiceAccountToken is false.",
        )
    yield Rule(
        "!has(object.spec.ephemeralContainers) || size(object.spec.ephemeralContainers) == 0",
        "Nobody debugs a pod that holds credentials: ephemeralContainers.",
    )


def of_fields(source: Source) -> Iterator[Rule]:
    """Yield the rules on the fields of the pod's spec."""
    known = {*_DEFAULTS, *_keys(pod["spec"] for pod in source.pods), "containers", "initContainers", "volumes"}
    known |= {"nodeName", "schedulingGates", "activeDeadlineSeconds", "ephemeralContainers"}
    known |= {"imagePullSecrets"} if _pull_secrets(source) else set()
    known |= {field for field in _spec_fields() if is_open(source, f"spec.{field}")}
    if "affinity" not in known:
        # KubernetesPodOperator always sends one, and an empty one stays: in Go it is a pointer.
        known.add("affinity")
        empty = cel.absent_or("object.spec", "affinity", cel.keys_within("object.spec.affinity", ()))
        yield Rule(empty, "Only the team's templates decide about spec.affinity.")
    yield Rule(
        cel.keys_within("object.spec", known),
        f"Pods of team {source.team.name} have no fields but those that its templates and open arguments set.",
    )
    yield Rule('request.operation == "UPDATE" || !has(object.spec.nodeName)', "The scheduler chooses: nodeName.")
    yield Rule(
        'object.spec.restartPolicy == "Never"', "Airflow decides about another try: restartPolicy is Never."
    )
    for field in sorted(known - _NOT_COMPARED):
        if is_open(source, f"spec.{field}"):
            continue
        values = [pod["spec"].get(field) for pod in source.pods]
        if (term := one_of("object.spec", field, values, _DEFAULTS.get(field))) != "true":
            yield Rule(term, f"Only the team's templates decide about spec.{field}.")
    yield from _of_lists(source)


def one_of(at: str, field: str, values: Collection[Any], default: Any = None, strict: bool = True) -> str:
    """Return whether the field has one of the values; None in them: it is not there, or as it is by default."""
    if any(value == cel.VARIES for value in values):
        return "true"
    options = []
    for value in values:
        if value is None:
            options.append(f"!{cel.has(at, field)}")
        if (expected := default if value is None else value) is not None:
            equal = cel.equals(cel.field(at, field), expected, strict=strict)
            options.append(f"{cel.has(at, field)} && {equal}" if equal != "true" else "true")
    return "true" if "true" in options else cel.any_of(options)


def _pull_secrets(source: Source) -> set[str]:
    return {*source.team.walls.image_pull_secrets, *source.login.agent.image_pull_secrets}


def _of_lists(source: Source) -> Iterator[Rule]:
    lists: dict[str, tuple[str, set[str]]] = {
        "imagePullSecrets": ("name", _pull_secrets(source)),
        "schedulingGates": ("name", {GATE} if "secret" in source.deliveries else set()),
    }
    for field, (key, names) in lists.items():
        entries = [entry for pod in source.pods for entry in pod["spec"].get(field) or ()]
        names |= {str(entry.get(key)) for entry in entries}
        if cel.VARIES not in names and not is_open(source, f"spec.{field}"):
            listed = f"object.spec.{field}.all(e, e.{key} in {cel.literal(sorted(names))})"
            yield Rule(
                cel.absent_or("object.spec", field, listed),
                f"Only the team's templates decide about spec.{field}.",
            )
    if not is_open(source, "spec.tolerations"):
        yield _tolerations(source)


def _tolerations(source: Source) -> Rule:
    entries = [entry for pod in source.pods for entry in pod["spec"].get("tolerations") or ()]
    options = [f"has(t.key) && t.key.startsWith({cel.literal(_NODE_TOLERATIONS)})"]
    options += [cel.equals("t", entry, strict=False) for entry in entries]
    term = cel.absent_or("object.spec", "tolerations", f"object.spec.tolerations.all(t, {cel.any_of(options)})")
    return Rule(term, "Only the team's templates decide about spec.tolerations.")


def of_metadata(source: Source) -> Iterator[Rule]:
    """Yield the rules on labels and annotations: the package's own, and those of somebody's controller."""
    airflow = cel.literal([source.worker.user, source.triggerer.user])
    is_airflow = f"request.userInfo.username in {airflow}"
    for what in ("labels", "annotations"):
        at, old = f"variables.{what}", f"oldObject.metadata.{what}"
        unchanged = f'request.operation == "UPDATE" && has({old}) && k in {old} && {old}[k] == {at}[k]'
        ours = f'k.startsWith("{_OWN_PREFIX}")'
        if what == "labels":
            ours = f"({ours} || k in {cel.literal(_FINDING)})"
        yield Rule(
            f"{is_airflow} || {at}.all(k, !{ours} || {unchanged})",
            f"Only Airflow's own service accounts set the {what} that Airflow knows its pods by.",
        )
        known = _keys(pod.get("metadata", {}).get(what) or {} for pod in source.pods)
        known |= {"kubernetes.io/limit-ranger"}
        prefixed = f'k.startsWith("app.kubernetes.io/") || k.startsWith("{_OWN_PREFIX}/")'
        issuers = cel.literal(sorted(ISSUER_KEYS - {LABEL}))
        is_plain = f'!(k in {issuers}) && !k.contains(".") && !k.contains("/")'
        allowed = f"({is_plain}) || {prefixed} || k in {cel.literal(sorted(known))}"
        if not any(field == f"metadata.{what}" for field in source.team.platform.hook_fields):
            yield Rule(
                f'request.operation == "UPDATE" || {at}.all(k, {allowed})',
                f"Other controllers act on such {what}, and only the team's templates set them.",
            )
    yield Rule(
        "!has(object.metadata.ownerReferences) && !has(object.metadata.finalizers)"
        ' || request.operation == "UPDATE"',
        "A task's pod has no owner and no finalizer.",
    )


# KubernetesPodOperator finds a task's pod by these.
_FINDING = ("dag_id", "task_id", "run_id", "kubernetes_pod_operator", "airflow_version")


def _keys(maps: Any) -> set[str]:
    return {str(key) for mapping in maps for key in (mapping if isinstance(mapping, Mapping) else ())}


def _spec_fields() -> set[str]:
    fields = {field for argument in POD_ARGUMENTS for field in argument.fields}
    return {field.split(".")[1] for field in fields if field.startswith("spec.") and "[" not in field}
