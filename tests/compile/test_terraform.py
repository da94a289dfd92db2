"""`compile vault --format terraform`, as Terraform itself reads it: the same policies and roles as in JSON.

The provider comes from its registry alone, so that what its resources take is written down here.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.commands.test_templates import run
from tests.compile.conftest import add
from tests.compile.test_vault import dags, requests_of  # noqa: F401 - a fixture

TERRAFORM = shutil.which("terraform") or shutil.which("tofu")
# Of hashicorp/vault 5.6: docs/resources/{policy,kubernetes_auth_backend_role,jwt_auth_backend_role}.md.
_TOKEN = {f"token_{name}" for name in ("ttl", "max_ttl", "explicit_max_ttl", "period", "num_uses", "policies")}
_TOKEN |= {"token_type", "token_bound_cidrs", "token_no_default_policy", "namespace", "backend", "role_name"}
_BOUND = {"bound_service_account_names", "bound_service_account_namespaces", "audience", "alias_name_source"}
_CLAIMS = {"role_type", "user_claim", "bound_subject", "bound_audiences", "bound_claims", "claim_mappings"}
ARGUMENTS = {
    "vault_policy": {"name", "namespace", "policy"},
    "vault_kubernetes_auth_backend_role": _TOKEN | _BOUND,
    "vault_jwt_auth_backend_role": _TOKEN | _CLAIMS,
}


def terraform(folder: Path, *words: str) -> str:
    environment = {**os.environ, "TF_CLI_CONFIG_FILE": os.devnull, "CHECKPOINT_DISABLE": "1"}
    command = [str(TERRAFORM), f"-chdir={folder}", *words]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def evaluated(folder: Path, text: str) -> list[tuple[str, dict[str, Any]]]:
    """Return the resources as Terraform evaluates them; as outputs they need no provider."""
    named: list[str] = []

    def output(match: re.Match[str]) -> str:
        named.append(match[1])
        return f'output "{match[2]}" {{\nvalue = {{'

    (folder / "main.tf").write_text(
        re.sub(r"(?m)^\}$", "}\n}", re.sub(r'(?m)^resource "(\w+)" "([^"]+)" \{$', output, text))
    )
    terraform(folder, "apply", "-auto-approve")
    values = json.loads(terraform(folder, "output", "-json"))
    assert len(named) == len(values)
    # Those of policies have names of their own: `airflow-…`, where a role's starts with its mount.
    kinds = dict(zip(re.findall(r'(?m)^resource "\w+" "([^"]+)" \{$', text), named, strict=True))
    return [(kinds[label], entry["value"]) for label, entry in values.items()]


def as_request(kind: str, values: dict[str, Any]) -> dict[str, Any]:
    """Return the request to Vault's API that the provider makes of a resource."""
    namespace = {"namespace": values.pop("namespace")} if "namespace" in values else {}
    if kind == "vault_policy":
        path = f"sys/policies/acl/{values.pop('name')}"
        return {"method": "PUT", "path": path, **namespace, "data": values}
    path = f"auth/{values.pop('backend')}/role/{values.pop('role_name')}"
    return {"method": "POST", "path": path, **namespace, "data": values}


@pytest.mark.skipif(TERRAFORM is None, reason="neither terraform nor tofu is on the PATH")
@pytest.mark.parametrize("method", ["kubernetes", "jwt"])
def test_terraform_reads_the_same_policies_and_roles_and_formats_nothing_anew(
    method: str,
    dags: Path,  # noqa: F811
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AIRFLOW__K8S_VAULT__VAULT_AUTH_METHOD", method)
    monkeypatch.setenv("AIRFLOW__K8S_VAULT__VAULT_NAMESPACE", "teams/${a}")
    file = dags / "science.py"
    file.write_text(file.read_text().replace("nested/deep/key", 'nested/${a} %{if} \\\\ \\"quoted\\"'))
    add(folder / "data-science/team.yaml", "identity: dag\ntoken_bound_cidrs: [10.0.0.0/8]")
    words = ("--dags", dags)
    text = run("compile", "vault", "--format", "terraform", *words).out
    (written := tmp_path / "written").mkdir()
    (written / "main.tf").write_text(text)
    resources = evaluated(tmp_path, text)

    assert [] == [
        (kind, values.keys() - ARGUMENTS[kind]) for kind, values in resources if values.keys() - ARGUMENTS[kind]
    ]
    made = sorted((as_request(kind, values) for kind, values in resources), key=lambda r: str(r["path"]))
    assert sorted(requests_of(*words), key=lambda r: str(r["path"])) == made
    terraform(written, "fmt", "-check", "-diff")
