"""The worker's own credentials for the Kubernetes API, read anew where they are refused."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from kubernetes.client import ApiClient, ApiException

log = logging.getLogger(__name__)


def renew_refused(client: ApiClient, load: Callable[[], ApiClient]) -> None:
    """Have each request of this client that is answered with 401 sent once more, with the credentials of `load`.

    A token of a cloud may end before it says so: EKS takes one no longer than the session that signed it.
    Kubernetes' client asks for another only when the end has come that the token told. A request that was answered
    with 401 did nothing, so it can be sent again whatever it is.
    """
    send = client.call_api

    def call_api(*given: Any, **named: Any) -> Any:
        try:
            return send(*given, **named)
        except ApiException as refusal:
            if refusal.status != 401:
                raise
            log.info("The Kubernetes API does not take this worker's credentials (401): they are read anew.")
        fresh = load().configuration
        client.configuration.api_key = fresh.api_key
        client.configuration.refresh_api_key_hook = fresh.refresh_api_key_hook
        return send(*given, **named)

    client.call_api = call_api
