"""The rules on volumes: which kinds there are, and who mounts those that hold credentials."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from airflow_k8s_vault.compile import cel
from airflow_k8s_vault.compile.admission.container_rules import by_name, own_secret
from airflow_k8s_vault.compile.admission.pod_rules import is_open
from airflow_k8s_vault.compile.admission.rule import Rule
from airflow_k8s_vault.compile.source import Source
from airflow_k8s_vault.policy import PLAIN_VOLUMES, volume_kinds

TOKEN, AGENT, ENV, FILES = "vault-token", "vault-agent", "vault-env", "vault-files-"
_XCOM = "xcom"
_DEFAULTED = ("defaultMode", "type")


def of_volumes(source: Source) -> Iterator[Rule]:
    """Yield the rules on the volumes of the pod, and on those who mount them."""
    volumes = _of_templates(source)
    options = [_is_plain(source, volumes)]
    options += [f"v.name == {cel.literal(name)} && {_is_one_of(kinds)}" for name, kinds in volumes.items()]
    options += [f'v.name == "{_XCOM}" && {cel.equals("v", {"name": _XCOM, "emptyDir": {}})}']
    if "agent" in source.deliveries:
        options += list(_of_agent(source))
    if "secret" in source.deliveries:
        is_own = f"has(v.secret.secretName) && v.secret.secretName == {own_secret()}"
        keys = cel.keys_within("v", ["name", "secret"])
        options.append(f'v.name.startsWith("{FILES}") && {keys} && has(v.secret) && {is_own}')
    yield Rule(
        f"variables.volumes.all(v, {cel.any_of(options)})",
        "A pod has the volumes of its template and its delivery: no host path, no other Secret, no other token.",
    )
    unique = "variables.volumes.all(v, size(variables.volumes.filter(w, w.name == v.name)) == 1)"
    yield Rule(unique, "Each volume has a name of its own.")
    yield from _of_mounts(source, volumes)


def _of_templates(source: Source) -> dict[str, list[Mapping[str, Any]]]:
    result: dict[str, list[Mapping[str, Any]]] = {}
    for pod in source.pods:
        for volume in pod["spec"].get("volumes") or ():
            result.setdefault(volume["name"], []).append(volume)
    return result


def _is_plain(source: Source, volumes: Mapping[str, Any]) -> str:
    """Return whether a volume is one that the team's namespace leaves to any of its pods."""
    if not is_open(source, "spec.volumes"):
        return "false"
    taken = cel.literal([*volumes, TOKEN, AGENT, ENV, _XCOM])
    keys = cel.keys_within("v", {"name", *PLAIN_VOLUMES})
    return f'!(v.name in {taken}) && !v.name.startsWith("{FILES}") && {keys} && size(v) == 2'


def _is_one_of(kinds: list[Mapping[str, Any]]) -> str:
    options = []
    for kind in kinds:
        # The API server fills in modes and types; below them not all of its defaults are known here.
        keys = [cel.keys_within(f"v.{name}", {*kind[name], *_DEFAULTED}) for name in volume_kinds(kind)]
        same = cel.equals("v", kind, strict=False)
        options.append(cel.every([cel.keys_within("v", kind), same, *keys]))
    return cel.any_of(options)


def _of_agent(source: Source) -> Iterator[str]:
    audience = cel.literal(source.login.audience)
    entry = "v.projected.sources[0]"
    claim = f"{entry}.serviceAccountToken"
    yield (
        f'v.name == "{TOKEN}" && {cel.keys_within("v", ["name", "projected"])} && has(v.projected)'
        f" && size(v.projected.sources) == 1 && {cel.keys_within(entry, ['serviceAccountToken'])}"
        f" && has({claim}.audience) && {claim}.audience == {audience}"
    )
    in_memory = f"{cel.keys_within('v', ['name', 'emptyDir'])} && {cel.has_all('v', 'emptyDir', 'medium')}"
    named = f'(v.name in {cel.literal([AGENT, ENV])} || v.name.startsWith("{FILES}"))'
    yield f'{named} && {in_memory} && v.emptyDir.medium == "Memory"'


def _of_mounts(source: Source, volumes: Mapping[str, list[Mapping[str, Any]]]) -> Iterator[Rule]:
    own = cel.literal([TOKEN, AGENT, ENV])
    mine = "has(c.volumeMounts)"
    yield Rule(
        f"variables.others.all(c, !{mine} || c.volumeMounts.all(m, !(m.name in {own})))",
        "Only the Vault agent mounts its own volumes.",
    )
    files = f'm.name.startsWith("{FILES}")'
    yield Rule(
        f"variables.others.all(c, !{mine} || c.volumeMounts.all(m, !{files} ||"
        f" ({cel.keys_within('m', ['name', 'mountPath', 'readOnly', 'recursiveReadOnly'])}"
        " && has(m.readOnly) && m.readOnly)))",
        "Files of secrets are mounted read-only.",
    )
    mounting = f"variables.others.filter(c, {mine} && c.volumeMounts.exists(m, m.name == v.name))"
    yield Rule(
        f'variables.volumes.all(v, !v.name.startsWith("{FILES}") || size({mounting}) <= 1)',
        "Files of secrets belong to one container.",
    )
    guarded = [name for name, kinds in volumes.items() if any(not volume_kinds(k) <= PLAIN_VOLUMES for k in kinds)]
    yield _over(guarded)
    for name in guarded:
        yield _guarded(source, name)


def _over(guarded: list[str]) -> Rule:
    """Return the rule that nothing else is mounted where files of secrets, or the template's own, are."""
    folders = (
        'm.mountPath == f.mountPath || m.mountPath.startsWith(f.mountPath + "/") ||'
        ' f.mountPath.startsWith(m.mountPath.endsWith("/") ? m.mountPath : m.mountPath + "/")'
    )
    # No empty step, and none that is . or ..; a folder's name may begin with a dot.
    plain = '!m.mountPath.matches("//|/[.][.]?(/|$)")'
    holds = f'f.name.startsWith("{FILES}") || f.name in {cel.literal(guarded)}'
    return Rule(
        f"variables.others.all(c, !has(c.volumeMounts) || !c.volumeMounts.exists(f, {holds}) ||"
        f" (c.volumeMounts.all(m, {plain}) && c.volumeMounts.all(f,"
        f" !({holds}) || c.volumeMounts.all(m, m == f || !({folders})))))",
        "Nothing is mounted over files of credentials.",
    )


def _guarded(source: Source, volume: str) -> Rule:
    """Return the rule that a template's volume of credentials is mounted as the template has it."""
    options = [f"m.name != {cel.literal(volume)}"]
    for name, containers in by_name(source).items():
        for container in containers:
            for mount in container.get("volumeMounts") or ():
                if mount["name"] == volume:
                    is_same = cel.equals("m", mount, others=["readOnly", "recursiveReadOnly"])
                    options.append(f"c.name == {cel.literal(name)} && {is_same}")
    return Rule(
        f"variables.containers.all(c, !has(c.volumeMounts) || c.volumeMounts.all(m, {cel.any_of(options)}))",
        f"Volume {volume} holds credentials: only the containers that the template gives it to mount it.",
    )
