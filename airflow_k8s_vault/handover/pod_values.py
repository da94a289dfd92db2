"""What a pod's Secret holds: every secret read once, its lease as long as the task may run."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Any

from airflow_k8s_vault import vault_parameters, vault_path
from airflow_k8s_vault.delivery import secret as delivery
from airflow_k8s_vault.errors import DeliveryRefused, SecretShapeError, VaultRefused, error_list
from airflow_k8s_vault.lookups import connection_text, value_text
from airflow_k8s_vault.secret_value import SecretValue
from airflow_k8s_vault.vault import LONGEST_SECONDS, ReadResult, Session
from airflow_k8s_vault.vault_path import Location
from airflow_k8s_vault.vault_secret import VaultSecret

log = logging.getLogger(__name__)

# Vault counts in whole seconds and has spent some of them by the time it answers.
_ROUNDING_SECONDS = 5
# How the message begins where credentials would end too early.
TOO_SHORT = "The credentials would end before the task may:"


class PodValues:
    """The secrets of one task. lifetime_seconds: how long it may run; None: it has no limit."""

    def __init__(self, secrets: Sequence[VaultSecret], base_container: str, lifetime_seconds: int | None) -> None:
        self._secrets = list(dict.fromkeys(secrets))
        self._places = list(delivery.places(secrets, base_container))
        self._lifetime_seconds = lifetime_seconds
        self.are_leased = any(secret.engine == "dynamic" for secret in secrets)

    def read(self, session: Session) -> SecretValue[dict[str, str | bytes]]:
        """Return the Secret's content. Each secret is read once, however many places it goes to.

        Raises DeliveryRefused (a secret or key that is not there, a lease that is too short), VaultRefused and
        VaultUnavailable.
        """
        short = []
        if self.are_leased:
            lives = session.live(self._lifetime_seconds or LONGEST_SECONDS)
            short += self._too_short("the login, and with it every lease", lives)
        reads: dict[tuple[Any, ...], ReadResult] = {}
        for secret in self._secrets:
            if secret.source not in reads:
                reads[secret.source] = _read(session, secret)
                short += self._lease_errors(session, secret.path, reads[secret.source])
                if secret.engine == "dynamic":
                    short += self._certificate_errors(secret.path, reads[secret.source])
        answers = {secret: reads[secret.source] for secret in self._secrets}
        if short and self._lifetime_seconds:
            raise DeliveryRefused(error_list(TOO_SHORT, short))
        for line in short:
            log.warning("%s", line)
        # In no variable of this frame: an error tracker shows those of every frame of an exception.
        return SecretValue(delivery.values(self._places, {s: _data(s, answer) for s, answer in answers.items()}))

    def _lease_errors(self, session: Session, path: str, answer: ReadResult) -> list[str]:
        if not answer.lease_id:
            return []
        lives, expected = answer.lease_seconds, self._lifetime_seconds or LONGEST_SECONDS
        if answer.renewable and lives < expected:
            lives = max(lives, session.extend(answer.lease_id, expected))
        return self._too_short(f"the lease of '{path}'", lives)

    def _certificate_errors(self, path: str, answer: ReadResult) -> list[str]:
        """Nobody renews what is in a Secret: a certificate without a lease has to live as long as the task."""
        ends = answer.data.reveal().get("expiration")
        if answer.lease_id or "certificate" not in answer.data.reveal() or not isinstance(ends, int):
            return []
        return self._too_short(f"the certificate of '{path}'", max(1, int(ends - time.time())))

    def _too_short(self, what: str, lives_seconds: int) -> list[str]:
        limit = self._lifetime_seconds
        if limit is None:
            return [
                f"This task has no limit, and {what} ends after {lives_seconds} s: set execution_timeout, so that "
                "this is known to be enough, and ends earlier where nobody could revoke it."
            ]
        if not lives_seconds or lives_seconds >= limit - _ROUNDING_SECONDS:
            return []
        return [
            f"{what} lives for {lives_seconds} s at most, and the task may run for {limit} s: raise its max_ttl "
            "in Vault, or lower the task's execution_timeout."
        ]


def _read(session: Session, secret: VaultSecret) -> ReadResult:
    for location in secret.locations:
        refused = ""
        try:
            if secret.engine == "kv2":
                answer = _read_kv2(session, location, secret.version)
            elif secret.parameters:
                answer = _written(session, secret)
            else:
                answer = session.read(location.path, once=secret.engine == "dynamic")
        except VaultRefused as refusal:
            refused = str(refusal)
        if refused:
            # Any other status is no matter of rights: 400 is an unknown database role.
            path = location.path
            may, done = ("write to", "written to") if secret.parameters else ("read", "read")
            what = f"it may not {may} '{path}'" if refused.startswith("403") else f"'{path}' cannot be {done}"
            raise VaultRefused(f"{what} ({refused}).")
        if answer is not None:
            return answer
    places = "', '".join(location.path for location in secret.locations)
    what = f"version {secret.version} of the secret" if secret.version else "secret"
    why = f": {session.absence}" if session.absence else ""
    raise DeliveryRefused(f"There is no {what} at '{places}' in Vault at {session.settings.url}{why}.")


def _written(session: Session, secret: VaultSecret) -> ReadResult | None:
    if session.engine_of(secret.path) == "kv":
        raise DeliveryRefused(f"'{secret.path}' is in a KV engine, which takes no parameters.")
    return session.write(secret.path, vault_parameters.texts(secret.parameters or {}))


def _read_kv2(session: Session, location: Location, version: int | None) -> ReadResult | None:
    """Read below the first segment as the mount, as most are; ask Vault for the mount where that leads nowhere."""
    refused = ""
    try:
        if answer := session.read(vault_path.kv_data(location, 2), once=False, version=version):
            return answer
    except VaultRefused as refusal:
        refused = str(refusal)
    real = "" if location.mount else session.mount_of(location.path).strip("/")
    if real and real != location.assumed_mount and location.path.startswith(f"{real}/"):
        return session.read(vault_path.kv_data(location._replace(mount=real), 2), once=False, version=version)
    if refused:
        raise VaultRefused(refused)
    return None


def _data(secret: VaultSecret, answer: ReadResult) -> dict[str, Any]:
    data, kind = answer.data.reveal(), {"kv2": "KV 2", "kv1": "KV 1", "dynamic": "dynamic"}[secret.engine]
    if secret.engine == "kv2":
        is_of_engine = isinstance(data.get("data"), dict) and bool(data["data"])
    else:
        # The envelope of KV 2 would pass for a secret with the keys `data` and `metadata`.
        is_of_engine = set(data) != {"data", "metadata"}
    if not is_of_engine:
        data = {}  # this frame may be shown
        raise DeliveryRefused(f"'{secret.path}' is no {kind} secret, or empty: is engine= right?")
    data = dict(data["data"] if secret.engine == "kv2" else data)
    return data if not secret.kind else _looked_up(secret, data)


def _looked_up(secret: VaultSecret, data: dict[str, Any]) -> dict[str, Any]:
    """Return the text that the secrets backend would return, under the key that `env` names."""
    shape = connection_text if secret.kind == "connection" else value_text
    try:
        return {secret.kind: shape(data, secret.path)}
    except SecretShapeError as error:
        errors = str(error)
    # Outside of `except`, and without the values: these frames may be shown.
    data = {}
    raise DeliveryRefused(errors)
