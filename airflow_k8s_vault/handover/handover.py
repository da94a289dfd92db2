"""One pod's hand-over: log in for it while it is gated, hand its values over, and see the login end."""

from __future__ import annotations

import datetime
import logging
from collections.abc import Callable, Sequence
from typing import Any

from kubernetes.client import CoreV1Api

from airflow_k8s_vault.delivery import REQUEST_SECONDS, TEMPLATE_ANNOTATION, VaultLogin, attempt
from airflow_k8s_vault.delivery.secret import LABEL, LABEL_VALUE, ended_at, is_gated
from airflow_k8s_vault.errors import (
    DeliveryRefused,
    DeliveryUnavailable,
    K8sVaultError,
    VaultError,
    VaultRefused,
    VaultUnavailable,
)
from airflow_k8s_vault.handover.pod_secrets import PodSecrets, owner_uids
from airflow_k8s_vault.handover.pod_secrets import kept_token as _kept_token
from airflow_k8s_vault.handover.pod_values import TOO_SHORT, PodValues
from airflow_k8s_vault.secret_value import SecretValue
from airflow_k8s_vault.traceback_guard import traceback_guard
from airflow_k8s_vault.vault import Session, Settings, settings_from
from airflow_k8s_vault.vault_secret import VaultSecret

__all__ = ["Handover", "kept_token", "revoke"]

log = logging.getLogger(__name__)

# A worker hands over in less than a second, and gives up after a minute: what waits longer has no worker left.
# Neither does an ended pod keep its Secrets for so long where anybody has seen its end.
ABANDONED_SECONDS = 600
# In one sweep, 4 requests each: the task whose hand-over this is waits meanwhile. The rest is the next one's.
_MOST_ABANDONED = 20

# Around everything that others call here: see traceback_guard.
_guarded = traceback_guard(unexpected=DeliveryUnavailable)


class Handover:
    """One task's hand-over. Nothing is sent before `deliver`, `resume`, `discard` or `end`.

    lifetime_seconds: how long the task may run, None where it has no limit. step: called with the name of each
    step that was done, which tests use to end the process there.
    """

    def __init__(
        self,
        core: CoreV1Api,
        login: VaultLogin,
        secrets: Sequence[VaultSecret],
        base_container: str = "base",
        lifetime_seconds: int | None = None,
        step: Callable[[str], None] = lambda name: None,
    ) -> None:
        self._core, self._login, self._step = core, login, step
        self._values = PodValues(secrets, base_container, lifetime_seconds)
        self._session: Session | None = None
        self._belongings: PodSecrets | None = None
        self._ended = False

    @_guarded
    def deliver(self, pod: Any) -> None:
        """Give a gated pod, as the API returned it, its credentials and let it start.

        Raises DeliveryRefused or DeliveryUnavailable, and leaves neither pod nor login then.
        """
        self._belongings = belongings = PodSecrets(self._core, pod)
        try:
            self._deliver(belongings)
        except BaseException as failure:
            if isinstance(failure, K8sVaultError):
                # At once: while the pod is deleted somebody may end this process, and nobody would know why.
                log.error("%s", str(failure).splitlines()[0])
            self.discard(pod)
            if isinstance(failure, VaultError):
                raise self._as_delivery_error(failure) from None
            raise
        # Its own pod's age is next to nothing, and written by the cluster's clock: the worker's may be another.
        self._collect_abandoned(belongings.namespace, pod.metadata.creation_timestamp)

    def _deliver(self, belongings: PodSecrets) -> None:
        self._done("pod")
        jwt = belongings.pod_token(self._login.audience)
        self._done("pod token")
        session = self._session = Session(settings_of(self._login))
        token = self._logged_in(session, jwt, belongings.pod)
        self._done("login")
        # Before anything is read: a lease whose token nobody knows could only run out.
        belongings.keep_login(token)
        self._done("login kept")
        values = self._read(session)
        self._done("read")
        belongings.create(values)
        self._done("secret")
        belongings.open_gate()
        self._done("gate")
        if not self._values.are_leased:
            # Nothing ends with this token: it need not live as long as the pod.
            session.revoke()

    @_guarded
    def resume(self, pod: Any) -> None:
        """Take over the pod of an earlier try, which has its credentials: find the login that is to be ended."""
        self._belongings = PodSecrets(self._core, pod)
        token = self._belongings.kept_login()
        self._session = Session(settings_of(self._login), token) if token else None

    def is_of(self, pod: Any) -> bool:
        """Whether this is the hand-over of that very pod."""
        return self._belongings is not None and self._belongings.pod.metadata.uid == pod.metadata.uid

    @_guarded
    def discard(self, pod: Any) -> None:
        """End the login of a pod that never ran and delete the pod; its Secrets go with it."""
        if self._session is None:
            self.resume(pod)
        try:
            self.end(keeps_pod=False)
        finally:
            PodSecrets(self._core, pod).delete_pod()

    @_guarded
    def end(self, keeps_pod: bool) -> None:
        """End the login, and with it every lease; delete the Secrets, too, where the pod stays.

        Where Vault does not answer the login ends by its TTL, which is no longer than the task's limit: that is
        logged and not raised, for the task's own end is worth more.
        """
        self._ended = True
        try:
            if self._session is not None and self._session.token is not None:
                # A session of its own: a signal may have come while the other one was in the middle of a request.
                revoke(self._login, self._session.token)
        except VaultError as failure:
            log.warning("The login of this task's pod could not be revoked, and ends by its TTL: %s", failure)
        if keeps_pod and self._belongings is not None:
            self._belongings.delete()

    def _done(self, step: str) -> None:
        self._step(step)
        if self._ended:
            raise DeliveryRefused("The task was ended while its pod waited for its credentials.")

    def _read(self, session: Session) -> SecretValue[dict[str, str | bytes]]:
        refused = ""
        try:
            return self._values.read(session)
        except DeliveryRefused as refusal:
            refused = str(refusal)
        step = "VAULT-TTL" if refused.startswith(TOO_SHORT) else "VAULT-PATHS"
        raise DeliveryRefused(f"{refused}{self._login.doctor(step)}")

    def _logged_in(self, session: Session, jwt: SecretValue[str], pod: Any) -> SecretValue[str]:
        refused = ""
        try:
            return session.login(jwt)
        except VaultRefused as refusal:
            refused = str(refusal)
        login = self._login
        raise DeliveryRefused(
            f"Vault at {login.address} refused role '{login.role}' on auth/{login.auth_mount} ({refused}).\n"
            f"  The login was made for service account '{pod.spec.service_account_name}' in namespace "
            f"'{pod.metadata.namespace}', token audience '{login.audience}'.\n"
            f"  {login.advice(refused)}{login.doctor('VAULT-LOGIN')}"
        )

    def _as_delivery_error(self, failure: VaultError) -> DeliveryRefused | DeliveryUnavailable:
        login = self._login
        if isinstance(failure, VaultUnavailable):
            step = login.doctor("VAULT-REACHED")
            return DeliveryUnavailable(f"The credentials could not be fetched for the pod. {failure}{step}")
        step = login.doctor("VAULT-PATHS")
        return DeliveryRefused(f"Vault at {login.address} refused role '{login.role}': {failure}{step}")

    def _collect_abandoned(self, namespace: str, now: datetime.datetime) -> None:
        """End what workers left that nobody came after: after the gate is off, so that no pod waits for it."""
        try:
            answer = attempt(
                f"list the pods of namespace {namespace}",
                lambda: self._core.list_namespaced_pod(
                    namespace,
                    label_selector=f"{LABEL}={LABEL_VALUE}",
                    field_selector="status.phase!=Running",
                    _request_timeout=REQUEST_SECONDS,
                ),
            )
            matches = [pod for pod in answer.items if _is_abandoned(pod, now) and self._is_of_the_team(pod)]
            for pod in matches[:_MOST_ABANDONED]:
                self._end_abandoned(pod)
        except (DeliveryRefused, DeliveryUnavailable) as failure:
            # This task's own pod runs: somebody else's is no reason to fail it.
            log.warning("Abandoned pods in namespace %s were not looked for: %s", namespace, failure)

    def _is_of_the_team(self, pod: Any) -> bool:
        """Whether a pod is one that this package made for the team, as far as account and template say so."""
        mine = self._belongings
        is_made_here = TEMPLATE_ANNOTATION in (pod.metadata.annotations or {})
        account = pod.spec.service_account_name
        return is_made_here and mine is not None and account == mine.pod.spec.service_account_name

    def _end_abandoned(self, pod: Any) -> None:
        earlier = Handover(self._core, self._login, ())
        if is_gated(pod):
            log.warning("Pod %s waits for a worker that is gone: deleting it.", pod.metadata.name)
            earlier.discard(pod)
            return
        # It ran and has ended: it may be kept on purpose, with its log, but nothing that it could log in with.
        earlier.resume(pod)
        earlier.end(keeps_pod=True)
        PodSecrets(self._core, pod).mark_ended()


def _is_abandoned(pod: Any, now: datetime.datetime) -> bool:
    """Whether a pod has waited for its gate, or has been at its end, for longer than any worker would leave it."""
    since = pod.metadata.creation_timestamp if is_gated(pod) else ended_at(pod)
    return since is not None and (now - since).total_seconds() > ABANDONED_SECONDS


@_guarded
def kept_token(secret: SecretValue[dict[str, Any]], pod_uid: str) -> SecretValue[str] | None:
    """Return the token in a Secret that the worker made for the login of that pod; None where it has none, and
    where the Secret is another pod's: its name is in an annotation, which anybody may have copied."""
    return _kept_token(secret) if owner_uids(secret) == [pod_uid] else None


@_guarded
def revoke(login: VaultLogin, token: SecretValue[str]) -> None:
    """End a login, and with it every lease. Raises VaultUnavailable, VaultRefused."""
    Session(settings_of(login, deadline_seconds=5), token).revoke()


def settings_of(login: VaultLogin, deadline_seconds: int = 20) -> Settings:
    """Return the client's settings for a pod's login; the deadline is of each request with all its tries."""
    given: dict[str, Any] = {
        "url": login.address,
        "auth_type": "jwt",
        "auth_mount_point": login.auth_mount,
        # A triggerer only revokes: it knows no role, and needs none.
        "jwt_role": login.role or "unknown",
        # The token comes with each login; the settings want one.
        "jwt_token": "given at the login",
        "deadline_seconds": deadline_seconds,
        "timeout": 10,
        "namespace": login.namespace or None,
        "verify": login.cacert or None,
    }
    settings, mistakes = settings_from({name: value for name, value in given.items() if value is not None}, {})
    if mistakes:
        raise mistakes
    return settings
