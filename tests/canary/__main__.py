"""`python -m tests.canary`: the table of what is searched, for docs/security.md."""

from __future__ import annotations

from tests.canary.surfaces import SURFACES

_TESTS = "tests/canary/test_canary.py"
# In a real Airflow: its processes and its database are not there in the other runs.
_INTEGRATION = (
    ("Airflow's database", "all tables, dumped"),
    ("Airflow's logs", "of tasks, scheduler, triggerer, DAG processor and API server, at DEBUG"),
)


def table() -> str:
    """Return the table: where, what of it is read, and the test."""
    rows = [(surface.name, surface.what, f"`{_TESTS}` [{surface.name}]") for surface in SURFACES]
    rows += [(where, what, "`tests/integration/test_agent_delivery.py`") for where, what in _INTEGRATION]
    return "\n".join(
        ["| where | what is read | test |", "|---|---|---|", *(f"| {' | '.join(row)} |" for row in rows)]
    )


if __name__ == "__main__":
    print(table())
