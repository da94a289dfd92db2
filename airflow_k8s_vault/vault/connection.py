"""The way to one Vault, shared by all who speak to it for one client; made at the first request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_k8s_vault.fork import reset_in_children
from airflow_k8s_vault.secret_value import SecretValue
from airflow_k8s_vault.vault.deadline import Deadline
from airflow_k8s_vault.vault.settings import Settings

if TYPE_CHECKING:
    from airflow_k8s_vault.vault.requesting import Requests
    from airflow_k8s_vault.vault.transport import Transport


class Connection:
    """Safe under threads and across fork. Nothing is imported that speaks HTTP before the first request."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._transport: Transport | None = None
        reset_in_children(self)

    def after_fork(self) -> None:
        # Not closed: a TLS connection says goodbye on its shared socket. Dropped, with all that it held.
        self._transport = None

    def requests(self, deadline: Deadline, token: SecretValue[str] | None) -> Requests:
        """Return what sends requests with this token, within this deadline; token=None: without one."""
        from airflow_k8s_vault.vault.requesting import Requests
        from airflow_k8s_vault.vault.transport import Transport

        transport = self._transport
        if transport is None:
            transport = self._transport = Transport(self._settings)
        return Requests(self._settings, transport, deadline, token)
