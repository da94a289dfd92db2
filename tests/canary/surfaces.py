"""The surfaces: how each is read, and how a value gets there in earnest, as a mistake would put it there."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.canary import machine, pods
from tests.faults.fault_environment import NAMESPACE, ROOT, FaultEnvironment
from tests.faults.worker import Process, run, wait_until

Texts = dict[str, str]


@dataclass(frozen=True)
class Surface:
    """`texts` reads all of it by place; `plant` puts a value there. what: what is read, for docs/security.md."""

    name: str
    what: str
    texts: Callable[[FaultEnvironment], Texts]
    plant: Callable[[FaultEnvironment, str], Any]


def _states(environment: FaultEnvironment, part: str) -> Texts:
    return {f"state {number}": json.dumps(pod.get(part)) for number, pod in enumerate(environment.record.states)}


def _events(environment: FaultEnvironment) -> Texts:
    return {e.metadata.name: str(e.to_dict()) for e in environment.core.list_namespaced_event(NAMESPACE).items}


def _plant_event(environment: FaultEnvironment, value: str) -> None:
    """The kubelet repeats in an event what it could not do."""
    name = pods.create(environment, {"name": "base", "image": f"registry.invalid/{value}:1"})
    wait_until(lambda: any(value in text for text in _events(environment).values()))
    environment.core.delete_namespaced_pod(name, NAMESPACE, grace_period_seconds=0)


def _secrets(environment: FaultEnvironment) -> Texts:
    answer = environment.core.list_secret_for_all_namespaces()
    result = {"the list itself": str(answer.metadata)}
    for secret in answer.items:
        data = {key: base64.b64decode(text).decode(errors="replace") for key, text in (secret.data or {}).items()}
        result[f"{secret.metadata.namespace}/{secret.metadata.name}"] = json.dumps(data) + str(secret)
    return result


def _plant_secret(environment: FaultEnvironment, value: str) -> None:
    head = {"name": f"vault-{os.urandom(4).hex()}"}
    environment.core.create_namespaced_secret(NAMESPACE, {"metadata": head, "stringData": {"a": value}})


def _config_maps(environment: FaultEnvironment) -> Texts:
    items = environment.core.list_config_map_for_all_namespaces().items
    return {f"{item.metadata.namespace}/{item.metadata.name}": str(item) for item in items}


def _plant_config_map(environment: FaultEnvironment, value: str) -> None:
    head = {"name": f"planted-{os.urandom(4).hex()}"}
    environment.core.create_namespaced_config_map(NAMESPACE, {"metadata": head, "data": {"a": value}})


def _printed(suffix: str) -> Callable[[FaultEnvironment], Texts]:
    """What worker processes wrote down: their log, or what would go into Airflow's database (worker.seen)."""

    def texts(environment: FaultEnvironment) -> Texts:
        path = Path(os.environ["K8S_VAULT_TEST_WORKER_LOG"] + suffix)
        return {path.name: path.read_text(errors="replace")} if path.exists() else {}

    return texts


def _plant_log(environment: FaultEnvironment, value: str) -> None:
    """The operator's own logger, in a worker."""
    operator = environment.operator(secrets=[])
    Process(lambda: operator.log.debug("the value is %s", value)).outcome()


def _plant_exception(environment: FaultEnvironment, value: str) -> None:
    """A function that fails while it holds the value; its message does not have it."""

    def fails(held: str) -> None:
        raise ValueError(f"{len(held)} characters")

    Process(lambda: fails(value)).outcome()


def _plant_xcom(environment: FaultEnvironment, value: str) -> None:
    """In halves, which the pod puts together: whole, it would also be in the task's rendered fields."""
    halves = f"{value[:20]} {value[20:]}"
    script = f'mkdir -p /airflow/xcom && printf \'{{"who": "%s%s"}}\' {halves} > /airflow/xcom/return.json'
    run(environment.operator(secrets=[], cmds=["sh", "-c", script], do_xcom_push=True)).outcome()


def _plant_rendered(environment: FaultEnvironment, value: str) -> None:
    run(environment.operator(secrets=[], cmds=["true"], env_vars={"NOTE": value})).outcome()


def _plant_trigger(environment: FaultEnvironment, value: str) -> None:
    """What the Kubernetes connection holds goes along to the triggerer."""
    name = "AIRFLOW_CONN_KUBERNETES_DEFAULT"
    before = os.environ[name]
    connection = json.loads(before)
    connection["extra"]["note"] = value
    os.environ[name] = json.dumps(connection)
    try:
        run(environment.operator(secrets=[], cmds=["true"], deferrable=True)).outcome()
    finally:
        os.environ[name] = before


def _plant_in_another_environment(environment: FaultEnvironment, value: str) -> None:
    other = {"name": "other", "command": pods.WAITS, "env": [{"name": "A", "value": value}]}
    with pods.running(environment, {"name": "base", "command": pods.WAITS}, other) as pod:
        pods.look(environment, pod, "other")


def _plant_in_anothers_files(environment: FaultEnvironment, value: str) -> None:
    """The container that has the value writes it to a volume that the other one mounts."""
    shared = {"name": "shared", "mountPath": "/shared"}
    write = f'printf %s "$A" > /shared/a; {pods.WAITS[-1]}'
    env = [{"name": "A", "value": value}]
    base = {"name": "base", "command": ["sh", "-c", write], "env": env, "volumeMounts": [shared]}
    other = {"name": "other", "command": pods.WAITS, "volumeMounts": [shared]}
    with pods.running(environment, base, other, volumes=[{"name": "shared", "emptyDir": {}}]) as pod:
        pods.look(environment, pod, "other")


def _plant_argument(environment: FaultEnvironment, value: str) -> None:
    _while_it_sleeps(environment, {}, value)


def _plant_environment(environment: FaultEnvironment, value: str) -> None:
    _while_it_sleeps(environment, {"PLANTED": value})


def _while_it_sleeps(environment: FaultEnvironment, variables: dict[str, str], *arguments: str) -> None:
    command = [sys.executable, "-c", "print(flush=True); import time; time.sleep(60)", *arguments]
    process = subprocess.Popen(command, env={**os.environ, **variables}, stdout=subprocess.PIPE)
    assert process.stdout
    process.stdout.readline()
    machine.keep_processes(environment)
    process.kill()
    process.communicate()


def _plant_on_the_clusters_disk(environment: FaultEnvironment, value: str) -> None:
    """The kubelet keeps what a container wrote in a file, as long as there is the pod."""
    if not (environment.servers.folder / "cluster").exists():
        # A node of a real cluster: its disk is not here to be read. What is searched then is the servers' logs.
        (environment.servers.folder / "planted.log").write_text(value)
    pods.run_to_its_end(environment, command=["sh", "-c", 'echo "$A"'], env=[{"name": "A", "value": value}])


def _plant_on_a_workers_disk(environment: FaultEnvironment, value: str) -> None:
    def work() -> None:
        with tempfile.NamedTemporaryFile("w", delete=False) as file:
            file.write(value)

    Process(work).outcome()


def _plant_in_a_template(environment: FaultEnvironment, value: str) -> None:
    """A platform that writes a value into a template, and prints it."""
    folder = environment.servers.templates_dir / "payments"
    base = (folder / "python.yaml.j2").read_text()
    planted = folder / "planted.yaml.j2"
    planted.write_text(base.replace('value: "1"', f"value: {value}"))
    try:
        environment.keep("outputs", machine.outputs(environment))
    finally:
        planted.unlink()


def _documents(environment: FaultEnvironment) -> Texts:
    """A copy of the README and of docs/, made once: a test does not write into the working copy."""
    folder = environment.servers.folder / "documents"
    if not folder.exists():
        shutil.copytree(ROOT / "docs", folder / "docs")
        shutil.copy(ROOT / "README.md", folder)
    return {
        str(path.relative_to(folder)): path.read_text(errors="replace")
        for path in folder.rglob("*")
        if path.is_file()
    }


def _plant_in_the_readme(environment: FaultEnvironment, value: str) -> None:
    _documents(environment)
    readme = environment.servers.folder / "documents/README.md"
    readme.write_text(f"{readme.read_text()}\n```console\n$ env\nPGPASSWORD={value}\n```\n")


def _kept(
    what: str, now: Callable[[FaultEnvironment], Texts] = lambda environment: {}
) -> Callable[[FaultEnvironment], Texts]:
    """What was read while pods ran (machine.keep_all, pods.look), and what there is now."""
    return lambda environment: {
        **environment.kept.get(what, {}),
        **{f"{name}, now": text for name, text in now(environment).items()},
    }


SURFACES = (
    Surface(
        "pod specs",
        "the spec in every state that a watch sent: variables, arguments, volumes of all containers",
        lambda environment: _states(environment, "spec"),
        lambda environment, value: pods.run_to_its_end(environment, env=[{"name": "A", "value": value}]),
    ),
    Surface(
        "annotations and labels",
        "the metadata in every state that a watch sent",
        lambda environment: _states(environment, "metadata"),
        lambda environment, value: pods.run_to_its_end(environment, {"example.com/value": value}),
    ),
    Surface(
        "pod states and termination messages",
        "the status in every state that a watch sent",
        lambda environment: _states(environment, "status"),
        lambda environment, value: pods.run_to_its_end(
            environment,
            command=["sh", "-c", 'echo "$A" > /dev/termination-log'],
            env=[{"name": "A", "value": value}],
        ),
    ),
    Surface("events", "all events of the namespace", _events, _plant_event),
    Surface("Secrets after the end", "all Secrets of all namespaces, decoded", _secrets, _plant_secret),
    Surface("ConfigMaps", "all ConfigMaps of all namespaces", _config_maps, _plant_config_map),
    Surface(
        "logs of workers and triggerer",
        "everything that their processes log with every logger at DEBUG, or print",
        _printed(""),
        _plant_log,
    ),
    Surface(
        "exceptions",
        "every traceback, with chained ones and the variables of each frame",
        _printed(".exceptions"),
        _plant_exception,
    ),
    Surface("XCom", "what tasks push and return", _printed(".xcom"), _plant_xcom),
    Surface("rendered fields", "the templated fields of each task", _printed(".rendered"), _plant_rendered),
    Surface("trigger kwargs", "each trigger as it is stored", _printed(".trigger"), _plant_trigger),
    Surface(
        "environment of other containers",
        "as seen from a neighbour in the pod, the XCom sidecar, and another pod of the team",
        _kept("other environment"),
        _plant_in_another_environment,
    ),
    Surface(
        "files of other containers",
        "all files that these three can read, outside of their images",
        _kept("other files"),
        _plant_in_anothers_files,
    ),
    Surface(
        "process arguments",
        "of every process of the machine while pods run",
        _kept("process arguments"),
        _plant_argument,
    ),
    Surface(
        "environment of worker processes",
        "as they were started, and as they end",
        _kept("environments", _printed(".environment")),
        _plant_environment,
    ),
    Surface(
        "disk of devcluster",
        "all files of the cluster, and the logs of the servers, while pods run and after them",
        _kept("disk of devcluster", machine.disk_of_devcluster),
        _plant_on_the_clusters_disk,
    ),
    Surface(
        "disk of workers",
        "Airflow's home and temporary files, while pods run and after them",
        _kept("disk of workers", machine.disk_of_workers),
        _plant_on_a_workers_disk,
    ),
    Surface(
        "outputs of commands",
        "`airflow k8s-vault` templates and secrets; kubectl get and describe while pods run",
        _kept("outputs", machine.outputs),
        _plant_in_a_template,
    ),
    Surface("README and docs", "what is published, examples included", _documents, _plant_in_the_readme),
)
