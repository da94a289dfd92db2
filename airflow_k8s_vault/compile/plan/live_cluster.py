"""What a live cluster holds of the teams: read with the caller's kubeconfig, and nothing is changed.

The only module of the room that talks to Kubernetes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kubernetes import config as kubeconfig
from kubernetes.client import ApiClient, ApiException
from kubernetes.config import ConfigException
from urllib3.exceptions import HTTPError

from airflow_k8s_vault import json_text
from airflow_k8s_vault.compile import objects
from airflow_k8s_vault.compile.plan.bindings import Binding, names_of_compiled
from airflow_k8s_vault.compile.plan.kubernetes import Key, LiveCluster, key_of, named
from airflow_k8s_vault.compile.rights import API_VERSION as RBAC
from airflow_k8s_vault.compile.source import Source

# Connecting, and then each wait for more of the answer.
_TIMEOUT_SECONDS = (3, 10)
_ADMISSION = "admissionregistration.k8s.io/v1"
# Kind to version, plural, and whether it lies in a namespace.
_KINDS = {
    "Namespace": ("v1", "namespaces", False),
    "ServiceAccount": ("v1", "serviceaccounts", True),
    "ResourceQuota": ("v1", "resourcequotas", True),
    "LimitRange": ("v1", "limitranges", True),
    "NetworkPolicy": ("networking.k8s.io/v1", "networkpolicies", True),
    "Role": (RBAC, "roles", True),
    "RoleBinding": (RBAC, "rolebindings", True),
    "ValidatingAdmissionPolicy": (_ADMISSION, "validatingadmissionpolicies", False),
    "ValidatingAdmissionPolicyBinding": (_ADMISSION, "validatingadmissionpolicybindings", False),
}


class _Unreachable(Exception):
    """The API server does not answer, or does not know us: nothing else is asked of it."""


def read_cluster(sources: Sequence[Source], environment: Mapping[str, str]) -> LiveCluster:
    """Return what is there, by KUBECONFIG or the pod's own account. What cannot be read is in `unseen`."""
    try:
        api = _client(environment)
    except (ConfigException, OSError) as error:
        return LiveCluster(unseen={"the cluster": f"no kubeconfig can be read: {error}"})
    try:
        return _Reader(api).read(sources)
    except _Unreachable as unreachable:
        return LiveCluster(unseen={"the cluster": str(unreachable)})


def _client(environment: Mapping[str, str]) -> ApiClient:
    try:
        kubeconfig.load_incluster_config()
        return ApiClient()
    except ConfigException:
        # The client's own default is what the variable was when it was imported.
        return kubeconfig.new_client_from_config(environment.get("KUBECONFIG") or None)


def path(obj: Mapping[str, Any]) -> str:
    """Return the API's path of an object.

    >>> path({"kind": "Role", "metadata": {"name": "a", "namespace": "team-a"}})
    '/apis/rbac.authorization.k8s.io/v1/namespaces/team-a/roles/a'
    """
    kind, namespace, name = key_of(obj)
    return f"{_collection(kind, namespace)}/{name}"


def _collection(kind: str, namespace: str = "") -> str:
    version, plural, _ = _KINDS[kind]
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    return f"{root}/namespaces/{namespace}/{plural}" if namespace else f"{root}/{plural}"


class _Reader:
    def __init__(self, api: ApiClient) -> None:
        self._api = api
        self._unseen: dict[str, str] = {}

    def read(self, sources: Sequence[Source]) -> LiveCluster:
        result: dict[Key, Mapping[str, Any] | None] = {}
        for source in sources:
            for obj in objects.kubernetes_objects(source):
                key = key_of(obj)
                seen, answer = self._get(path(obj), named(key))
                if seen:
                    result[key] = answer
        return LiveCluster(result, self._labelled(sources), self._bindings(sources), dict(self._unseen))

    def _get(self, resource: str, name: str, **query: str) -> tuple[bool, dict[str, Any] | None]:
        """Return whether it could be seen, and the object; None where there is none."""
        try:
            answer = self._api.call_api(
                resource,
                "GET",
                query_params=list(query.items()),
                header_params={"Accept": "application/json"},
                response_types_map={},
                auth_settings=["BearerToken"],
                _preload_content=False,
                _request_timeout=_TIMEOUT_SECONDS,
            )
            return True, json_text.read(_body(answer))
        except ApiException as refusal:
            if refusal.status == 404:
                return True, None
            if refusal.status == 401:
                raise _Unreachable("the API server does not accept this kubeconfig (401)") from None
            self._unseen[name] = f"{refusal.status} {refusal.reason}"
        except (HTTPError, OSError, ValueError) as broken:
            raise _Unreachable(f"the API server does not answer: {type(broken).__name__}") from None
        return False, None

    def _list(self, kind: str, namespace: str = "", **query: str) -> list[dict[str, Any]]:
        where = f" of namespace {namespace}" if namespace else ""
        _, answer = self._get(_collection(kind, namespace), f"the {_KINDS[kind][1]}{where}", **query)
        # The entries of a list do not say of which kind they are.
        return [{**entry, "kind": kind} for entry in (answer or {}).get("items") or ()]

    def _labelled(self, sources: Sequence[Source]) -> list[dict[str, Any]]:
        selector = f"{objects.MANAGED_BY}={objects.US}"
        return [obj for kind in _KINDS for obj in self._list(kind, labelSelector=selector)]

    def _bindings(self, sources: Sequence[Source]) -> dict[str, list[Binding]]:
        roles = {role["metadata"]["name"]: role.get("rules") or () for role in self._cluster("clusterroles")}
        everywhere = [
            _binding("ClusterRoleBinding", item, roles.get(item["roleRef"]["name"], ()))
            for item in self._cluster("clusterrolebindings")
            if item["metadata"].get("labels", {}).get("kubernetes.io/bootstrapping") != "rbac-defaults"
        ]
        result = {}
        for source in sources:
            namespace = source.team.namespace
            own = {role["metadata"]["name"]: role.get("rules") or () for role in self._list("Role", namespace)}
            here = []
            for item in self._list("RoleBinding", namespace):
                known = own if item["roleRef"]["kind"] == "Role" else roles
                made = _binding("RoleBinding", item, known.get(item["roleRef"]["name"], ()))
                here += [made] if item["metadata"]["name"] not in names_of_compiled() else []
            result[namespace] = [*here, *everywhere]
        return result

    def _cluster(self, plural: str) -> list[dict[str, Any]]:
        _, answer = self._get(f"/apis/{RBAC}/{plural}", f"the {plural}")
        return list((answer or {}).get("items") or ())


def _binding(kind: str, item: Mapping[str, Any], rules: Sequence[Mapping[str, Any]]) -> Binding:
    subjects = [
        {**subject, "namespace": subject.get("namespace") or item["metadata"].get("namespace")}
        for subject in item.get("subjects") or ()
    ]
    return Binding(f"{kind} {item['metadata']['name']}", tuple(subjects), tuple(rules))


def _body(answer: Any) -> bytes:
    response = answer[0] if isinstance(answer, tuple) else answer
    return bytes(response.data)
