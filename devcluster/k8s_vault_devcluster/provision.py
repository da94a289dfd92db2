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

from kubernetes import client

from airflow_k8s_vault.compile import Account, Source, kubernetes_objects
from airflow_k8s_vault.errors import K8sVaultError
from k8s_vault_devcluster import compiled
from k8s_vault_devcluster.postgres import drop_role_maker, make_role_maker
from k8s_vault_devcluster.vault_admin import VaultAdmin

_TERMINATING_SECONDS = 90
_HELD_SECONDS = 30
_MANAGER = "airflow-k8s-vault-devcluster"


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
        self._core, self._rbac = client.CoreV1Api(api), client.RbacAuthorizationV1Api(api)
        self._reviewer = f"vault-token-reviewer-{auth_mount}"
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
        self._undo.append(lambda: self.vault.request("DELETE", f"sys/auth/{self.auth_mount}"))
        self._service_account(reviewer_namespace, self._reviewer)
        self._may_review_tokens(reviewer_namespace)
        spec = {"spec": {"audiences": [], "expirationSeconds": 24 * 3600}}
        token = self._core.create_namespaced_service_account_token(self._reviewer, reviewer_namespace, spec)
        configuration = {
            "kubernetes_host": self._cluster.host,
            "token_reviewer_jwt": token.status.token,
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
        sources = compiled.sources(templates_dir, self.settings, only, dags)
        self.apply(sources)
        for source in sources:
            self._wait_until_held(source)
        return sources

    def apply(self, sources: Sequence[Source]) -> None:
        """Apply what is compiled for these teams."""
        self.apply_objects(sources)
        for request in compiled.requests(sources):
            self.vault.request(request["method"], request["path"], request["data"])
            if request["path"].startswith("sys/"):
                self._undo.append(lambda path=request["path"]: self.vault.request("DELETE", path))  # type: ignore[misc]

    def apply_objects(self, sources: Sequence[Source]) -> None:
        """Apply what is compiled for these teams to Kubernetes alone."""
        for source in sources:
            self._wait_until_not_terminating(source.team.namespace)
            for obj in kubernetes_objects(source):
                self._apply(obj)

    def account(self, account: Account, minutes: int = 24 * 60) -> str:
        """Return a token of one of Airflow's service accounts, which is made where there is none."""
        self._wait_until_not_terminating(account.namespace)
        self._create(
            lambda: self._core.create_namespace({"metadata": {"name": account.namespace}}),
            lambda: self._core.delete_namespace(account.namespace),
        )
        self._service_account(account.namespace, account.name)
        spec = {"spec": {"audiences": [], "expirationSeconds": minutes * 60}}
        made = self._core.create_namespaced_service_account_token(account.name, account.namespace, spec)
        return str(made.status.token)

    def acting_as(self, account: Account) -> client.ApiClient:
        """Return a client of the same cluster that acts as the service account."""
        configuration = client.Configuration()
        configuration.host, configuration.ssl_ca_cert = self._cluster.host, self._cluster.ssl_ca_cert
        configuration.verify_ssl = self._cluster.verify_ssl
        configuration.api_key = {"authorization": f"Bearer {self.account(account)}"}
        return client.ApiClient(configuration)

    def whoami(self) -> str:
        """Return the name of the user whose kubeconfig this is."""
        review = client.AuthenticationV1Api(self.api).create_self_subject_review({})
        return str(review.status.user_info.username)

    def _apply(self, obj: dict[str, Any]) -> None:
        """Apply one object, as `kubectl apply --server-side` does; it goes with us where we made it."""
        resource = compiled.path(obj)
        existed = self._exists(resource)
        self._send("PATCH", resource, obj, fieldManager=_MANAGER, force="true")
        if not existed:
            self._undo.append(lambda: _unless_gone(lambda: self._send("DELETE", resource)))

    def _exists(self, resource: str) -> bool:
        try:
            self._send("GET", resource)
        except client.ApiException as error:
            if error.status == 404:
                return False
            raise
        return True

    def _send(self, method: str, resource: str, body: Any = None, **query: str) -> None:
        kind = "application/apply-patch+yaml" if method == "PATCH" else "application/json"
        self.api.call_api(
            resource,
            method,
            query_params=list(query.items()),
            header_params={"Content-Type": kind, "Accept": "application/json"},
            body=body,
            response_types_map={},
            auth_settings=["BearerToken"],
        )

    def _wait_until_held(self, source: Source) -> None:
        """The API server sees a new admission policy a second or two after it was made."""
        probe = {"metadata": {"name": "probe"}, "spec": compiled.PROBE}
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
            self._undo.append(lambda: self.vault.request("DELETE", f"sys/mounts/{mount}"))
        self.vault.request("POST", f"{mount}/data/{name}", {"data": data})
        self._undo.append(lambda: self.vault.request("DELETE", f"{mount}/metadata/{name}"))

    def database_login(self, role: str, uri: str, grants: Iterable[str], mount: str = "database") -> None:
        """Make `mount`/creds/`role` give out PostgreSQL logins that hold `grants` ("insert on payments").

        `uri` is the superuser's; Vault gets a login that is none, and may do what its roles take.
        """
        maker = f"vault-{role}"
        user, _, place = make_role_maker(uri, maker, grants).removeprefix("postgresql://").partition("@")
        self._undo.append(lambda: drop_role_maker(uri, maker))
        if self.vault.mount(mount, {"type": "database"}):
            self._undo.append(lambda: self.vault.request("DELETE", f"sys/mounts/{mount}"))
        username, _, password = user.partition(":")
        config = {
            "plugin_name": "postgresql-database-plugin",
            "connection_url": f"postgresql://{{{{username}}}}:{{{{password}}}}@{place}?sslmode=disable",
            "username": username,
            "password": password,
            "allowed_roles": [role],
        }
        self.vault.request("POST", f"{mount}/config/{role}", config)
        self._undo.append(lambda: self.vault.request("DELETE", f"{mount}/config/{role}"))
        made = "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'"
        statements = [made, *(f'GRANT {grant} TO "{{{{name}}}}"' for grant in grants)]
        gone = ['DROP OWNED BY "{{name}}"', 'DROP ROLE IF EXISTS "{{name}}"']
        body = {"db_name": role, "creation_statements": statements, "revocation_statements": gone}
        self.vault.request("POST", f"{mount}/roles/{role}", {**body, "default_ttl": "10m", "max_ttl": "24h"})
        self._undo.append(lambda: self.vault.request("DELETE", f"{mount}/roles/{role}"))
        self._undo.append(lambda: self.vault.request("PUT", f"sys/leases/revoke-prefix/{mount}/creds/{role}", {}))

    def _wait_until_not_terminating(self, namespace: str) -> None:
        """A namespace of an earlier run may still be on its way out, and takes nothing new meanwhile."""
        deadline = time.monotonic() + _TERMINATING_SECONDS
        while time.monotonic() < deadline:
            try:
                if self._core.read_namespace(namespace).status.phase != "Terminating":
                    return
            except client.ApiException as error:
                if error.status == 404:
                    return
                raise
            time.sleep(0.5)
        raise K8sVaultError(f"Namespace {namespace} is still terminating after {_TERMINATING_SECONDS} s.")

    def _service_account(self, namespace: str, name: str) -> None:
        self._create(
            lambda: self._core.create_namespaced_service_account(namespace, {"metadata": {"name": name}}),
            lambda: self._core.delete_namespaced_service_account(name, namespace),
        )

    def _may_review_tokens(self, namespace: str) -> None:
        subject = {"kind": "ServiceAccount", "name": self._reviewer, "namespace": namespace}
        reference = {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": "system:auth-delegator",
        }
        binding = {"metadata": {"name": self._reviewer}, "roleRef": reference, "subjects": [subject]}
        self._create(
            lambda: self._rbac.create_cluster_role_binding(binding),
            lambda: self._rbac.delete_cluster_role_binding(self._reviewer),
        )

    def _create(self, create: Callable[[], Any], delete: Callable[[], Any]) -> None:
        with contextlib.suppress(_AlreadyThere):
            _unless_there(create)
            self._undo.append(lambda: _unless_gone(delete))


class _AlreadyThere(Exception):
    """The object exists: it is not ours to take away."""


def _unless_there(create: Callable[[], Any]) -> None:
    try:
        create()
    except client.ApiException as error:
        if error.status == 409:
            raise _AlreadyThere from error
        raise


def _unless_gone(delete: Callable[[], Any]) -> None:
    try:
        delete()
    except client.ApiException as error:
        if error.status != 404:
            raise
