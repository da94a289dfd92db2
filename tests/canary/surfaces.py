"""The surfaces: how each is read, and how a value is planted there on purpose."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.faults.arena import NAMESPACE, ROOT, Arena
from tests.faults.worker import Process, seen, wait_until

Texts = dict[str, str]


@dataclass(frozen=True)
class Surface:
    """`texts` reads all of it by place; `plant` puts a value there as a mistake would."""

    name: str
    texts: Callable[[Arena], Texts]
    plant: Callable[[Arena, str], Any]


def _states(arena: Arena, *path: str) -> Texts:
    found = {}
    for number, pod in enumerate(arena.record.states):
        part: Any = pod
        for step in path:
            part = (part or {}).get(step)
        found[f"state {number}"] = json.dumps(part)
    return found


def _pod(arena: Arena, value: str = "", **spec: Any) -> str:
    """Run a pod of its own to its end and return its name."""
    name = f"planted-{os.urandom(4).hex()}"
    container = {
        "name": "base",
        "image": "postgres:18",
        "command": ["sh", "-c", "true"],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        **spec,
    }
    security = {"runAsNonRoot": True, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}}
    meta = {"name": name, "labels": {}, "annotations": {"example.com/value": value} if value else {}}
    body = {"metadata": meta, "spec": {"containers": [container], "securityContext": security}}
    body["spec"]["restartPolicy"] = "Never"  # type: ignore[index]
    arena.core.create_namespaced_pod(NAMESPACE, body)
    wait_until(lambda: arena.core.read_namespaced_pod(name, NAMESPACE).status.phase in ("Succeeded", "Failed"))
    wait_until(lambda: any(_is_over(pod, name) for pod in arena.record.pods.values()))
    return name


def _is_over(pod: dict[str, Any], name: str) -> bool:
    return pod["metadata"]["name"] == name and pod["status"].get("phase") in ("Succeeded", "Failed")


def _events(arena: Arena) -> Texts:
    return {e.metadata.name: str(e.to_dict()) for e in arena.core.list_namespaced_event(NAMESPACE).items}


def _plant_event(arena: Arena, value: str) -> None:
    meta = {"name": f"planted-{os.urandom(4).hex()}", "namespace": NAMESPACE}
    about = {"kind": "Pod", "namespace": NAMESPACE, "name": "x"}
    body = {"metadata": meta, "involvedObject": about, "reason": "Planted", "message": value, "type": "Normal"}
    arena.core.create_namespaced_event(NAMESPACE, body)


def _secrets(arena: Arena) -> Texts:
    answer = arena.core.list_secret_for_all_namespaces()
    found = {"the list itself": str(answer.metadata)}
    for secret in answer.items:
        data = {key: base64.b64decode(text).decode(errors="replace") for key, text in (secret.data or {}).items()}
        found[f"{secret.metadata.namespace}/{secret.metadata.name}"] = json.dumps(data)
    return found


def _plant_secret(arena: Arena, value: str) -> None:
    arena.core.create_namespaced_secret("default", {"metadata": {"name": "planted"}, "stringData": {"a": value}})


def _config_maps(arena: Arena) -> Texts:
    items = arena.core.list_config_map_for_all_namespaces().items
    return {f"{item.metadata.namespace}/{item.metadata.name}": str(item.data) for item in items}


def _plant_config_map(arena: Arena, value: str) -> None:
    arena.core.create_namespaced_config_map("default", {"metadata": {"name": "planted"}, "data": {"a": value}})


def _worker_file(suffix: str) -> Callable[[Arena], Texts]:
    def texts(arena: Arena) -> Texts:
        path = Path(os.environ["K8S_VAULT_TEST_WORKER_LOG"] + suffix)
        return {path.name: path.read_text(errors="replace")} if path.exists() else {}

    return texts


def _in_worker(work: Callable[[str], Any]) -> Callable[[Arena, str], Any]:
    return lambda arena, value: Process(lambda: work(value)).outcome()


def _log_at_debug(value: str) -> None:
    import logging

    logging.getLogger("kubernetes.client.rest").debug("response body: %s", value)


def _raise(value: str) -> None:
    raise ValueError(value)


def _below(folder: Callable[[Arena], Path], *but: str) -> Callable[[Arena], Texts]:
    def texts(arena: Arena) -> Texts:
        found = {}
        for path in folder(arena).rglob("*"):
            if path.is_file() and not path.is_symlink() and path.name not in but:
                found[str(path)] = path.read_bytes().decode(errors="replace")
        return found

    return texts


def _write(folder: Callable[[Arena], Path], name: str) -> Callable[[Arena, str], Any]:
    return lambda arena, value: (folder(arena) / name).write_text(value)


def _cluster(arena: Arena) -> Path:
    return arena.ground.kubeconfig.parent


def _kept(what: str) -> Callable[[Arena], Texts]:
    """What was read while pods ran: see test_canary.py."""
    return lambda arena: dict(arena.kept.get(what, {}))


def _keep(what: str) -> Callable[[Arena, str], Any]:
    return lambda arena, value: arena.keep(what, {"planted": value})


def _outputs(arena: Arena) -> Texts:
    """What people see of a task with secrets: `kubectl get -o yaml` of pods, the template commands."""
    from airflow_k8s_vault import templates

    made = templates.find("payments/etl", templates_dir=arena.ground.templates_dir)
    context = {"dag_id": "", "task_id": "", "run_id": "", "try_number": 1, "map_index": -1}
    return {"render payments/etl": json.dumps(made.render({}, context=context)), **arena.kept.get("outputs", {})}


def processes() -> tuple[Texts, Texts]:
    """Return the arguments of all processes, and the environment of those that are no container's."""
    arguments, environments = {}, {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            command = (path / "cmdline").read_bytes().decode(errors="replace")
            arguments[path.name] = command
            if (path / "root").resolve() == Path("/") and "python" in command:
                environments[path.name] = (path / "environ").read_bytes().decode(errors="replace")
        except OSError:
            continue
    return arguments, environments


def _plant_argument(arena: Arena, value: str) -> None:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(5)", value])
    wait_until(lambda: value in "".join(processes()[0].values()))
    arena.keep("process arguments", processes()[0])
    process.kill()
    process.wait()


def _plant_environment(arena: Arena, value: str) -> None:
    environment = {**os.environ, "PLANTED": value}
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(5)"], env=environment)
    wait_until(lambda: value in "".join(processes()[1].values()))
    arena.keep("environments", processes()[1])
    process.kill()
    process.wait()


SURFACES = (
    Surface(
        "pod specs in the watch history",
        lambda arena: _states(arena, "spec"),
        lambda arena, value: _pod(arena, env=[{"name": "A", "value": value}]),
    ),
    Surface("annotations and labels", lambda arena: _states(arena, "metadata"), _pod),
    Surface(
        "pod states and termination messages",
        lambda arena: _states(arena, "status"),
        lambda arena, value: _pod(arena, command=["sh", "-c", f"echo {value} > /dev/termination-log"]),
    ),
    Surface("events", _events, _plant_event),
    Surface("Secrets after the end", _secrets, _plant_secret),
    Surface("ConfigMaps", _config_maps, _plant_config_map),
    Surface("log of workers and triggerer at DEBUG", _worker_file(""), _in_worker(_log_at_debug)),
    Surface("exceptions", _worker_file(".exceptions"), _in_worker(_raise)),
    Surface("XCom", _worker_file(".xcom"), _in_worker(lambda value: seen("xcom", value))),
    Surface("rendered fields", _worker_file(".rendered"), _in_worker(lambda value: seen("rendered", value))),
    Surface("trigger kwargs", _worker_file(".trigger"), _in_worker(lambda value: seen("trigger", value))),
    Surface("environment of other containers", _kept("other environment"), _keep("other environment")),
    Surface("files of other containers", _kept("other files"), _keep("other files")),
    Surface("process arguments", _kept("process arguments"), _plant_argument),
    Surface("environment of worker processes", _kept("environments"), _plant_environment),
    Surface("disk of devcluster", _below(_cluster, "kubeconfig"), _write(_cluster, "planted")),
    Surface(
        "disk of workers",
        lambda arena: {
            **_below(lambda arena: Path(os.environ["AIRFLOW_HOME"]))(arena),
            **{p.name: p.read_text(errors="replace") for p in arena.ground.folder.iterdir() if p.is_file()},
        },
        _write(lambda arena: Path(os.environ["AIRFLOW_HOME"]), "planted"),
    ),
    Surface("outputs of commands", _outputs, _keep("outputs")),
    Surface(
        "README and docs",
        lambda arena: (
            {str(p): p.read_text() for p in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]}
            | arena.kept.get("docs", {})
        ),
        _keep("docs"),
    ),
)
