"""What has to be true of the cluster before a pod of a team can start."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from airflow_k8s_vault import config
from airflow_k8s_vault.compile import Source, account_names, kubernetes_objects
from airflow_k8s_vault.doctor import rights, trials
from airflow_k8s_vault.doctor.check import Check, Outcome
from airflow_k8s_vault.doctor.kube import Answer, Kube

# A token of ten minutes survives less than that, and Vault allows for a minute or so.
CLOCK_SECONDS = 30
_ADMISSION = "/apis/admissionregistration.k8s.io/v1"
_NO_SOURCE = "env[0].valueFrom: Invalid value"


def checks(kube: Kube, sources: list[Source]) -> Iterator[Check]:
    """Yield the checks of the cluster, then those of each team."""
    yield Check("CLUSTER-REACHED", lambda: reached(kube))
    after = ("CLUSTER-REACHED",)
    if by_agent := [source for source in sources if "agent" in source.deliveries]:
        yield Check(
            "CLUSTER-FILE-KEY-REF", lambda: _by_default(file_key_ref(kube, by_agent[0]), by_agent), after=after
        )
    yield Check("CLUSTER-CLOCK", lambda: clock(kube), after=after)
    for source in sources:
        yield from _of_team(kube, source, after)


def _of_team(kube: Kube, source: Source, after: tuple[str, ...]) -> Iterator[Check]:
    name = source.team.name

    def check(code: str, run: Any, *also: str) -> Check:
        return Check(code, run, name, name, (*after, *also))

    yield check("CLUSTER-NAMESPACE", lambda: namespace(kube, source))
    yield check("CLUSTER-ACCOUNT", lambda: accounts(kube, source), "CLUSTER-NAMESPACE")
    expected = rights.Rights(kube, compiled(source, "Role"), compiled(source, "RoleBinding"))
    yield check("CLUSTER-RIGHTS", expected.missing, "CLUSTER-NAMESPACE")
    yield check("CLUSTER-RIGHTS-WIDE", expected.too_wide, "CLUSTER-NAMESPACE")
    yield check("CLUSTER-ADMISSION", lambda: admission(kube, source))
    trial = trials.Trials(kube, source)
    yield check("CLUSTER-QUOTA", trial.quota, "CLUSTER-NAMESPACE", "CLUSTER-ACCOUNT")
    yield check("CLUSTER-POD", trial.admitted, "CLUSTER-NAMESPACE", "CLUSTER-ACCOUNT")


def reached(kube: Kube) -> Outcome:
    """Ask for the version."""
    version = kube.get("/version")
    return Outcome("success", f"{kube.host} is {version.get('gitVersion')}")


def file_key_ref(kube: Kube, source: Source) -> Outcome:
    """Look for the field in the API server's own schema, and try it: a version says nothing of feature gates.

    Tried is a pod, as a dry run that refuses what it does not know. A gate that is off leaves the field in the
    schema and drops it from the pod, which then has a variable without a source.
    """
    missing = Outcome.of([f"Kubernetes {kube.get('/version').get('gitVersion')} does not know the field."])
    schemas = (kube.get("/openapi/v3/api/v1").get("components") or {}).get("schemas") or {}
    described = schemas.get("io.k8s.api.core.v1.EnvVarSource")
    if described and "fileKeyRef" not in described["properties"]:
        return missing
    reference = {"path": "e", "key": "K", "volumeName": "v"}
    container = {"name": "c", "image": "c", "env": [{"name": "K", "valueFrom": {"fileKeyRef": reference}}]}
    spec = {"containers": [container], "volumes": [{"name": "v", "emptyDir": {}}]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "k8s-vault-doctor"}, "spec": spec}
    try:
        kube.post(f"/api/v1/namespaces/{source.team.namespace}/pods", pod, dryRun="All", fieldValidation="Strict")
    except Answer as error:
        if "cannot create resource" in str(error):
            needed = f"whoever runs this needs the right: create pods in {source.team.namespace}."
            return Outcome("success") if described else Outcome("unknown", needed)
        # Refused for another reason (Pod Security, a policy): the field itself was read.
        unread = error.status == 400 and "fileKeyRef" in str(error)
        return missing if unread or _NO_SOURCE in str(error) else Outcome("success")
    return Outcome("success")


def _by_default(outcome: Outcome, by_agent: list[Source]) -> Outcome:
    """Return the outcome; with `auto` no error where all these teams may use `secret` instead."""
    if config.get("default_delivery") != config.AUTO or outcome.result not in ("success", "error"):
        return outcome
    if outcome.result == "success":
        return Outcome("success", "default_delivery is auto: variables are delivered by agent here.")
    if any("secret" not in source.deliveries for source in by_agent):
        return outcome
    return Outcome("success", "default_delivery is auto: variables are delivered by secret here.")


def clock(kube: Kube) -> Outcome:
    """Compare the API server's clock with this machine's, by the time in a review of whoever asks."""
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    made = kube.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", review)["metadata"]
    if "creationTimestamp" not in made:
        return Outcome("unknown", "the API server gives no time.")
    there = datetime.fromisoformat(made["creationTimestamp"])
    return of_clock("the API server's clock", there.timestamp())


def of_clock(whose: str, there_seconds: float) -> Outcome:
    """Return the outcome for another clock, in seconds since 1970."""
    ahead = there_seconds - datetime.now(UTC).timestamp()
    if abs(ahead) <= CLOCK_SECONDS:
        return Outcome("success")
    side = "ahead of" if ahead > 0 else "behind"
    return Outcome.of([f"{whose} is {abs(ahead):.0f} s {side} this machine's."])


def namespace(kube: Kube, source: Source) -> Outcome:
    """Look for the namespace and the labels that are compiled for it."""
    name = source.team.namespace
    result, problem = seen(kube, f"/api/v1/namespaces/{name}", "get namespaces")
    if problem is not None:
        return problem
    if result is None:
        return Outcome.of([f"there is no namespace '{name}'."])
    labels = result["metadata"].get("labels") or {}
    expected = compiled(source, "Namespace")[0]["metadata"]["labels"]
    differing = [
        f"namespace '{name}' has {key}={labels.get(key, '(nothing)')}; the team's file gives {value}."
        for key, value in expected.items()
        if key.startswith("pod-security.kubernetes.io/enforce") and labels.get(key) != value
    ]
    return Outcome.of(differing, warning=True)


def accounts(kube: Kube, source: Source) -> Outcome:
    """Look for the service accounts that the team's pods run as."""
    errors = []
    for name in account_names(source):
        path = f"/api/v1/namespaces/{source.team.namespace}/serviceaccounts/{name}"
        result, problem = seen(kube, path, f"get serviceaccounts in {source.team.namespace}")
        if problem is not None:
            return problem
        if result is None:
            errors.append(f"there is no service account '{name}' in namespace '{source.team.namespace}'.")
    return Outcome.of(errors)


def admission(kube: Kube, source: Source) -> Outcome:
    """Look for the compiled admission policies and their bindings, and whether these deny."""
    errors = []
    for kind, plural in (
        ("ValidatingAdmissionPolicy", "validatingadmissionpolicies"),
        ("ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings"),
    ):
        for expected in compiled(source, kind):
            name = expected["metadata"]["name"]
            result, problem = seen(kube, f"{_ADMISSION}/{plural}/{name}", f"get {plural}")
            if problem is not None:
                return problem
            if result is None:
                errors.append(f"there is no {kind} '{name}'.")
            elif _expressions(result) != _expressions(expected):
                errors.append(f"{kind} '{name}' is not as it is compiled: airflow k8s-vault plan shows both.")
            elif kind.endswith("Binding") and "Deny" not in result["spec"].get("validationActions", ()):
                errors.append(
                    f"{kind} '{name}' does not deny: its actions are {result['spec']['validationActions']}."
                )
    return Outcome.of(errors, warning=True)


def _expressions(policy: dict[str, Any]) -> list[str]:
    """Return the rules of a policy, none of a binding: around them the API server fills in defaults."""
    return [rule["expression"] for rule in policy["spec"].get("validations") or ()]


def compiled(source: Source, kind: str) -> list[dict[str, Any]]:
    return [item for item in kubernetes_objects(source) if item["kind"] == kind]


def seen(kube: Kube, path: str, right: str) -> tuple[dict[str, Any] | None, Outcome | None]:
    """Return the object, None where there is none; and the outcome where it may not be looked at."""
    try:
        return kube.get(path), None
    except Answer as error:
        if error.status == 404:
            return None, None
        if error.status == 403:
            return None, Outcome("unknown", f"whoever runs this needs the right: {right}.")
        raise
