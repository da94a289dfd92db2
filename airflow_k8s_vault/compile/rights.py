"""What Airflow's worker and triggerer may do in a team's namespace, and why: one line of data each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from airflow_k8s_vault.compile.source import Account, Source

GROUP = "rbac.authorization.k8s.io"
API_VERSION = f"{GROUP}/v1"
WORKER, TRIGGERER = "worker", "triggerer"


class Right(NamedTuple):
    """when: the delivery, or "xcom", that needs it; "" for all. named: only for the team's service accounts."""

    who: tuple[str, ...]
    resource: str
    verbs: tuple[str, ...]
    reason: str
    when: str = ""
    named: bool = False


RIGHTS = (
    Right(
        (WORKER,),
        "pods",
        ("create", "delete", "get", "list", "patch", "watch"),
        "a task makes, finds, watches and ends its pod",
    ),
    # Without `watch` pods are listed each poll_interval, all at once, and without `list` each is read by itself.
    Right(
        (TRIGGERER,),
        "pods",
        ("delete", "get", "list", "watch"),
        "triggers watch their pods, and end them for a user",
    ),
    # The triggerer reads it where a task sets logging_interval.
    Right((WORKER, TRIGGERER), "pods/log", ("get",), "the pod's log becomes the task's"),
    Right((WORKER,), "events", ("list",), "the log tells why a pod does not start"),
    Right((TRIGGERER,), "events", ("watch",), "the same, while the task is deferred"),
    # From Kubernetes 1.35 on a websocket needs create as well.
    Right((WORKER,), "pods/exec", ("create", "get"), "the XCom is read out of its sidecar", "xcom"),
    Right((WORKER,), "serviceaccounts/token", ("create",), "the worker logs in for the pod", "secret", True),
    # Kubernetes cannot narrow these to the Secrets that tasks make: put no others into the namespace.
    Right((WORKER,), "secrets", ("create", "delete", "get"), "the values are handed over in a Secret", "secret"),
    Right((TRIGGERER,), "secrets", ("delete", "get"), "the login ends when the pod does", "secret"),
)


@dataclass(frozen=True)
class Role:
    """A Role of one of Airflow's accounts. key: of platform.yaml, for where it comes from."""

    name: str
    rules: list[dict[str, Any]]
    account: Account
    key: str

    def binding(self) -> dict[str, Any]:
        """Return the roleRef and subjects of the RoleBinding."""
        return {
            "roleRef": {"apiGroup": GROUP, "kind": "Role", "name": self.name},
            "subjects": [self.account.subject],
        }


def roles(source: Source, accounts: list[str]) -> Iterator[Role]:
    """Yield the Roles of worker and triggerer; accounts: the names of the team's service accounts."""
    needed = {"", *source.deliveries, *(["xcom"] if source.xcom_sidecar else [])}
    for who, account in ((WORKER, source.worker), (TRIGGERER, source.triggerer)):
        rules = [_rule(right, accounts) for right in RIGHTS if who in right.who and right.when in needed]
        yield Role(f"airflow-{who}", rules, account, f"platform.airflow.{who}")


def _rule(right: Right, accounts: list[str]) -> dict[str, Any]:
    names = {"resourceNames": accounts} if right.named else {}
    return {"apiGroups": [""], "resources": [right.resource], **names, "verbs": list(right.verbs)}
