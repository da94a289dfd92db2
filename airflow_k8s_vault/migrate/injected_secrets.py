"""What the Vault Agent Injector and bank-vaults give a pod by annotations: what the task asks for instead.

https://developer.hashicorp.com/vault/docs/deploy/kubernetes/injector/annotations and
https://bank-vaults.dev/docs/mutating-webhook/annotations/
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from airflow_k8s_vault.migrate.draft import Draft
from airflow_k8s_vault.migrate.needed import TODO, Needed
from airflow_k8s_vault.migrate.origins import named_path, reference, references
from airflow_k8s_vault.migrate.vault_values import of_value, placed
from airflow_k8s_vault.policy import FieldPath
from airflow_k8s_vault.vault_file import DIRECTORY, MODES

_INJECTOR = "vault.hashicorp.com/"
_BANK_VAULTS = (
    "vault.security.banzaicloud.io/",
    "vault.security.bank-vaults.io/",
    "secrets-webhook.security.bank-vaults.io/",
)
_OWN = "the package's own agent does it"
_SETTINGS = {
    "service": "[k8s_vault] vault_addr",
    "vault-addr": "[k8s_vault] vault_addr",
    "namespace": "[k8s_vault] vault_namespace",
    "vault-namespace": "[k8s_vault] vault_namespace",
    "auth-path": "[k8s_vault] vault_auth_mount",
    "vault-path": "[k8s_vault] vault_auth_mount",
    "ca-cert": "[k8s_vault] vault_cacert",
    "agent-image": "[k8s_vault] vault_agent_image",
    "vault-image": "[k8s_vault] vault_agent_image",
}
# {{ .Data.data.password }} of KV 2, {{ .Data.password }} of the others, {{ index .Data.data "pass-word" }}.
_KEY = r"\{\{-?\s*(?:\.Data(?:\.data)?\.([A-Za-z0-9_]+)|index\s+\.Data(?:\.data)?\s+\"([^\"]+)\")\s*-?\}\}"
_EXPORT = re.compile(rf"(?<![A-Za-z0-9_])([A-Za-z_][A-Za-z0-9_]*)=[\"']?{_KEY}[\"']?")
_ONLY_KEY = re.compile(_KEY)


def take(draft: Draft) -> None:
    """Take the annotations, and bank-vaults' references in variables, out of the draft."""
    given = dict(draft.metadata.get("annotations") or {})
    secrets = {
        key.removeprefix(f"{_INJECTOR}agent-inject-secret-"): str(path)
        for key, path in given.items()
        if key.startswith(f"{_INJECTOR}agent-inject-secret-")
    }
    for name, vault in secrets.items():
        draft.needed += _injected(draft, given, name, vault)
    for key, value in given.items():
        prefix = next((prefix for prefix in (_INJECTOR, *_BANK_VAULTS) if key.startswith(prefix)), None)
        if prefix:
            _annotation(draft, key, key.removeprefix(prefix), str(value))
    for path, container in list(draft.containers()):
        for variable in list(container.get("env") or ()):
            _variable(draft, path, variable)


def _annotation(draft: Draft, key: str, name: str, value: str) -> None:
    path = ("metadata", "annotations", key)
    if name in ("role", "vault-role"):
        draft.team.setdefault("vault_role", value)
        draft.take(path, "team.yaml", "vault_role")
    elif name in _SETTINGS:
        draft.take(path, "left out", f"say it once, in {_SETTINGS[name]}")
    elif name.startswith(("agent-inject-secret-", "agent-inject-template-", "agent-inject-file-")):
        draft.take(path, "VaultSecret", "by vault_secrets")
    elif name == "vault-env-from-path":
        for each in filter(None, map(str.strip, value.split(","))):
            vault, engine = named_path(each)
            comment = f"TODO: the keys of {vault} that the program reads as variables."
            draft.needed.append(Needed(vault, {**_engine(engine), "env": [f"{TODO}_KEY"]}, (comment,)))
        draft.take(path, "VaultSecret", "by vault_secrets")
    else:
        draft.take(path, "left out", _OWN)


def _engine(engine: str) -> dict[str, str]:
    return {} if engine == "kv2" else {"engine": engine}


def _injected(draft: Draft, annotations: Mapping[str, Any], name: str, path: str) -> list[Needed]:
    """Return one secret of the injector for each of the containers that get it."""
    vault, engine = named_path(path)
    comments = []
    if engine == "kv1":
        comments.append(f"TODO: engine: the path shows no KV 2 ('{vault.partition('/')[0]}/data/…').")
    if "/issue/" in vault:
        comments.append(
            "TODO: parameters= of the certificate (common_name, ttl), and the path in the team's update."
        )
    template = str(annotations.get(f"{_INJECTOR}agent-inject-template-{name}", ""))
    variables = {match[0]: match[1] or match[2] for match in _EXPORT.findall(template)}
    named = _written(annotations, "agent-inject-containers", name).split(",")
    containers = [each.strip() for each in named if each.strip()] or [c["name"] for c in draft.spec["containers"]]
    if variables:
        comments.append("The command reads them as variables: it need not source a file any more.")
        made: dict[str, Any] = {**_engine(engine), "env": variables}
        return [Needed(vault, {**made, "container": each}, tuple(comments)) for each in containers]
    made = {**_engine(engine), **_file(annotations, name, template, comments)}
    directory = _written(annotations, "secret-volume-path", name).rstrip("/") or DIRECTORY
    return [placed(Needed(vault, made, tuple(comments)), directory, each) for each in containers]


def _written(annotations: Mapping[str, Any], kind: str, name: str) -> str:
    """Return what an annotation says of one secret, or else of all."""
    own = annotations.get(f"{_INJECTOR}{kind}-{name}")
    return str(own if own is not None else annotations.get(f"{_INJECTOR}{kind}", ""))


def _file(annotations: Mapping[str, Any], name: str, template: str, comments: list[str]) -> dict[str, Any]:
    """Return file, key and mode of one secret, and add to the comments what is another than it was."""
    file = str(annotations.get(f"{_INJECTOR}agent-inject-file-{name}", name)).rpartition("/")[2] or name
    made = {"file": file}
    only = _ONLY_KEY.fullmatch(re.sub(r"\{\{-?\s*(with|end)[^}]*\}\}", "", template).strip())
    if only:
        made["key"] = only[1] or only[2]
    elif template:
        comments.append(f"TODO: a template wrote {file}; this has the whole secret, as JSON.")
    else:
        comments.append(f"The injector wrote lines of key: value into {file}; this is JSON. key= gives one value.")
    mode = _written(annotations, "agent-inject-perms", name).zfill(4)
    return made | ({"mode": mode} if mode in MODES else {})


def _variable(draft: Draft, path: FieldPath, variable: Mapping[str, Any]) -> None:
    """Take a variable whose value bank-vaults replaces: vault:secret/data/payments#password."""
    value, name = str(variable.get("value") or ""), str(variable.get("name"))
    values = references(value)
    if not values:
        return
    first = values[0]
    needed = of_value(first, {"env": {name: first.key}, "container": path[2]})
    if reference(value) is None:
        what = " and ".join(dict.fromkeys(f"'{each.key}' of {each.path}" for each in values))
        comment = (
            f"TODO: {name} held more than this one value ({what}): put it together in the program, or by $(…)."
        )
        needed = needed._replace(comments=(*needed.comments, comment))
    draft.needed.append(needed)
    draft.take((*path, "env", name), "VaultSecret", f"by vault_secrets: key '{first.key}' of {first.path}")
