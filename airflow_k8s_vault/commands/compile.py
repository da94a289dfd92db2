"""`airflow k8s-vault compile …`: what the teams' files say, as what Kubernetes and Vault take."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from airflow_k8s_vault.commands import compile_sources, output
from airflow_k8s_vault.compile import kubernetes_objects
from airflow_k8s_vault.compile import vault as compiled
from airflow_k8s_vault.compile.vault import written


@output.reports_errors
def kubernetes(arguments: Namespace) -> int:
    """Print the teams' objects as YAML for `kubectl apply --server-side -f -`."""
    sources = compile_sources.read(arguments)
    matches = [obj for source in sources for obj in kubernetes_objects(source)]
    print(text(matches), end="")
    return 0


@output.reports_errors
def vault(arguments: Namespace) -> int:
    """Print the teams' policies and roles, or write the policies to files."""
    sources = compile_sources.read(arguments)
    policies = [policy for source in sources for policy in compiled.policies(source)]
    roles = [role for source in sources for role in compiled.roles(source)]
    if arguments.out:
        folder = Path(arguments.out)
        folder.mkdir(parents=True, exist_ok=True)
        for policy in policies:
            (folder / f"{policy.name}.hcl").write_text(policy.text())
        return 0
    print(written(arguments.format, policies, roles, sources[0].login.namespace), end="")
    return 0


def text(objects: Iterable[Mapping[str, Any]]) -> str:
    """Return the objects as YAML documents: each on its own, so that none refers to another's text."""
    return "".join(
        yaml.dump(obj, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=10**6, explicit_start=True)
        for obj in objects
    )


# The same bytes as the one in Python writes, in a tenth of its time. PyYAML may have been built without it.
class _Plain(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    def ignore_aliases(self, data: object) -> bool:
        return True
