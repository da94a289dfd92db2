"""The rules on the containers that a template gives, and on the XCom sidecar."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from airflow_k8s_vault.compile import cel
from airflow_k8s_vault.compile.admission.pod_rules import is_open, one_of
from airflow_k8s_vault.compile.admission.rule import Rule
from airflow_k8s_vault.compile.source import Source
from airflow_k8s_vault.delivery import agent
from airflow_k8s_vault.policy import ENV_SOURCES, INIT_KEYS

# What the API server fills in: pkg/apis/core/v1/defaults.go.
DEFAULTED = frozenset(
    ("terminationMessagePath", "terminationMessagePolicy", "imagePullPolicy", "resources", "resizePolicy")
)
# Each has a rule of its own, is set by every task, or (resources) is written anew by the API server.
_NOT_COMPARED = DEFAULTED | {"name", "image", "env", "volumeMounts"}
_BASE = "base"
Container = Mapping[str, Any]


def others(source: Source) -> str:
    """Return the expression of the containers that the package does not add."""
    own = [agent.CONTAINER, *([source.xcom_sidecar["name"]] if source.xcom_sidecar else [])]
    return f"variables.containers.filter(c, !(c.name in {cel.literal(own)}))"


def by_name(source: Source) -> dict[str, list[Container]]:
    """Return the containers of all templates, by name."""
    result: dict[str, list[Container]] = {}
    for pod in source.pods:
        for container in (*(pod["spec"].get("initContainers") or ()), *pod["spec"]["containers"]):
            result.setdefault(container["name"], []).append(container)
    return result


def of_containers(source: Source) -> Iterator[Rule]:
    """Yield the rules on who is in the pod, and on all of its containers."""
    known = by_name(source)
    images = sorted(source.team.images.values())
    yield Rule(
        f"variables.others.all(c, c.image in {cel.literal(images)})",
        f"Containers of team {source.team.name} run its images: {', '.join(images)}.",
    )
    names = "variables.containers.all(c, size(variables.containers.filter(d, d.name == c.name)) == 1)"
    yield Rule(names, "Each container has a name of its own.")
    yield from _of_names(source, known)
    yield Rule('object.spec.containers.exists(c, c.name == "base")', "A task runs in the container base.")
    for name, containers in known.items():
        yield from _of_one(source, name, containers)
    paths = {c["terminationMessagePath"] for cs in known.values() for c in cs if "terminationMessagePath" in c}
    listed = cel.literal(sorted({*paths, "/dev/termination-log"}))
    last = cel.absent_or("c", "terminationMessagePath", f"c.terminationMessagePath in {listed}")
    yield Rule(f"variables.containers.all(c, {last})", "Only the team's templates set terminationMessagePath.")
    yield from _of_env(source, known)
    if source.xcom_sidecar:
        yield _of_xcom(source.xcom_sidecar)


def _of_names(source: Source, known: Mapping[str, list[Container]]) -> Iterator[Rule]:
    """Yield the rules on who may be in the pod."""
    main = {container["name"] for pod in source.pods for container in pod["spec"]["containers"]}
    if source.xcom_sidecar:
        main.add(source.xcom_sidecar["name"])
    named = f"object.spec.containers.all(c, c.name in {cel.literal(sorted(main))})"
    yield Rule(named, f"Only the team's templates add containers: {', '.join(sorted(main))}.")
    first = sorted({*known, agent.CONTAINER} - main)
    is_known = f"c.name in {cel.literal(first)}"
    if is_open(source, "spec.initContainers"):
        own = cel.literal(sorted(main))
        is_known += f" || (!(c.name in {own}) && {cel.keys_within('c', INIT_KEYS | DEFAULTED)})"
    yield Rule(
        f"variables.inits.all(c, {is_known})",
        "Init containers are those of the team's templates, and where init_containers is open plain ones.",
    )


def _of_one(source: Source, name: str, containers: list[Container]) -> Iterator[Rule]:
    """Yield the rules on the container of that name: fields that only a template decides."""
    opened = _opened(source) if name == _BASE else set()
    keys = {key for container in containers for key in container} | DEFAULTED | {"env", "volumeMounts"} | opened
    whose = f'variables.containers.filter(c, c.name == "{name}")'
    yield Rule(
        f"{whose}.all(c, {cel.keys_within('c', keys)})",
        f"Container {name} has no fields but those that the team's templates and open arguments set.",
    )
    for key in sorted(keys - _NOT_COMPARED - opened):
        term = one_of("c", key, [container.get(key) for container in containers], strict=key == "securityContext")
        if term != "true":
            yield Rule(f"{whose}.all(c, {term})", f"Only the team's templates decide about {key} of {name}.")


def _opened(source: Source) -> set[str]:
    """Return the fields of the base container that a DAG, or the mutation hook, may set."""
    fields = ("command", "args", "ports", "envFrom", "resources")
    return {field for field in fields if is_open(source, f"spec.containers[base].{field}")}


def _of_env(source: Source, known: Mapping[str, list[Container]]) -> Iterator[Rule]:
    """Yield the rules on variables whose value comes from elsewhere."""
    sources = set(ENV_SOURCES)
    refs = list(_env_sources(known, "secretKeyRef"))
    options = [cel.equals("e.valueFrom.secretKeyRef", ref, strict=False) for ref in refs]
    if "secret" in source.deliveries:
        options.append(f"e.valueFrom.secretKeyRef.name == {own_secret()}")
    if options:
        sources.add("secretKeyRef")
    files = [cel.equals("e.valueFrom.fileKeyRef", ref, strict=False) for ref in _env_sources(known, "fileKeyRef")]
    if "agent" in source.deliveries:
        files.append(_agent_file())
    if files:
        sources.add("fileKeyRef")
    within = cel.keys_within("e.valueFrom", sources)
    secret = cel.absent_or("e.valueFrom", "secretKeyRef", cel.any_of(options))
    file = cel.absent_or("e.valueFrom", "fileKeyRef", cel.any_of(files))
    term = cel.absent_or("e", "valueFrom", f"({within} && {secret} && {file})")
    env = cel.absent_or("c", "env", f"c.env.all(e, {term})")
    yield Rule(f"variables.others.all(c, {env})", "A variable takes no Secret but the pod's own.")
    bulk = [cel.equals("s", entry, strict=False) for entry in _env_from(known)]
    is_plain = cel.keys_within("s", ["configMapRef", "prefix"])
    entries = f"c.envFrom.all(s, {cel.any_of([is_plain, *bulk])})"
    yield Rule(
        f"variables.others.all(c, {cel.absent_or('c', 'envFrom', entries)})",
        "No container is given a whole Secret: envFrom.",
    )


def own_secret() -> str:
    """Return the expression of the name of the Secret that delivery `secret` makes for this pod."""
    from airflow_k8s_vault.delivery import REQUEST_ANNOTATION
    from airflow_k8s_vault.delivery.secret import secret_name

    prefix = secret_name("")
    key = cel.literal(REQUEST_ANNOTATION)
    return f'{cel.literal(prefix)} + ({key} in variables.annotations ? variables.annotations[{key}] : "")'


def _agent_file() -> str:
    """Return whether a variable refers to the environment file that the agent writes for this container."""
    ref = "e.valueFrom.fileKeyRef"
    optional = cel.absent_or(ref, "optional", f"{ref}.optional == false")
    named = f'{ref}.path.matches("^" + c.name + "([.][0-9]+)?[.]env$")'
    return f'{ref}.volumeName == "vault-env" && {named} && {optional}'


def _env_sources(known: Mapping[str, list[Container]], kind: str) -> Iterator[Mapping[str, Any]]:
    for containers in known.values():
        for container in containers:
            for variable in container.get("env") or ():
                if kind in (variable.get("valueFrom") or {}):
                    yield variable["valueFrom"][kind]


def _env_from(known: Mapping[str, list[Container]]) -> Iterator[Mapping[str, Any]]:
    for containers in known.values():
        for container in containers:
            yield from container.get("envFrom") or ()


def _of_xcom(sidecar: Container) -> Rule:
    """Return the rule that the XCom sidecar is the one that KubernetesPodOperator adds, as any user."""
    context = "securityContext"
    fixed = {key: value for key, value in sidecar.items() if key not in (*DEFAULTED, context)}
    term = cel.equals("c", fixed, others=[*DEFAULTED, context])
    term += f" && has(c.{context}) && {cel.equals(f'c.{context}', sidecar[context], others=['runAsUser'])}"
    return Rule(
        f"variables.containers.filter(c, c.name == {cel.literal(sidecar['name'])}).all(c, {term})",
        "The XCom sidecar is the one that KubernetesPodOperator adds.",
    )
