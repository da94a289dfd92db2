"""How the agent says what is wrong: a sentence that starts with FAILURE, which the operator finds."""

from __future__ import annotations

from airflow_k8s_vault.delivery.agent import go

FAILURE = "airflow-k8s-vault:"
# What a restarted agent says, in its script, of the one before it.
KILLED = f"{FAILURE} the agent was killed before it had fetched the secrets"


def fail(sentence: str, *names: str) -> str:
    """Return the template text that ends the agent with that sentence.

    names: an expression for each %s or %d of the sentence; they give names and sizes, never values.
    """
    return f"{{{{ sprig_fail (printf {' '.join([go.text(f'{FAILURE} {sentence}'), *names])}) }}}}"


def shown(name: str) -> str:
    """Return a name as these sentences show it: the agent's log would end one at a quotation mark.

    >>> shown('client "secret"')
    'client %22secret%22'
    """
    return "".join(c if c.isprintable() and c not in '"\\' else f"%{ord(c):02X}" for c in name)
