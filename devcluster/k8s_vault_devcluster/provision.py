"""What a platform engineer sets up once: each team's namespace, service account, Vault role and policy.

Works on any cluster in a kubeconfig and any Vault that an administrator's token opens. Everything that was made
is taken away again by `undo`, last first; what was there before is left as it was.

Needed by the demo and the tests.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from kubernetes import client

from airflow_k8s_vault import config
from airflow_k8s_vault.compile import Account, Source, kubernetes_objects, plan
from airflow_k8s_vault.compile.vault import policies, roles, vault_requests
from airflow_k8s_vault.errors import K8sVaultError
from k8s_vault_devcluster import private_file
from k8s_vault_devcluster.openbao import VaultAdmin
from k8s_vault_devcluster.postgres import drop_role_maker, make_role_maker
from k8s_vault_devcluster.rbac import GROUP as RBAC

_TERMINATING_SECONDS = 90
_HELD_SECONDS = 30
_MANAGER = "airflow-k8s-vault-devcluster"
# A pod that passes Pod Security and that no team's templates give.
_PROBE: dict[str, Any] = {
    "containers": [
        {
            "name": "base",
            "image": "registry.invalid/no-image-of-any-team:0",
            "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        }
    ],
    "securityContext": {"runAsNonRoot": True, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}},
}


class Provisioning:
    """Sets up teams in one cluster and one Vault; use it as a context manager to have it undone."""

    def __init__(
        self,
        vault: VaultAdmin,
        api: client.ApiClient,
        auth_mount: str = "kubernetes",
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """settings: of section [k8s_vault], as Airflow has them; vault_addr is Vault's own without it."""
        self.vault, self.auth_mount = vault, auth_mount
        self.settings = {
            "vault_addr": vault.address,
            "vault_cacert": vault.cacert or "",
            "vault_auth_mount": auth_mount,
            **(settings or {}),
        }
        self._core = client.CoreV1Api(api)
        self.reviewer = f"vault-token-reviewer-{auth_mount}"
        self.api, self._cluster = api, api.configuration
        self._undo: list[Callable[[], Any]] = []

    def __enter__(self) -> Provisioning:
        return self

    def __exit__(self, *_: object) -> None:
        self.undo()

    def undo(self) -> None:
        """Take away what was made, last first. Raises K8sVaultError at the end with all that would not go."""
        left = []
        while self._undo:
            try:
                self._undo.pop()()
            except (K8sVaultError, client.ApiException) as error:
                left.append(str(error))
        if left:
            raise K8sVaultError("\n  - ".join(["This could not be taken away:", *left]))

    def login(self, reviewer_namespace: str = "default") -> None:
        """Enable `kubernetes` auth, and give it a service account of its own that may review tokens.

        A pod's token of audience `vault` is no API credential, so Vault cannot use it to call TokenReview.
        """
        if not self.vault.mount(self.auth_mount, {"type": "kubernetes"}, auth=True):
            raise K8sVaultError(
                f"auth/{self.auth_mount} exists already in {self.vault.address}: name another mount."
            )
        self._delete_later(f"sys/auth/{self.auth_mount}")
        name = self.reviewer
        self._apply(_object("v1", "ServiceAccount", name, reviewer_namespace))
        subject = {"kind": "ServiceAccount", "name": name, "namespace": reviewer_namespace}
        role = {"apiGroup": RBAC, "kind": "ClusterRole", "name": "system:auth-delegator"}
        binding = {**_object(f"{RBAC}/v1", "ClusterRoleBinding", name), "roleRef": role, "subjects": [subject]}
        self._apply(binding, f"/apis/{RBAC}/v1/clusterrolebindings/{name}")
        configuration = {
            "kubernetes_host": self._cluster.host,
            "token_reviewer_jwt": self._token(reviewer_namespace, name, 24 * 60),
            "disable_local_ca_jwt": True,
        }
        if self._cluster.ssl_ca_cert:
            with open(self._cluster.ssl_ca_cert) as ca:
                configuration["kubernetes_ca_cert"] = ca.read()
        self.vault.request("POST", f"auth/{self.auth_mount}/config", configuration)

    def teams(
        self, templates_dir: Path, only: Sequence[str] | None = None, dags: Path | None = None
    ) -> list[Source]:
        """Apply what `compile kubernetes` and `compile vault` print for the folder, as the settings are now.

        only: some of its teams. dags: a folder of DAGs, for the least policies; without it the ceilings. Called
        again, it applies what has changed. Returns when the API server holds the admission policies.
        """
        # Imported here: they bring Airflow, which takes seconds.
        from airflow_k8s_vault.commands import read_dag_secrets, team_sources

        with contextlib.ExitStack() as replaced:
            for name, value in {**self.settings, "templates_dir": str(templates_dir)}.items():
                replaced.enter_context(config.replaced(name, value))
            sources = team_sources(templates_dir, only, read_dag_secrets(dags) if dags else None)
        self.apply(sources)
        for source in sources:
            self._wait_until_held(source)
        return sources

    def apply(self, sources: Sequence[Source]) -> None:
        """Apply what is compiled for these teams."""
        self.apply_objects(sources)
        for source in sources:
            for request in vault_requests(policies(source), roles(source), source.login.namespace):
                self.vault.request(request["method"], request["path"], request["data"])
                if request["path"].startswith("sys/"):
                    self._delete_later(request["path"])

    def apply_objects(self, sources: Sequence[Source]) -> None:
        """Apply what is compiled for these teams to Kubernetes alone."""
        for source in sources:
            self._wait_until_not_terminating(source.team.namespace)
            for obj in kubernetes_objects(source):
                self._apply(obj)

    def account(self, account: Account, minutes: int = 24 * 60) -> str:
        """Return a token of one of Airflow's service accounts, which is made where there is none."""
        self._wait_until_not_terminating(account.namespace)
        self._apply(_object("v1", "Namespace", account.namespace))
        self._apply(_object("v1", "ServiceAccount", account.name, account.namespace))
        return self._token(account.namespace, account.name, minutes)

    def _token(self, namespace: str, name: str, minutes: int) -> str:
        spec = {"spec": {"audiences": [], "expirationSeconds": minutes * 60}}
        return str(self._core.create_namespaced_service_account_token(name, namespace, spec).status.token)

    def acting_as(self, account: Account) -> client.ApiClient:
        """Return a client of the same cluster that acts as the service account."""
        configuration = client.Configuration()
        configuration.host, configuration.ssl_ca_cert = self._cluster.host, self._cluster.ssl_ca_cert
        configuration.verify_ssl = self._cluster.verify_ssl
        configuration.api_key = {"authorization": f"Bearer {self.account(account)}"}
        return client.ApiClient(configuration)

    def _delete_later(self, path: str) -> None:
        """Have `undo` delete that path in Vault."""
        self._undo.append(lambda: self.vault.request("DELETE", path))

    def _apply(self, obj: dict[str, Any], resource: str = "") -> None:
        """Apply one object, as `kubectl apply --server-side` does; it goes with us where we made it."""
        resource = resource or plan.path(obj)
        existed = self._get(resource)
        self._send("PATCH", resource, obj, fieldManager=_MANAGER, force="true")
        if not existed:
            self._undo.append(lambda: self._unless_gone("DELETE", resource))

    def _get(self, resource: str) -> Any:
        """Return the object at a path; None where there is none."""
        return self._unless_gone("GET", resource)

    def _unless_gone(self, method: str, resource: str) -> Any:
        try:
            return self._send(method, resource)
        except client.ApiException as error:
            if error.status == 404:
                return None
            raise

    def _send(self, method: str, resource: str, body: Any = None, **query: str) -> Any:
        kind = "application/apply-patch+yaml" if method == "PATCH" else "application/json"
        return self.api.call_api(
            resource,
            method,
            query_params=list(query.items()),
            header_params={"Content-Type": kind, "Accept": "application/json"},
            body=body,
            response_types_map={200: "object", 201: "object"},
            auth_settings=["BearerToken"],
            _return_http_data_only=True,
        )

    def _wait_until_held(self, source: Source) -> None:
        """The API server sees a new admission policy a second or two after it was made."""
        probe = {"metadata": {"name": "probe"}, "spec": _PROBE}
        # As Airflow's worker: the administrator may be one of those whom the policies let pass.
        worker = client.CoreV1Api(self.acting_as(source.worker))
        deadline = time.monotonic() + _HELD_SECONDS
        while time.monotonic() < deadline:
            try:
                worker.create_namespaced_pod(source.team.namespace, probe, dry_run="All")
            except client.ApiException as error:
                if "ValidatingAdmissionPolicy" in str(error.body):
                    return
                raise
            time.sleep(0.2)
        raise K8sVaultError(f"No admission policy holds for team {source.team.name} after {_HELD_SECONDS} s.")

    def kv(self, path: str, data: dict[str, Any]) -> None:
        """Write one KV 2 secret; `path` as `vault kv put` takes it. Its mount is made where there is none."""
        mount, _, name = path.partition("/")
        if self.vault.mount(mount, {"type": "kv", "options": {"version": "2"}}):
            self._delete_later(f"sys/mounts/{mount}")
        self.vault.request("POST", f"{mount}/data/{name}", {"data": data})
        self._delete_later(f"{mount}/metadata/{name}")

    def database_login(self, role: str, uri: str, grants: Iterable[str], mount: str = "database") -> None:
        """Make `mount`/creds/`role` give out PostgreSQL logins that hold `grants` ("insert on payments").

        `uri` is the superuser's; Vault gets a login that is none, and may do what its roles take.
        """
        maker = f"vault-{role}"
        user, _, place = make_role_maker(uri, maker, grants).removeprefix("postgresql://").partition("@")
        self._undo.append(lambda: drop_role_maker(uri, maker))
        if self.vault.mount(mount, {"type": "database"}):
            self._delete_later(f"sys/mounts/{mount}")
        username, _, password = user.partition(":")
        config = {
            "plugin_name": "postgresql-database-plugin",
            "connection_url": f"postgresql://{{{{username}}}}:{{{{password}}}}@{place}?sslmode=disable",
            "username": username,
            "password": password,
            "allowed_roles": [role],
        }
        self.vault.request("POST", f"{mount}/config/{role}", config)
        self._delete_later(f"{mount}/config/{role}")
        made = "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'"
        statements = [made, *(f'GRANT {grant} TO "{{{{name}}}}"' for grant in grants)]
        gone = ['DROP OWNED BY "{{name}}"', 'DROP ROLE IF EXISTS "{{name}}"']
        body = {"db_name": role, "creation_statements": statements, "revocation_statements": gone}
        self.vault.request("POST", f"{mount}/roles/{role}", {**body, "default_ttl": "10m", "max_ttl": "24h"})
        self._delete_later(f"{mount}/roles/{role}")
        self._undo.append(lambda: self.vault.request("PUT", f"sys/leases/revoke-prefix/{mount}/creds/{role}", {}))

    def _wait_until_not_terminating(self, namespace: str) -> None:
        """A namespace of an earlier run may still be on its way out, and takes nothing new meanwhile."""
        deadline = time.monotonic() + _TERMINATING_SECONDS
        while (result := self._get(f"/api/v1/namespaces/{namespace}")) and result["status"][
            "phase"
        ] == "Terminating":
            if time.monotonic() > deadline:
                raise K8sVaultError(f"Namespace {namespace} is still terminating after {_TERMINATING_SECONDS} s.")
            time.sleep(0.5)


def _object(version: str, kind: str, name: str, namespace: str = "") -> dict[str, Any]:
    meta = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": version, "kind": kind, "metadata": meta}


def with_token(kubeconfig: Path, token: str, to: Path) -> Path:
    """Write a copy of the kubeconfig, its users replaced by the token, which its owner alone can read."""
    content: dict[str, Any] = yaml.safe_load(kubeconfig.read_text())
    for user in content["users"]:
        user["user"] = {"token": token}
    private_file.write(to, yaml.safe_dump(content))
    return to
