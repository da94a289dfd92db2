"""Why a pod did not start: read off its status, in words that say which part failed and what to do.

Pure functions on V1Pod, of the kubernetes client or of kubernetes_asyncio.
"""

from __future__ import annotations

import re
from typing import Any

from airflow_k8s_vault import vault_path
from airflow_k8s_vault.delivery.agent import CONTAINER
from airflow_k8s_vault.delivery.agent.failure import FAILURE, KILLED
from airflow_k8s_vault.delivery.login import VaultLogin
from airflow_k8s_vault.errors import DeliveryRefused, DeliveryUnavailable

# The kubelet retries these for ever, and KubernetesPodOperator waits for its start-up timeout.
_STUCK = {
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
}
# What a registry or a runtime says that may well answer the next try. A name that is not known is none of these.
_PASSING = re.compile(
    r"too many requests|toomanyrequests|time(d )?out|deadline exceeded|connection (refused|reset)|unexpected EOF|"
    r"network is unreachable|temporar|service unavailable|bad gateway|internal server error",
    re.IGNORECASE,
)
# What the runtime says of a command that it could not execute, and the shell of one that it does not find.
_NOT_STARTED, _NO_PROGRAM = ("StartError", "ContainerCannotRun"), (126, 127)
_CODE = re.compile(r"Code: ([0-9]{3})")
_LAST_WORDS_LINES = 12
# Nobody asked for a list: it takes a sentence to see where the request comes from.
_LIST_ADVICE = (
    "\n  The connection or variable has several places, and the agent looks which one it is: the role's policy "
    "needs 'list' on those folders (docs/secrets-backend.md, In a pod), or take delivery='secret'."
)


def of_delivery(pod: Any, login: VaultLogin, base_container: str) -> DeliveryRefused | DeliveryUnavailable | None:
    """Return why the credentials did not reach the pod, or None while nothing speaks against it.

    Once the base container has started, the agent's later troubles are no failed delivery.
    """
    statuses = {status.name: status for status in _statuses(pod)}
    base, agent = statuses.get(base_container), statuses.get(CONTAINER)
    if agent is None or (base is not None and _has_started(base)):
        return None
    for status in filter(None, (agent, base)):
        waiting = status.state.waiting
        if waiting and waiting.reason in _STUCK:
            return _stuck(pod, status.name, waiting)
    ended = agent.state.terminated or (agent.last_state and agent.last_state.terminated)
    if not ended or ended.exit_code == 0:
        return None
    return _agent_gave_up(pod, login, ended)


def of_start(pod: Any, container: str) -> str | None:
    """Return why the container's command could not be started, or None when it did."""
    for status in _statuses(pod):
        ended = status.state.terminated
        if status.name != container or not ended or ended.reason not in _NOT_STARTED:
            continue
        missing = re.search(r'exec: "([^"]+)": (executable file not found|stat|no such file)', ended.message or "")
        if missing:
            return (
                f"Container '{container}' never ran: its image '{status.image}' has no executable "
                f"'{missing[1]}' (exit code {ended.exit_code}).\n"
                "  Choose a pod template whose image has it, or change cmds."
            )
        way = ""
        if "argument list too long" in (ended.message or ""):
            way = (
                "\n  Its variables and arguments are more than Linux takes: 128 KiB each with the name, 2 MiB "
                "together. Take the largest as files (file=)."
            )
        return f"Container '{container}' never ran ({ended.reason}): {ended.message}{way}"
    return None


def _has_started(status: Any) -> bool:
    """A container that never ran is shown as terminated, without a start, once its pod is being deleted."""
    ended = status.state.terminated
    return bool(status.state.running or (ended and ended.started_at))


def _statuses(pod: Any) -> list[Any]:
    status = pod.status if pod else None
    if status is None:
        return []
    return [*(status.init_container_statuses or []), *(status.container_statuses or [])]


def _stuck(pod: Any, container: str, waiting: Any) -> DeliveryRefused | DeliveryUnavailable:
    what = "The Vault agent's container" if container == CONTAINER else f"Container '{container}'"
    setting = "\n  The image is [k8s_vault] vault_agent_image." if container == CONTAINER else ""
    where = f"pod {pod.metadata.namespace}/{pod.metadata.name}"
    kind = DeliveryUnavailable if _PASSING.search(waiting.message or "") else DeliveryRefused
    return kind(f"{what} of {where} cannot start ({waiting.reason}): {waiting.message}{setting}")


def _agent_gave_up(pod: Any, login: VaultLogin, ended: Any) -> DeliveryRefused | DeliveryUnavailable:
    said = _legible(ended.message or "")
    words = "\n".join(f"    {line}" for line in _last_words(said))
    ran = (
        f"  The pod ran as service account '{pod.spec.service_account_name}' in namespace "
        f"'{pod.metadata.namespace}', token audience '{login.audience}'."
    )
    if ended.reason in _NOT_STARTED or ended.exit_code in _NO_PROGRAM:
        return DeliveryRefused(
            f"The Vault agent never ran ({ended.reason}, exit code {ended.exit_code}):\n{words}\n{ran}\n"
            "  The image is [k8s_vault] vault_agent_image: it has to hold sh, and bao or vault."
        )
    if ended.reason == "OOMKilled":
        return DeliveryUnavailable(f"The Vault agent ran out of memory before it had fetched the secrets.\n{ran}")
    if KILLED in said:
        return DeliveryUnavailable(
            f"The Vault agent was killed before it had fetched the secrets: out of memory, most likely.\n{ran}"
        )
    # After `error calling`: the template's own text, which the agent quotes before it, holds our words too.
    own = re.findall(rf"(?:error calling sprig_fail: |^){FAILURE} (.+?)(?:\"| exitCode=|\n|\Z)", said, re.M)
    if own:
        found = "; ".join(dict.fromkeys(own))
        end = "" if found.endswith("?") else "."
        return DeliveryRefused(f"The Vault agent cannot deliver what the task asks for: {found}{end}\n{ran}")
    missing = re.search(r"no secret exists at ([^\"\n]+?)(?: \(retry attempt |\"| exitCode=|\n|\Z)", said)
    if missing:
        # The agent names the API's path; a task, and `vault kv get`, leave out KV 2's data/.
        path = vault_path.named(missing[1])
        return DeliveryRefused(f"There is no secret at '{path}' in Vault at {login.address}.\n{ran}")
    codes = _CODE.findall(said)
    refused = codes and codes[-1].startswith("4") and codes[-1] != "429"
    if refused and f"auth/{login.auth_mount}/login" in said:
        return DeliveryRefused(
            f"Vault at {login.address} refused role '{login.role}' on auth/{login.auth_mount} ({codes[-1]}):\n"
            f"{words}\n{ran}\n"
            f"  {login.advice(said)}"
        )
    if refused:
        told = (
            f"Vault at {login.address} refused to give role '{login.role}' a secret ({codes[-1]}):\n{words}\n{ran}"
        )
        return DeliveryRefused(told + _LIST_ADVICE if "vault.list(" in said else told)
    if "x509:" in said:
        return DeliveryRefused(
            f"The pod does not trust the certificate of Vault at {login.address}:\n{words}\n{ran}\n"
            "  Set [k8s_vault] vault_cacert to the CA that signed it."
        )
    return DeliveryUnavailable(
        f"Vault at {login.address} could not be reached from the pod, or did not answer in time:\n{words}\n{ran}"
    )


def _legible(said: str) -> str:
    """Undo what the agent does to its own words where a secret holds an empty value.

    It puts [redacted] wherever a value of a secret is in a message, and an empty one is between any two letters.
    """
    return said.replace("[redacted]", "") if "[redacted] [redacted]" in said else said


def _last_words(said: str) -> list[str]:
    """Keep what the agent says of the error that ended it, without the log's time stamps and margins."""
    final = re.search(r"runtime error encountered:(.*?)(?:exitCode=|\Z)", said, re.DOTALL)
    lines = final[1].splitlines() if final else said.splitlines()[-_LAST_WORDS_LINES:]
    words = [re.sub(r"^(\s*error=)?[\s|]*", "", line).strip() for line in lines]
    return [word for word in words if word] or ["it ended without a word"]
