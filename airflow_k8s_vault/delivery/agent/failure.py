"""How the agent says what is wrong: a sentence that starts with FAILURE, which the operator finds."""

from __future__ import annotations

FAILURE = "airflow-k8s-vault:"
# What a restarted agent says, in its script, of the one before it.
KILLED = f"{FAILURE} the agent was killed before it had fetched the secrets"


def fail(sentence: str) -> str:
    """Return the template text that ends the agent with that sentence; it names keys, never values."""
    return f'{{{{ sprig_fail "{FAILURE} {sentence}" }}}}'


def refuse(sentence: str, names: str) -> str:
    """As `fail`, of a sentence with one %s, for which the expression `names` stands."""
    return f'{{{{ sprig_fail (printf "{FAILURE} {sentence}" {names}) }}}}'
