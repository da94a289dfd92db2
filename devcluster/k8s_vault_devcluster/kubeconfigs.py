"""Kubeconfigs that act as somebody else than the administrator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from k8s_vault_devcluster import private_file


def with_token(kubeconfig: Path, token: str, to: Path) -> Path:
    """Write a copy of the kubeconfig, its users replaced by the token, which its owner alone can read."""
    content: dict[str, Any] = yaml.safe_load(kubeconfig.read_text())
    for user in content["users"]:
        user["user"] = {"token": token}
    private_file.write(to, yaml.safe_dump(content))
    return to
