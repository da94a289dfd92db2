"""Vault, the Kubernetes API and the cluster failing: never a main process without its credentials."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from tests.faults.case import Case, whole
from tests.faults.endings import DELIVERIES, MODES
from tests.faults.fault_environment import NAMESPACE, PKI, FaultEnvironment
from tests.faults.fault_proxy import Fault
from tests.faults.worker import WatchedOperator, run, wait_until

LOGIN, LEASE, KV = r"(POST|PUT) /v1/auth/.*/login", "GET /v1/database/creds", "GET /v1/secret/data"
ISSUE = rf"(POST|PUT) /v1/{PKI}/issue"
# Refused: Airflow does not try again. Unavailable: it does.
REFUSED, UNAVAILABLE = "AirflowFailException", "DeliveryUnavailable"

VAULT_FAULTS = (
    ("Vault answers 403 to the login", LOGIN, 403, REFUSED),
    ("Vault answers 404 to the login", LOGIN, 404, REFUSED),
    ("Vault answers 429 to the login", LOGIN, 429, UNAVAILABLE),
    ("Vault answers 500 to the login", LOGIN, 500, UNAVAILABLE),
    ("Vault hangs up at the login", LOGIN, "cut", UNAVAILABLE),
    ("Vault answers rubbish to the login", LOGIN, "rubbish", UNAVAILABLE),
    ("Vault answers 403 to a read", LEASE, 403, REFUSED),
    ("Vault answers 404 to a read", KV, 404, REFUSED),
    ("Vault answers 500 to a read", LEASE, 500, UNAVAILABLE),
    ("Vault answers 403 to an issue", ISSUE, 403, REFUSED),
    ("Vault answers 500 to an issue", ISSUE, 500, UNAVAILABLE),
    ("Vault is slow (30 s)", LOGIN, 30.0, UNAVAILABLE),
)
# One of each kind of answer, and of each request that is answered so: the others repeat it.
_VAULT_FAULTS_IN_TEST = {
    "agent": {"Vault answers 403 to the login", "Vault answers 404 to a read", "Vault answers 403 to an issue"},
    "secret": {
        "Vault answers 403 to the login",
        "Vault answers 500 to the login",
        "Vault hangs up at the login",
        "Vault answers rubbish to the login",
        "Vault answers 403 to a read",
        "Vault answers 404 to a read",
    },
}
_API_FAULTS_IN_TEST = {("create pod", "cut after"), ("token", 500), ("create Secret", 409), ("remove gate", 429)}
NO_SEAL = "it takes the seal of Vault"
POD = r"POST /api/v1/namespaces/[^/]+/pods(\?|$)"
API_REQUESTS = {
    "create pod": POD,
    "token": "POST .*/serviceaccounts/.*/token",
    "create Secret": r"POST .*/secrets(\?|$)",
    "remove gate": "PATCH .*/pods/",
}
API_FAULTS: tuple[Any, ...] = (409, 429, 500, "cut", "cut after")


def cases() -> Iterator[Case]:
    for delivery in DELIVERIES:
        for name, request, kind, ends in VAULT_FAULTS:
            # The agent tells a refusal from an outage in its own way, which docs/decisions/0001 describes.
            yield Case(
                name,
                delivery,
                failing_vault(request, kind),
                ends=ends if delivery == "secret" else "failed",
                logins=None,
                leases=None,
                ran=False,
                slow=name not in _VAULT_FAULTS_IN_TEST[delivery],
            )
        none: dict[str, Any] = {"logins": 0, "leases": 0, "ran": False}
        for mode in MODES:
            yield Case(
                "Vault is sealed", delivery, sealed, mode, UNAVAILABLE, slow=True, only_own_vault=NO_SEAL, **none
            )
        for status, ends in ((403, REFUSED), (500, UNAVAILABLE)):
            name, script = f"Vault answers {status} to the login", failing_vault(LOGIN, status)
            yield Case(name, delivery, script, "deferrable", ends, slow=True, **none)
        requests = API_REQUESTS if delivery == "secret" else {"create pod": POD}
        for what, request in requests.items():
            for kind in API_FAULTS:
                name, slow = f"API server, {what}: {_named(kind)}", (what, kind) not in _API_FAULTS_IN_TEST
                yield Case(name, delivery, failing_api(request, kind, 1), slow=slow)
    yield Case("Vault answers 500 to the agent's revocation", "agent", failing_revocation)
    lost: dict[str, Any] = {"ends": UNAVAILABLE, "ran": False}
    # For good, or not: where a cluster has no way out, its DNS may just not answer.
    yield Case("agent image missing", "agent", no_image, ends="cannot start (", **none)
    # A login whose answer was lost is nobody's: its TTL ends it, 4 s in this case.
    yield Case("answer of the login lost", "secret", failing_vault(LOGIN, "cut after"), leases=0, **lost)
    yield Case("answer of a dynamic read lost", "secret", failing_vault(LEASE, "cut after"), **lost)
    yield Case("answer of an issue lost", "secret", failing_vault(ISSUE, "cut after"), **lost)
    for what, request in API_REQUESTS.items():
        for_ever, pods = failing_api(request, 500, None), 0 if what == "create pod" else 1
        name, slow = f"API server, {what}: 500 for ever", what != "remove gate"
        yield Case(name, "secret", for_ever, "sync", UNAVAILABLE, pods, None, None, False, slow=slow)
    yield Case("API server, token: 403", "secret", failing_api("/token", 403, None), ends=REFUSED, **none)


def failing_vault(request: str, kind: Any) -> Any:
    def script(environment: FaultEnvironment, operator: WatchedOperator) -> tuple[str, Any]:
        environment.vault.faults = [Fault(request, kind, 1 if kind == "cut after" else None)]
        if kind != "cut after":
            return whole(environment, operator)
        with _short_logins(environment):
            return whole(environment, operator)

    return script


def failing_revocation(environment: FaultEnvironment, operator: WatchedOperator) -> tuple[str, Any]:
    """Vault's program asks twice before it gives up: the agent's script has to try again."""
    revocation = Fault("(POST|PUT) /v1/auth/token/revoke-self", 500, 2)
    environment.vault.faults = [revocation]
    ended = whole(environment, operator)
    wait_until(lambda: revocation.times == 0)
    return ended


def failing_api(request: str, kind: Any, times: int | None) -> Any:
    def script(environment: FaultEnvironment, operator: WatchedOperator) -> tuple[str, Any]:
        environment.kube.faults = [Fault(request, kind, times)]
        return whole(environment, operator)

    return script


def sealed(environment: FaultEnvironment, operator: WatchedOperator) -> tuple[str, Any]:
    environment.seal()
    try:
        ended = whole(environment, operator)
        # Its agent tries again until it is told to end: it must not find Vault open then.
        wait_until(lambda: not environment.core.list_namespaced_pod(NAMESPACE).items)
        return ended
    finally:
        environment.unseal()


def no_image(environment: FaultEnvironment, operator: WatchedOperator) -> tuple[str, Any]:
    with environment.configured(vault_agent_image="registry.invalid/nothing:1"):
        return run(operator).outcome()


@contextlib.contextmanager
def _short_logins(environment: FaultEnvironment) -> Iterator[None]:
    """A login whose answer was lost is nobody's: only its TTL, the role's token_ttl, ends it."""
    environment.login_ttl(4)
    try:
        yield
    finally:
        environment.login_ttl(600)


def _named(kind: Any) -> str:
    return {"cut": "connection cut", "cut after": "answer lost"}.get(kind, str(kind))
