"""What has to be true of the cluster before a pod of a team can start."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from airflow_k8s_vault import config, templates
from airflow_k8s_vault.compile import Source, objects
from airflow_k8s_vault.doctor.check import Check, Outcome
from airflow_k8s_vault.doctor.kube import Answer, Kube
from airflow_k8s_vault.templates import samples
from airflow_k8s_vault.templates.folder import folder

# A token of ten minutes survives less than that, and Vault allows for a minute or so.
CLOCK_SECONDS = 30
_REVIEWS = "/apis/authorization.k8s.io/v1"
_ADMISSION = "/apis/admissionregistration.k8s.io/v1"
_RBAC = "Role"


def checks(kube: Kube, sources: list[Source]) -> Iterator[Check]:
    """Yield the checks of the cluster, then those of each team."""
    yield Check("CLUSTER-REACHED", lambda: reached(kube))
    after = ("CLUSTER-REACHED",)
    if by_agent := [source for source in sources if "agent" in source.deliveries]:
        yield Check("CLUSTER-FILE-KEY-REF", lambda: file_key_ref(kube, by_agent[0]), after=after)
    yield Check("CLUSTER-CLOCK", lambda: clock(kube), after=after)
    for source in sources:
        yield from _of_team(kube, source, after)


def _of_team(kube: Kube, source: Source, after: tuple[str, ...]) -> Iterator[Check]:
    name = source.team.name

    def check(code: str, run: Any, *also: str) -> Check:
        return Check(code, run, name, name, (*after, *also))

    yield check("CLUSTER-NAMESPACE", lambda: namespace(kube, source))
    yield check("CLUSTER-ACCOUNT", lambda: accounts(kube, source), "CLUSTER-NAMESPACE")
    yield check("CLUSTER-RIGHTS", lambda: rights(kube, source), "CLUSTER-NAMESPACE")
    yield check("CLUSTER-ADMISSION", lambda: admission(kube, source))
    yield check("CLUSTER-POD", lambda: pods(kube, source), "CLUSTER-NAMESPACE", "CLUSTER-ACCOUNT")


def reached(kube: Kube) -> Outcome:
    """Ask for the version."""
    version = kube.get("/version")
    return Outcome("success", f"{kube.host} is {version.get('gitVersion')}")


def file_key_ref(kube: Kube, source: Source) -> Outcome:
    """Look for the field in the API server's own schema: a version says nothing of feature gates.

    Where the schema leaves pods out, a pod with the field is sent as a dry run that refuses what it does not know.
    """
    missing = Outcome.of([f"Kubernetes {kube.get('/version').get('gitVersion')} does not know the field."])
    schemas = (kube.get("/openapi/v3/api/v1").get("components") or {}).get("schemas") or {}
    if described := schemas.get("io.k8s.api.core.v1.EnvVarSource"):
        return Outcome("success") if "fileKeyRef" in described["properties"] else missing
    reference = {"path": "e", "key": "K", "volumeName": "v"}
    container = {"name": "c", "image": "c", "env": [{"name": "K", "valueFrom": {"fileKeyRef": reference}}]}
    spec = {"containers": [container], "volumes": [{"name": "v", "emptyDir": {}}]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "k8s-vault-doctor"}, "spec": spec}
    try:
        kube.post(f"/api/v1/namespaces/{source.team.namespace}/pods", pod, dryRun="All", fieldValidation="Strict")
    except Answer as error:
        # Refused for another reason (Pod Security, a policy): the field itself was read.
        return missing if "fileKeyRef" in str(error) and error.status == 400 else Outcome("success")
    return Outcome("success")


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
    result, problem = _seen(kube, f"/api/v1/namespaces/{name}", "get namespaces")
    if problem is not None:
        return problem
    if result is None:
        return Outcome.of([f"there is no namespace '{name}'."])
    labels = result["metadata"].get("labels") or {}
    expected = _compiled(source, "Namespace")[0]["metadata"]["labels"]
    differing = [
        f"namespace '{name}' has {key}={labels.get(key, '(nothing)')}; the team's file gives {value}."
        for key, value in expected.items()
        if key.startswith("pod-security.kubernetes.io/enforce") and labels.get(key) != value
    ]
    return Outcome.of(differing, warning=True)


def accounts(kube: Kube, source: Source) -> Outcome:
    """Look for the service accounts that the team's pods run as."""
    errors = []
    for name in objects.accounts(source):
        path = f"/api/v1/namespaces/{source.team.namespace}/serviceaccounts/{name}"
        result, problem = _seen(kube, path, f"get serviceaccounts in {source.team.namespace}")
        if problem is not None:
            return problem
        if result is None:
            errors.append(f"there is no service account '{name}' in namespace '{source.team.namespace}'.")
    return Outcome.of(errors)


def rights(kube: Kube, source: Source) -> Outcome:
    """Ask the API server whether Airflow's accounts have each right that is compiled for them."""
    missing = []
    for role, binding in zip(_compiled(source, _RBAC), _compiled(source, f"{_RBAC}Binding"), strict=True):
        subject = binding["subjects"][0]
        user = f"system:serviceaccount:{subject['namespace']}:{subject['name']}"
        for rule in role["rules"]:
            try:
                lacking = [verb for verb in rule["verbs"] if not _allowed(kube, user, rule, verb, source)]
            except Answer as error:
                if error.status != 403:
                    raise
                return Outcome("unknown", "whoever runs this needs the right: create subjectaccessreviews.")
            if lacking:
                what = f"{', '.join(lacking)} {', '.join(rule['resources'])}"
                missing.append(f"{user} may not {what} in {source.team.namespace}.")
    return Outcome.of(missing)


def _allowed(kube: Kube, user: str, rule: dict[str, Any], verb: str, source: Source) -> bool:
    name, _, sub = rule["resources"][0].partition("/")
    attributes = {
        "namespace": source.team.namespace,
        "verb": verb,
        "resource": name,
        "group": rule["apiGroups"][0],
    }
    attributes |= {"subresource": sub} if sub else {}
    attributes |= {"name": rule["resourceNames"][0]} if rule.get("resourceNames") else {}
    groups = ["system:serviceaccounts", f"system:serviceaccounts:{user.split(':')[2]}", "system:authenticated"]
    spec = {"user": user, "groups": groups, "resourceAttributes": attributes}
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
    return bool(kube.post(f"{_REVIEWS}/subjectaccessreviews", review)["status"].get("allowed"))


def admission(kube: Kube, source: Source) -> Outcome:
    """Look for the compiled admission policies and their bindings, and whether these deny."""
    errors = []
    for kind, plural in (
        ("ValidatingAdmissionPolicy", "validatingadmissionpolicies"),
        ("ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings"),
    ):
        for compiled in _compiled(source, kind):
            name = compiled["metadata"]["name"]
            result, problem = _seen(kube, f"{_ADMISSION}/{plural}/{name}", f"get {plural}")
            if problem is not None:
                return problem
            if result is None:
                errors.append(f"there is no {kind} '{name}'.")
            elif kind.endswith("Binding") and "Deny" not in result["spec"].get("validationActions", ()):
                errors.append(
                    f"{kind} '{name}' does not deny: its actions are {result['spec']['validationActions']}."
                )
    return Outcome.of(errors, warning=True)


def pods(kube: Kube, source: Source) -> Outcome:
    """Ask the API server, without creating anything, whether it would take the pod of each template."""
    errors = []
    path, root = f"/api/v1/namespaces/{source.team.namespace}/pods", Path(config.get("templates_dir"))
    for short in folder(root.absolute()).available(source.team.name):
        template = templates.find(f"{source.team.name}/{short}", root)
        pod = template.render(samples.simplest(template), samples.CONTEXT)
        requested = {**pod, "metadata": {**pod["metadata"], "name": f"k8s-vault-doctor-{short}"}}
        try:
            kube.post(path, requested, dryRun="All")
        except Answer as error:
            if "cannot create resource" in str(error):
                return Outcome(
                    "unknown", f"whoever runs this needs the right: create pods in {source.team.namespace}."
                )
            errors.append(f"pod of template {template.name}: {error}")
    return Outcome.of(errors)


def _compiled(source: Source, kind: str) -> list[dict[str, Any]]:
    return [item for item in objects.of_team(source) if item["kind"] == kind]


def _seen(kube: Kube, path: str, right: str) -> tuple[dict[str, Any] | None, Outcome | None]:
    """Return the object, None where there is none; and the outcome where it may not be looked at."""
    try:
        return kube.get(path), None
    except Answer as error:
        if error.status == 404:
            return None, None
        if error.status == 403:
            return None, Outcome("unknown", f"whoever runs this needs the right: {right}.")
        raise
