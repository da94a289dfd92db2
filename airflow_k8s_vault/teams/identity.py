"""The name of one DAG's own service account and Vault role, where a team has `identity: dag`."""

from __future__ import annotations

import hashlib
import re

# Characters of a name that Kubernetes also takes as a label.
LONGEST = 63
_DIGEST = 8
# Of the DAG's id, so that the name says whose it is.
_READABLE = 8


def dag_identity(prefix: str, dag_id: str) -> str:
    """Return the name: at most 63 characters, unique, readable; prefix: the team's service account.

    The digest is always there: an id that is plain could else be chosen to look like another's.

    >>> dag_identity("airflow-payments", "Load.Daily")
    'airflow-payments-load-daily-3d3ab1f2'
    """
    digest = hashlib.sha256(dag_id.encode()).hexdigest()[:_DIGEST]
    readable = re.sub("[^a-z0-9]+", "-", dag_id.lower()).strip("-")
    room = LONGEST - _DIGEST - len(prefix) - 2
    return "-".join(filter(None, (prefix, readable[: max(room, 0)].strip("-"), digest)))


def identity_fits(prefix: str) -> bool:
    """Return whether there is room for a readable part of a DAG's id after the prefix."""
    return len(prefix) <= LONGEST - _DIGEST - 2 - _READABLE
