"""The rules on the Vault agent's container: it is as delivery `agent` adds it, but for the list of secrets."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from airflow_k8s_vault.compile import cel
from airflow_k8s_vault.compile.admission.container_rules import DEFAULTED
from airflow_k8s_vault.compile.admission.rule import Rule
from airflow_k8s_vault.compile.admission.volume_rules import AGENT, FILES, TOKEN
from airflow_k8s_vault.compile.source import Source
from airflow_k8s_vault.delivery import agent
from airflow_k8s_vault.delivery.agent import CONFIG, LIMIT
from airflow_k8s_vault.vault_secret import VaultSecret

_LIST = '"template": ['
# Each differs from pod to pod, and has a rule of its own.
_VARIABLE = frozenset({"env", "lifecycle", "volumeMounts", "securityContext"})
# Templates of the agent as JSON has them: these keys, and text of any kind. As short as can be: to match costs the
# API server the length of the text times that of the pattern.
_KEYS = "contents|destination|error_on_missing_key|perms"
_TEMPLATES = rf'^(\{{("({_KEYS})": ("([^"\\]|\\.)*"|true)(, )?)+\}}(, )?)*(\]\}})?$'
_SECRETS = (
    VaultSecret("secret/team/one", env={"A": "key"}),
    VaultSecret("secret/team/two", file="two", key="key"),
    VaultSecret("database/creds/one", engine="dynamic", env={"B": "password"}),
)
# With these the agent asks less often: how often is the only other thing that differs in its configuration.
_WRITTEN = (*_SECRETS, VaultSecret("pki/issue/one", engine="dynamic", parameters={"ttl": "1h"}, env={"C": "c"}))


def of_agent(source: Source) -> Iterator[Rule]:
    """Yield the rules; that there is none where the team's tasks do not use this delivery."""
    if "agent" not in source.deliveries:
        yield Rule("size(variables.agents) == 0", "This team's tasks have no Vault agent: deliveries.")
        return
    sample = _sample(source)
    fixed = {key: value for key, value in sample.items() if key not in DEFAULTED | _VARIABLE}
    first = f"variables.inits[0].name == {cel.literal(agent.CONTAINER)}"
    yield Rule(f"size(variables.agents) == 0 || {first}", "The Vault agent is the first of the init containers.")
    yield Rule(
        'size(variables.agents) == 1 || !variables.volumes.exists(v, v.name in ["vault-token", "vault-env"])',
        "Where there are credentials there is the Vault agent, which ends them.",
    )
    keys = {*fixed, *_VARIABLE, *DEFAULTED}
    yield _rule(cel.equals("c", fixed, others=keys), "image, command and restartPolicy")
    yield _rule(_security(sample["securityContext"]), "securityContext")
    yield _rule(_lifecycle(sample["lifecycle"]), "lifecycle")
    yield _rule(cel.every(_resources(sample["resources"])), "resources")
    yield _rule(_mounts(sample["volumeMounts"]), "volumeMounts")
    yield from _environment(source, {entry["name"]: entry["value"] for entry in sample["env"]})


def _rule(term: str, what: str) -> Rule:
    return Rule(
        f"variables.agents.all(c, {term})", f"The Vault agent's {what} are as airflow-k8s-vault makes them."
    )


def _sample(source: Source, secrets: Sequence[VaultSecret] = _SECRETS) -> Mapping[str, Any]:
    """Return the agent's container as the delivery adds it to a pod."""
    base = {"name": "base", "image": "any"}
    pod: dict[str, Any] = {"spec": {"containers": [base], "activeDeadlineSeconds": 600}}
    attached = agent.attach(pod, secrets, source.login)
    result: Mapping[str, Any] = next(
        container for container in attached["spec"]["initContainers"] if container["name"] == agent.CONTAINER
    )
    return result


def _security(context: Mapping[str, Any]) -> str:
    users = ("runAsUser", "runAsGroup")
    fixed = {key: value for key, value in context.items() if key not in users}
    equal = cel.equals("c.securityContext", fixed, others=[*users, "procMount"])
    return f"has(c.securityContext) && {equal}"


def _resources(resources: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """Yield whether each amount is ours: the API server writes them anew, and a LimitRange may add others."""
    for kind, amounts in resources.items():
        for name, amount in amounts.items():
            at = f"c.resources.{kind}"
            same = f"quantity({at}[{cel.literal(name)}]).compareTo(quantity({cel.literal(amount)})) == 0"
            yield f"{cel.has_all('c', 'resources', kind)} && {cel.literal(name)} in {at} && {same}"


def _lifecycle(lifecycle: Mapping[str, Any]) -> str:
    """Return whether the hook is the one that waits, for files below /vault."""
    at = "c.lifecycle.postStart.exec.command"
    command = lifecycle["postStart"]["exec"]["command"]
    # `sh -c SCRIPT sh`, and then the files that it waits for.
    fixed = command[:4]
    terms = [cel.has_all("c", "lifecycle", "postStart", "exec", "command")]
    terms += [cel.keys_within("c.lifecycle", ["postStart"]), cel.keys_within("c.lifecycle.postStart", ["exec"])]
    terms += [f"size({at}) >= {len(fixed)}"]
    terms += [f"{at}[{index}] == {cel.literal(word)}" for index, word in enumerate(fixed)]
    files = f'{at}.all(w, w in {cel.literal(fixed)} || (w.startsWith("/vault/") && !w.contains("/../")))'
    return cel.every([*terms, files])


def _mounts(mounts: list[Mapping[str, Any]]) -> str:
    paths = {mount["name"]: mount["mountPath"] for mount in mounts if not mount["name"].startswith(FILES)}
    options = [
        f"m.name == {cel.literal(name)} && m.mountPath == {cel.literal(path)}" for name, path in paths.items()
    ]
    options.append(f'm.name.startsWith("{FILES}") && m.mountPath.startsWith("/vault/files/")')
    keys = cel.keys_within("m", ["name", "mountPath", "readOnly", "recursiveReadOnly"])
    needed = [f'c.volumeMounts.exists(m, m.name == "{name}")' for name in (AGENT, TOKEN)]
    return cel.every(["has(c.volumeMounts)", *needed, f"c.volumeMounts.all(m, {keys} && {cel.any_of(options)})"])


def _environment(source: Source, sample: Mapping[str, str]) -> Iterator[Rule]:
    """Yield the rules on the agent's variables: where Vault is, whom it logs in as, what it renders."""
    names = sorted({*sample, LIMIT})
    plain = cel.keys_within("e", ["name", "value"])
    once = "size(c.env.filter(f, f.name == e.name)) == 1"
    known = f"e.name in {cel.literal([*names, *agent.FURTHER_VARIABLES])}"
    yield _rule(f"has(c.env) && c.env.all(e, {plain} && {known} && {once})", "variables")
    fixed = {name: value for name, value in sample.items() if name not in (CONFIG, LIMIT)}
    for name, value in fixed.items():
        same = f"e.name != {cel.literal(name)} || (has(e.value) && e.value == {cel.literal(value)})"
        yield _rule(f"c.env.all(e, {same})", f"variables ({name})")
    needed = cel.literal([*fixed, CONFIG])
    yield _rule(f"{needed}.all(n, c.env.exists(e, e.name == n))", "variables (none is missing)")
    limit = f'e.name != "{LIMIT}" || (has(e.value) && e.value.matches("^[0-9]+$"))'
    yield _rule(f"c.env.all(e, {limit})", f"variables ({LIMIT})")
    yield _rule(f'c.env.all(e, e.name != "{CONFIG}" || ({_config(source)}))', f"variables ({CONFIG})")
    goes_on = f"has(e.value) && e.value.matches({cel.literal(_TEMPLATES)})"
    for name in agent.FURTHER_VARIABLES:
        # A rule for each: what one expression may cost is limited.
        yield _rule(f'c.env.all(e, e.name != "{name}" || ({goes_on}))', f"variables ({name})")


def _config(source: Source) -> str:
    """Return whether the configuration is ours up to the list of templates, and then a list of templates."""
    heads = [_head(source, secrets) for secrets in (_SECRETS, _WRITTEN)]
    begins = cel.any_of([f"e.value.startsWith({head})" for head in heads])
    # They are of one length, so that what is long is looked at once.
    rest = f"e.value.substring(size({heads[0]}))"
    return f"has(e.value) && {begins} && {rest}.matches({cel.literal(_TEMPLATES)})"


def _head(source: Source, secrets: Sequence[VaultSecret]) -> str:
    """Return the expression of the configuration's text up to the list of templates."""
    text = next(entry["value"] for entry in _sample(source, secrets)["env"] if entry["name"] == CONFIG)
    before, listed, _rest = text.partition(_LIST)
    begin = f"{before}{listed}"
    if source.team.walls.identity != "dag":
        return cel.literal(begin)
    # Each DAG's role is named as its service account is.
    first, _, last = begin.partition(json.dumps(source.login.role))
    return f"{cel.literal(first + chr(34))} + object.spec.serviceAccountName + {cel.literal(chr(34) + last)}"
