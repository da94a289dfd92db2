"""Why the agent ended before it had fetched the secrets: read off what it said last."""

from __future__ import annotations

import re
from typing import Any

from airflow_k8s_vault import vault_path
from airflow_k8s_vault.delivery.agent.failure import FAILURE, KILLED
from airflow_k8s_vault.delivery.login import VaultLogin
from airflow_k8s_vault.errors import DeliveryRefused, DeliveryUnavailable

# What the runtime says of a command that it could not execute, and the shell of one that it does not find.
NOT_STARTED, _NO_PROGRAM = ("StartError", "ContainerCannotRun"), (126, 127)
_CODE = re.compile(r"Code: ([0-9]{3})")
_LAST_LINES = 12
# So much of them in the first line, which a page shows in one piece.
_SHORT = 160
# Without one of these, whatever ended the agent was no silence of Vault's.
_SILENCE = re.compile(
    r"dial tcp|connect(ion)?: |connection (refused|reset)|no such host|no route to host|i/o timeout|time(d )?out|"
    r"deadline exceeded|\bEOF\b|handshake|gave HTTP response|malformed HTTP|server misbehaving|unreachable|"
    r"Code: (5[0-9]{2}|429)|is sealed|standby",
    re.IGNORECASE,
)
# Nobody asked for a list: it takes a sentence to see where the request comes from.
_LIST_ADVICE = (
    "\n  The connection or variable has several places, and the agent looks which one it is: the role's policy "
    "needs 'list' on those folders (docs/secrets-backend.md, In a pod), or take delivery='secret'."
)


def why(pod: Any, login: VaultLogin, ended: Any) -> DeliveryRefused | DeliveryUnavailable:
    """Return the error, its reason in the first line; ended: the agent's V1ContainerStateTerminated."""
    text = _legible(ended.message or "")
    last_lines = "\n".join(f"    {line}" for line in _last_lines(text))
    ran = (
        f"  The pod ran as service account '{pod.spec.service_account_name}' in namespace "
        f"'{pod.metadata.namespace}', token audience '{login.audience}'."
    )
    return (
        _of_its_container(login, ended, text, last_lines, ran)
        or _of_a_secret(login, text, ran)
        or _of_vault(login, text, last_lines, ran)
        or DeliveryUnavailable(
            f"The Vault agent ended with exit code {ended.exit_code} before it had fetched the secrets:\n"
            f"{last_lines}\n{ran}{login.doctor('POD-DELIVERY')}"
        )
    )


def _of_its_container(
    login: VaultLogin, ended: Any, message: str, last_lines: str, ran: str
) -> DeliveryRefused | DeliveryUnavailable | None:
    """What no Vault has to do with."""
    if ended.reason in NOT_STARTED or ended.exit_code in _NO_PROGRAM:
        return DeliveryRefused(
            f"The Vault agent never ran ({ended.reason}, exit code {ended.exit_code}):\n{last_lines}\n{ran}\n"
            "  The image is [k8s_vault] vault_agent_image: it has to hold sh, and bao or vault."
            f"{login.doctor('POD-AGENT-IMAGE')}"
        )
    if ended.reason == "OOMKilled":
        return DeliveryUnavailable(
            f"The Vault agent ran out of memory before it had fetched the secrets.\n{ran}"
            f"{login.doctor('POD-DELIVERY')}"
        )
    if KILLED in message:
        return DeliveryUnavailable(
            f"The Vault agent was killed before it had fetched the secrets: out of memory, most likely.\n{ran}"
            f"{login.doctor('POD-DELIVERY')}"
        )
    return None


def _of_a_secret(login: VaultLogin, message: str, ran: str) -> DeliveryRefused | None:
    # After `error calling`: the template's own text, which the agent quotes before it, holds our words too.
    own = re.findall(rf"(?:error calling sprig_fail: |^){FAILURE} (.+?)(?:\"| exitCode=|\n|\Z)", message, re.M)
    if own:
        result = "; ".join(dict.fromkeys(own))
        end = "" if result.endswith("?") else "."
        return DeliveryRefused(f"Not delivered: {result}{end}\n{ran}{login.doctor('VAULT-PATHS')}")
    missing = re.search(r"no secret exists at ([^\"\n]+?)(?: \(retry attempt |\"| exitCode=|\n|\Z)", message)
    if missing:
        # The agent names the API's path; a task, and `vault kv get`, leave out KV 2's data/.
        path = vault_path.named(missing[1])
        # `vault.read(path.v3): …`: how the agent calls a read of a version.
        version = re.search(r"\.v([0-9]+)\): no secret exists at ", message)
        what = f"version {version[1]} of the secret" if version else "secret"
        return DeliveryRefused(
            f"There is no {what} at '{path}' in Vault at {login.address}.\n{ran}{login.doctor('VAULT-PATHS')}"
        )
    return None


def _of_vault(
    login: VaultLogin, message: str, last_lines: str, ran: str
) -> DeliveryRefused | DeliveryUnavailable | None:
    codes, short = _CODE.findall(message), _short(message)
    refused = codes and codes[-1].startswith("4") and codes[-1] != "429"
    if refused and f"auth/{login.auth_mount}/login" in message:
        return DeliveryRefused(
            f"Vault at {login.address} refused role '{login.role}' on auth/{login.auth_mount} ({codes[-1]}): "
            f"{short}\n{last_lines}\n{ran}\n  {login.advice(message)}"
            f"{login.doctor('VAULT-LOGIN')}"
        )
    if refused:
        shown = (
            f"Vault at {login.address} refused to give role '{login.role}' a secret ({codes[-1]}): {short}\n"
            f"{last_lines}\n{ran}"
        )
        advice = _LIST_ADVICE if "vault.list(" in message else ""
        return DeliveryRefused(f"{shown}{advice}{login.doctor('VAULT-PATHS')}")
    if "x509:" in message:
        return DeliveryRefused(
            f"The pod does not trust the certificate of Vault at {login.address}: {short}\n{last_lines}\n{ran}\n"
            f"  Set [k8s_vault] vault_cacert to the CA that signed it.{login.doctor('POD-REACHES-VAULT')}"
        )
    if _SILENCE.search(message):
        return DeliveryUnavailable(
            f"Vault at {login.address} could not be reached from the pod, or did not answer in time: {short}\n"
            f"{last_lines}\n{ran}{login.doctor('POD-REACHES-VAULT')}"
        )
    return None


def _legible(message: str) -> str:
    """Undo what the agent does to its own words where a secret holds an empty value.

    It puts [redacted] wherever a value of a secret is in a message, and an empty one is between any two letters.
    """
    return message.replace("[redacted]", "") if "[redacted] [redacted]" in message else message


def _last_lines(message: str) -> list[str]:
    """Keep what the agent says of the error that ended it, without the log's time stamps and margins."""
    final = re.search(r"runtime error encountered:(.*?)(?:exitCode=|\Z)", message, re.DOTALL)
    lines = final[1].splitlines() if final else message.splitlines()[-_LAST_LINES:]
    last_lines = [re.sub(r"^(\s*error=)?[\s|]*", "", line).strip() for line in lines]
    return [word for word in last_lines if word] or ["it ended without a word"]


def _short(message: str) -> str:
    """Return Vault's own reason, or the end of what the agent says, as the end of a first line."""
    last_lines = _last_lines(message)
    reasons = [word.removeprefix("* ") for word in last_lines if word.startswith("* ")]
    text = "; ".join(dict.fromkeys(reasons)) or last_lines[-1].strip('"')
    return f"{text}." if len(text) <= _SHORT else f"…{text[-_SHORT:]}."
