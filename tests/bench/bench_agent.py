"""Where the time of delivery `agent` goes: from the pod's creation to its main process, step by step.

The script and the hook are the package's, with time stamps between their steps; the agent's log has its own. The
peer is the same container, where there is one: a sidecar of the agent's image that does nothing but start.
"""

from __future__ import annotations

import copy
import datetime
import re
import secrets
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest import mock

from airflow_k8s_vault import templates
from airflow_k8s_vault.delivery import REQUEST_ANNOTATION, agent
from airflow_k8s_vault.delivery.agent import sidecar
from airflow_k8s_vault.delivery.login import VaultLogin
from tests.bench.row import Row

PODS = 10
# What a stamp comes before, in the script and in the hook.
_IN_SCRIPT = {
    "script": "umask 077\n",
    "agent": "while :; do\n",
    "leases read": "  while read -r seconds",
    "leases checked": "[ ! -e refused ] || { kill",
    "check done": "  : > checked\n",
}
_IN_HOOK = {"hook": "start=", "hook done": ": > /vault/agent/started"}
_STAMP = 'echo "STAMP $(date +%s.%N) {}" >> /vault/agent/stamps\n'
_A_STAMP = re.compile(r"^STAMP (\S+) (.*)$", re.MULTILINE)
# The agent's own log lines, the last one of each.
_LOGGED = {
    "agent up": "starting server|Starting|agent: starting",
    "login": "authentication successful",
    "rendered": r"\(runner\) rendered",
}
_AGENTS_TIME = re.compile(r"(\d{4}-\d\d-\d\dT[\d:.]+Z) \[")
_ORDER = (
    "script",
    "agent",
    "login",
    "rendered",
    "leases read",
    "leases checked",
    "check done",
    "hook done",
    "main",
)


def run() -> list[Row]:
    from tests.bench.bench_pods import NAMES
    from tests.faults.fault_environment import KEY, LOGIN, NAMESPACE, FaultEnvironment
    from tests.settings import follow_the_environment

    follow_the_environment()
    stamped = {
        "SCRIPT": _stamped(sidecar.SCRIPT, _IN_SCRIPT).replace("stop() {\n", "stop() {\n  cat stamps >&2\n"),
        "WAIT_FOR_FILES": _stamped(sidecar.WAIT_FOR_FILES, _IN_HOOK),
    }
    with FaultEnvironment(Path(tempfile.mkdtemp())) as environment, mock.patch.multiple(sidecar, **stamped):
        login = VaultLogin.of_role("payments")
        direct = VaultLogin(environment.servers.vault.address, "payments", auth_mount=login.auth_mount)
        pod_template = templates.find("payments/etl", templates_dir=environment.servers.templates_dir)
        plain = pod_template.render({}, context=NAMES)
        plain["spec"]["activeDeadlineSeconds"] = 600
        attached = agent.attach(plain, [LOGIN, KEY], direct)
        kinds = {"plain": plain, "idle": _idle(attached), "agent": attached}
        times: dict[str, list[dict[str, float]]] = {name: [] for name in kinds}
        for _ in range(PODS):
            for name, pod in kinds.items():
                times[name].append(_one(environment.core, NAMESPACE, pod))
    return _rows(times)


def _stamped(script: str, before: dict[str, str]) -> str:
    for name, text in before.items():
        assert script.count(text) == 1, name
        script = script.replace(text, _STAMP.format(name) + text)
    return script


def _idle(attached: dict[str, Any]) -> dict[str, Any]:
    """Return the pod with a sidecar that only starts: what one more container costs, whatever is in it."""
    pod = copy.deepcopy(attached)
    container = pod["spec"]["initContainers"][0]
    container["command"] = ["sh", "-c", "trap 'exit 0' TERM; sleep 600 & wait"]
    container["lifecycle"]["postStart"]["exec"]["command"] = ["true"]
    for container in pod["spec"]["containers"]:
        container["env"] = [entry for entry in container.get("env", []) if "value" in entry]
    return pod


def _one(core: Any, namespace: str, pod: dict[str, Any]) -> dict[str, float]:
    """Return seconds since the creation, by step."""
    pod = copy.deepcopy(pod)
    name = f"bench-{secrets.token_hex(4)}"
    pod["metadata"] |= {"name": name, "annotations": {REQUEST_ANNOTATION: secrets.token_hex(5)}}
    pod["spec"]["containers"][0]["command"] = ["sh", "-c", "date +%s.%N"]
    begin = time.time()
    core.create_namespaced_pod(namespace, pod)
    while core.read_namespaced_pod(name, namespace).status.phase != "Succeeded":
        time.sleep(0.05)
    steps = {"main": float(_log(core, namespace, name, "base"))}
    if pod["spec"].get("initContainers"):
        steps |= _steps(_log(core, namespace, name, agent.CONTAINER))
    core.delete_namespaced_pod(name, namespace)
    return {step: at - begin for step, at in steps.items()}


def _log(core: Any, namespace: str, name: str, container: str) -> str:
    answer = core.read_namespaced_pod_log(name, namespace, container=container, _preload_content=False)
    return str(answer.data.decode())


def _steps(log: str) -> dict[str, float]:
    steps = {name: float(at) for at, name in _A_STAMP.findall(log)}
    for line in log.splitlines():
        if match := _AGENTS_TIME.match(line):
            at = datetime.datetime.fromisoformat(match[1]).timestamp()
            steps |= {name: at for name, text in _LOGGED.items() if re.search(text, line)}
    return steps


def _rows(times: dict[str, list[dict[str, float]]]) -> list[Row]:
    median = {kind: {step: _median(all_, step) for step in all_[0]} for kind, all_ in times.items()}
    plain, idle, ours = (median[kind]["main"] for kind in ("plain", "idle", "agent"))
    rows = [
        Row("create to main process: plain pod", None, plain, "s", "", True),
        Row("… with a sidecar that only starts: the floor", plain, idle, "s", "", True),
        Row("… with the agent", plain, ours, "s", "", True),
    ]
    for step in _ORDER[:-1]:
        rows.append(Row(f"… of it, until: {step}", None, median["agent"].get(step, 0.0), "s", "", True))
    return rows


def _median(all_: list[dict[str, float]], step: str) -> float:
    return statistics.median(steps[step] for steps in all_ if step in steps)
