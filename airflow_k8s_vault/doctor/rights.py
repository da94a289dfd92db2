"""What Airflow's accounts may do in a team's namespace, held against what is compiled for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from airflow_k8s_vault.doctor.check import Outcome
from airflow_k8s_vault.doctor.kube import Answer, Kube

_VERSION = "authorization.k8s.io/v1"
_REVIEWS = f"/apis/{_VERSION}"
_GROUPS = ["system:serviceaccounts", "system:authenticated"]
# What every account may ask of itself, and read of the API server.
_HARMLESS_GROUPS = ("authentication.k8s.io", "authorization.k8s.io")
_HARMLESS_VERBS = {"get", "head", "options"}
_SHOWN = 5


class Holder(NamedTuple):
    """One of Airflow's accounts. rules: as its compiled Role has them."""

    user: str
    namespace: str
    rules: Sequence[Mapping[str, Any]]


class Rights:
    """The rights of worker and triggerer in one namespace; roles and bindings are those that are compiled.

    They are asked for as that account: by whoever runs this where it is that account, else by impersonation.
    """

    def __init__(self, kube: Kube, roles: Sequence[dict[str, Any]], bindings: Sequence[dict[str, Any]]) -> None:
        self._kube = kube
        self._holders = [
            Holder(_user(binding["subjects"][0]), role["metadata"]["namespace"], role["rules"])
            for role, binding in zip(roles, bindings, strict=True)
        ]

    def missing(self) -> Outcome:
        """Ask for each compiled right, by SelfSubjectAccessReview, or by SubjectAccessReview of that account."""
        errors = []
        for holder in self._holders:
            for rule in holder.rules:
                try:
                    lacking = [verb for verb in rule["verbs"] if not self._allowed(holder, rule, verb)]
                except Answer as error:
                    return _unknown(error, holder.user, "create subjectaccessreviews, or to impersonate")
                if lacking:
                    what = f"{', '.join(lacking)} {', '.join(rule['resources'])}"
                    errors.append(f"{holder.user} may not {what} in {holder.namespace}.")
        return Outcome.of(errors)

    def too_wide(self) -> Outcome:
        """Ask for all rules that hold there, by SelfSubjectRulesReview, and name those that no task needs."""
        errors: list[str] = []
        for holder in self._holders:
            spec = {"namespace": holder.namespace}
            try:
                status = self._review(self._kube.acting_as(holder.user), "SelfSubjectRulesReview", spec)
            except Answer as error:
                return _unknown(error, holder.user, "impersonate")
            errors += [
                f"{holder.user} may {what} in {holder.namespace}, which no task needs."
                for what in _more(status, holder)
            ]
        more = len(errors) - _SHOWN
        return Outcome.of([*errors[:_SHOWN], *([f"and {more} more."] if more > 0 else [])], warning=True)

    def _allowed(self, holder: Holder, rule: Mapping[str, Any], verb: str) -> bool:
        spec: dict[str, Any] = {"resourceAttributes": _attributes(holder.namespace, rule, verb)}
        try:
            status = self._review(self._kube.acting_as(holder.user), "SelfSubjectAccessReview", spec)
        except Answer as error:
            if error.status != 403:
                raise
            own = f"system:serviceaccounts:{holder.user.split(':')[2]}"
            spec |= {"user": holder.user, "groups": [own, *_GROUPS]}
            status = self._review(self._kube, "SubjectAccessReview", spec)
        return bool(status.get("allowed"))

    def _review(self, kube: Kube, kind: str, spec: dict[str, Any]) -> dict[str, Any]:
        answer = kube.post(f"{_REVIEWS}/{kind.lower()}s", {"apiVersion": _VERSION, "kind": kind, "spec": spec})
        return dict(answer["status"])


def _user(subject: Mapping[str, str]) -> str:
    return f"system:serviceaccount:{subject['namespace']}:{subject['name']}"


def _unknown(error: Answer, user: str, right: str) -> Outcome:
    if error.status != 403:
        raise error
    _, _, namespace, account = user.split(":")
    whom = f"serviceaccounts '{account}' in {namespace}"
    return Outcome("unknown", f"whoever runs this needs the right: {right} {whom}.")


def _attributes(namespace: str, rule: Mapping[str, Any], verb: str) -> dict[str, str]:
    name, _, sub = rule["resources"][0].partition("/")
    attributes = {"namespace": namespace, "verb": verb, "resource": name, "group": rule["apiGroups"][0]}
    attributes |= {"subresource": sub} if sub else {}
    return attributes | ({"name": rule["resourceNames"][0]} if rule.get("resourceNames") else {})


def _more(status: Mapping[str, Any], holder: Holder) -> Iterator[str]:
    """Yield what the rules of a SelfSubjectRulesReview give beyond the compiled ones: "list secrets"."""
    excess: dict[str, dict[str, None]] = {}
    for rule in status.get("resourceRules") or ():
        for group in rule.get("apiGroups") or ():
            for resource in () if group in _HARMLESS_GROUPS else rule.get("resources") or ():
                needed = _needed(holder, group, resource, rule.get("resourceNames"))
                what = f"{resource}.{group}" if group not in ("", "*") else str(resource)
                for verb in rule["verbs"]:
                    if verb not in needed:
                        excess.setdefault(what, {})[verb] = None
    yield from (f"{', '.join(verbs)} {what}" for what, verbs in excess.items())
    for rule in status.get("nonResourceRules") or ():
        if not _HARMLESS_VERBS.issuperset(rule["verbs"]):
            yield f"{', '.join(rule['verbs'])} {', '.join(rule.get('nonResourceURLs') or ())}"


def _needed(holder: Holder, group: str, resource: str, names: Sequence[str] | None) -> set[str]:
    """Return the verbs on a resource that are compiled, for objects of these names (None: all)."""
    verbs: set[str] = set()
    for rule in holder.rules:
        own = rule.get("resourceNames")
        of_names = not own or (bool(names) and set(own).issuperset(names or ()))
        if of_names and group in rule["apiGroups"] and resource in rule["resources"]:
            verbs |= set(rule["verbs"])
    return verbs
