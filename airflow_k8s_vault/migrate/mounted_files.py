"""The files that a container sees at one of its mounts, of a Secret or of a CSI volume."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_k8s_vault.vault_file import MODES


class MountedFiles:
    """The files that a container sees of a Secret, or of what a class provides, at one mount."""

    def __init__(self, secret: str, items: Any, mode: Any, container: str, mount: Mapping[str, Any]) -> None:
        self.secret = secret
        self.mode = mode
        self.container = container
        self.at = str(mount.get("mountPath")).rstrip("/")
        self.sub_path = str(mount.get("subPath") or "").strip("/")
        self.items = {str(item.get("path")): str(item.get("key")) for item in items}
        own = {str(item.get("path")): item.get("mode") for item in items}
        self.modes = {
            path.rpartition("/")[2]: octal_mode(mode if own[path] is None else own[path]) for path in own
        }
        self.is_file = bool(self.sub_path) and not any(path.startswith(f"{self.sub_path}/") for path in self.items)
        if self.is_file:
            directory, _, file = self.at.rpartition("/")
            self.modes[file] = self.modes.get(self.sub_path.rpartition("/")[2], octal_mode(mode))
            self.comments = [f"It hides what else the image has in {directory}, which a subPath does not."]
        else:
            self.comments = []

    def keys(self) -> dict[str, str]:
        """Return path below the mount to key, of the files that are named; empty: they are all of the Secret."""
        if self.is_file:
            return {self.at.rpartition("/")[2]: self.items.get(self.sub_path, self.sub_path)}
        below = f"{self.sub_path}/" if self.sub_path else ""
        return {path.removeprefix(below): key for path, key in self.items.items() if path.startswith(below)}

    def by_directory(self, keys: Mapping[str, str]) -> dict[str, dict[str, str]]:
        """Return the directories in which these lie, each with file to key."""
        top = self.at.rpartition("/")[0] if self.is_file else self.at
        result: dict[str, dict[str, str]] = {}
        for path, key in keys.items():
            folder, _, file = path.rpartition("/")
            result.setdefault(f"{top}/{folder}" if folder else top, {})[file] = key
        return result


def octal_mode(mode: Any) -> str | None:
    """Return the nearest mode of a VaultFile that gives no more than this; None for what everybody may read."""
    if not isinstance(mode, int) or mode & 0o004:
        return None
    text = f"{mode & 0o555:04o}"
    return text if text in MODES else "0400"
