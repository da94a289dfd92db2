"""Label and field selectors, as query strings: parsed into predicates.

Source: apimachinery, pkg/labels/selector.go and pkg/fields/selector.go.

Needed by KubernetesPodOperator, which finds its pod by labels, by kubectl and by the shared watch.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from k8s_vault_devcluster.api.names import label_value, qualified_name
from k8s_vault_devcluster.api.status import bad_request
from k8s_vault_devcluster.store import Object

Predicate = Callable[[Object], bool]

_SET = re.compile(r"(?P<key>[^\s,!=()]+)\s+(?P<operator>in|notin)\s*\((?P<values>[^()]*)\)")
_COMPARE = re.compile(r"(?P<key>[^\s,!=()]+)\s*(?P<operator>==|=|!=)\s*(?P<value>[^\s,!=()]*)")
_EXISTS = re.compile(r"(?P<not>!?)\s*(?P<key>[^\s,!=()]+)")

_FIELDS = {
    "pods": ("spec.nodeName", "spec.restartPolicy", "spec.serviceAccountName", "status.phase", "status.podIP"),
    "events": (
        *(f"involvedObject.{name}" for name in ("apiVersion", "fieldPath", "kind", "name", "namespace", "uid")),
        *("reason", "type"),
    ),
    "secrets": ("type",),
    "namespaces": ("status.phase",),
}


def label_selector(text: str) -> Predicate:
    """Return a predicate on objects; raise ApiError 400 where the selector cannot be parsed."""
    tests: list[Callable[[dict[str, str]], bool]] = []
    rest = text.strip()
    while rest:
        test, rest = _requirement(rest, text)
        tests.append(test)
        if rest and not rest.startswith(","):
            raise bad_request(f"unable to parse requirement: found '{rest}', expected: ',' or 'end of string'")
        rest = rest[1:].strip()
    return lambda obj: all(test(obj["metadata"].get("labels") or {}) for test in tests)


def _requirement(rest: str, text: str) -> tuple[Callable[[dict[str, str]], bool], str]:
    if result := _SET.match(rest):
        values = [value.strip() for value in result["values"].split(",")]
        test = _in(_checked(result["key"], values), values, result["operator"] == "in")
    elif result := _COMPARE.match(rest):
        values = [result["value"]]
        test = _in(_checked(result["key"], values), values, result["operator"] != "!=")
    elif result := _EXISTS.match(rest):
        test = _exists(_checked(result["key"], []), not result["not"])
    else:
        raise bad_request(f"unable to parse requirement: found '{rest}' in selector '{text}'")
    return test, rest[result.end() :].strip()


def _in(key: str, values: list[str], expected: bool) -> Callable[[dict[str, str]], bool]:
    # notin and != hold for objects without the label, too.
    return lambda labels: (labels.get(key) in values) == expected


def _exists(key: str, expected: bool) -> Callable[[dict[str, str]], bool]:
    return lambda labels: (key in labels) == expected


def _checked(key: str, values: list[str]) -> str:
    messages = qualified_name(key) + [problem for value in values for problem in label_value(value)]
    if messages:
        raise bad_request(f"unable to parse requirement: {key}: {'; '.join(messages)}")
    return key


def field_selector(text: str, resource: str) -> Predicate:
    """Return a predicate on objects of `resource`; raise ApiError 400 for fields it cannot select by."""
    known = ("metadata.name", "metadata.namespace", *_FIELDS.get(resource, ()))
    tests = []
    for term in filter(None, text.split(",")):
        match = re.fullmatch(r"\s*([^=!]+?)\s*(==|=|!=)\s*(.*?)\s*", term)
        if not match:
            raise bad_request(f"invalid selector: '{text}'; can't understand '{term}'")
        field, operator, value = match.groups()
        if field not in known:
            raise bad_request(
                f'Unable to find "{resource}" that match label selector "", field selector "{text}": '
                f"field label not supported: {field}"
            )
        tests.append((field, value, operator != "!="))
    return lambda obj: all((_field(obj, field) == value) == expected for field, value, expected in tests)


def _field(obj: Object, path: str) -> str:
    value: object = obj
    for part in path.split("."):
        value = value.get(part, "") if isinstance(value, dict) else ""
    return str(value)
