"""How policies and roles are written down: HCL, the API's JSON, Terraform, and commands."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from airflow_k8s_vault.compile.vault.policy import Policy, quoted
from airflow_k8s_vault.compile.vault.role import Role

FORMATS = ("policy", "json", "terraform", "cli")
_RESOURCES = {"kubernetes": "vault_kubernetes_auth_backend_role", "jwt": "vault_jwt_auth_backend_role"}


def written(kind: str, policies: Sequence[Policy], roles: Sequence[Role], namespace: str) -> str:
    """Return all of it in one format; namespace: Vault's, "" for the root one."""
    if kind == "policy":
        return "\n".join(f"# {policy.name}.hcl\n{policy.text()}" for policy in policies)
    if kind == "json":
        return json.dumps(vault_requests(policies, roles, namespace), indent=2) + "\n"
    if kind == "terraform":
        return "\n".join(
            [*(_policy_resource(p, namespace) for p in policies), *(_role_resource(r, namespace) for r in roles)]
        )
    return _commands(policies, roles, namespace)


def vault_requests(policies: Iterable[Policy], roles: Iterable[Role], namespace: str = "") -> list[dict[str, Any]]:
    """Return the requests to Vault's API, policies first: a role of a policy that is not there gives nothing."""
    head = {"namespace": namespace} if namespace else {}
    made: list[dict[str, Any]] = [
        {"method": "PUT", "path": f"sys/policies/acl/{policy.name}", **head, "data": {"policy": policy.text()}}
        for policy in policies
    ]
    made += [{"method": "POST", "path": role.path, **head, "data": dict(role.parameters)} for role in roles]
    return made


def _commands(policies: Iterable[Policy], roles: Iterable[Role], namespace: str) -> str:
    lines = ["# With OpenBao: VAULT_CLI=bao"]
    if namespace:
        lines.append(f"export VAULT_NAMESPACE={shlex.quote(namespace)} BAO_NAMESPACE={shlex.quote(namespace)}")
    for policy in policies:
        lines += [f"\"${{VAULT_CLI:-vault}}\" policy write {policy.name} - <<'EOF'", policy.text() + "EOF"]
    for role in roles:
        # As JSON: a list of one, a boolean and a map all stay what they are.
        body = json.dumps(dict(role.parameters), indent=2)
        lines += [f"\"${{VAULT_CLI:-vault}}\" write {role.path} - <<'EOF'", body, "EOF"]
    return "\n".join(lines) + "\n"


def _policy_resource(policy: Policy, namespace: str) -> str:
    # An indented heredoc: the policy keeps its own lines. Terraform reads ${ and %{ in it.
    text = "".join(
        f"    {line}\n" for line in policy.text().replace("${", "$${").replace("%{", "%%{").splitlines()
    )
    heredoc = f"<<-EOT\n{text}  EOT"
    return _resource("vault_policy", policy.name, {"name": quoted(policy.name), "policy": heredoc}, namespace)


def _role_resource(role: Role, namespace: str) -> str:
    arguments = {"backend": role.mount, "role_name": role.name, **role.parameters}
    written = {key: _value(value) for key, value in arguments.items()}
    return _resource(_RESOURCES[role.method], f"{role.mount}-{role.name}", written, namespace)


def _resource(kind: str, name: str, arguments: Mapping[str, str], namespace: str) -> str:
    # A name of Terraform's has letters, digits, _ and -, and no digit first.
    label = re.sub("[^A-Za-z0-9_-]", "_", name)
    label = label if not label[:1].isdigit() else f"_{label}"
    given = {**({"namespace": quoted(namespace)} if namespace else {}), **arguments}
    # As `terraform fmt` aligns them: a map stands for itself, and here comes last.
    maps = {key: value for key, value in given.items() if value.startswith("{")}
    width = max(len(key) for key in given if key not in maps)
    lines = "".join(f"  {key:{width}} = {value}\n" for key, value in given.items() if key not in maps)
    lines += "".join(f"  {key} = {value}\n" for key, value in maps.items())
    return f"resource {quoted(kind)} {quoted(label)} {{\n{lines}}}\n"


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        width = max((len(quoted(key)) for key in value), default=0)
        items = "".join(f"    {quoted(key):{width}} = {_value(item)}\n" for key, item in value.items())
        return f"{{\n{items}  }}"
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    return quoted(value) if isinstance(value, str) else str(value)
