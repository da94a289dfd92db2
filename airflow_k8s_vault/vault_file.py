"""A file that a container gets: what it is called, where it lies, who may read it, and what it holds."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, final

from airflow_k8s_vault import vault_path

DIRECTORY = "/vault/secrets"
# The mount is read-only, so nobody may write; the first digit is the owner's.
DEFAULT_MODE = "0444"
MODES = ("0400", "0440", "0444", "0500", "0550", "0555")
DECODINGS = ("base64",)
_LONGEST_NAME_BYTES, _LONGEST_KEY_BYTES, _LONGEST_DIRECTORY_BYTES = 255, 4096, 3072
# Folders of an image or of Kubernetes in which a program looks for its own parts: a mount would hide them. Nothing
# below these either.
_SYSTEM = (
    *("/bin", "/boot", "/dev", "/lib", "/lib32", "/lib64", "/libx32", "/proc", "/run", "/sbin", "/sys", "/usr"),
    *("/var/run", "/var/lib", "/airflow/xcom", "/etc/ssl", "/etc/pki", "/etc/security", "/etc/pam.d"),
    *("/etc/ca-certificates", "/etc/alternatives", "/etc/kubernetes", "/etc/ld.so.conf.d", "/etc/profile.d"),
    *("/etc/apt", "/etc/cron.d", "/etc/default", "/etc/init.d", "/etc/skel", "/etc/sudoers.d", "/etc/systemd"),
)
# As in the check of the final pod: what looks like another folder could hide one.
_DIRECTORY = re.compile(r"[!-9;-~]*")


@final
@dataclass(frozen=True)
class VaultFile:
    """One file of a VaultSecret.

    name: of the file; no slash, 255 bytes at most. key: whose value it holds; None: the whole secret as JSON.
    mode: "0400", "0440", "0444" (default), or "0500", "0550", "0555". Without rights for all it belongs to the
    container's user, who has to be known (docs/vault-secret.md). directory: where it lies, an absolute path of two
    folders or more; /vault/secrets by default. decode: "base64" where the value is that of bytes.

    >>> VaultFile("tls.key", key="private_key", mode="0400").errors()
    []
    >>> VaultFile("tls.key", mode="0777", directory="/etc").errors()
    ["mode '0777' of file 'tls.key' is none of 0400, 0440, 0444, 0500, 0550, 0555.", "directory '/etc' of file \
'tls.key' is no place for files: give one of two folders or more that the image does not need ('/home/app/.dbt')."]
    """

    name: str
    key: str | None = field(default=None, kw_only=True)
    mode: str = field(default=DEFAULT_MODE, kw_only=True)
    directory: str = field(default=DIRECTORY, kw_only=True)
    decode: str | None = field(default=None, kw_only=True)

    def __init_subclass__(cls) -> None:
        raise TypeError("VaultFile has no subclasses: one could tell the checks and the delivery other things.")

    @property
    def path(self) -> str:
        """Where the container finds it."""
        return f"{self.directory}/{self.name}"

    @property
    def is_private(self) -> bool:
        """Whether not everybody in the container may read it."""
        return self.mode[-1:] == "0"

    def errors(self) -> list[str]:
        """Return one sentence for each thing that is wrong with it by itself."""
        errors = name_errors(self.name)
        shown = f"of file {self.name!r}"
        if type(self.mode) is not str or self.mode not in MODES:
            errors.append(f"mode {self.mode!r} {shown} is none of {', '.join(MODES)}.")
        errors += self._directory_errors()
        if self.key is not None:
            errors += key_errors(self.key)
        if self.decode is not None and (type(self.decode) is not str or self.decode not in DECODINGS):
            errors.append(f"decode {self.decode!r} {shown} is none of {', '.join(DECODINGS)}.")
        elif self.decode is not None and self.key is None:
            errors.append(f"decode {shown} needs key: the whole secret as JSON is not encoded.")
        return errors

    def _directory_errors(self) -> list[str]:
        directory: object = self.directory
        shown = f"directory {directory!r} of file {self.name!r}"
        if type(directory) is not str or not directory.startswith("/"):
            return [f"{shown} is no absolute path."]
        steps = directory[1:].split("/")
        if any(step in ("", ".", "..") for step in steps) or not _DIRECTORY.fullmatch(directory):
            return [
                f"{shown} is no plain path: ASCII without blanks or ':', no '.', '..' or empty part, no slash at "
                "its end."
            ]
        if vault_path.is_templated(directory) or len(directory.encode()) > _LONGEST_DIRECTORY_BYTES:
            return [f"{shown} is templated, or longer than {_LONGEST_DIRECTORY_BYTES} bytes: write out a shorter."]
        if len(steps) < 2 or any(f"{directory}/".startswith(f"{folder}/") for folder in _SYSTEM):
            return [
                f"{shown} is no place for files: give one of two folders or more that the image does not need "
                "('/home/app/.dbt')."
            ]
        return []


def copied(value: Any) -> Any:
    """Return what is exactly a VaultFile as a copy whose text is exactly str; anything else as it is."""
    if type(value) is not VaultFile:
        return value
    given = {name: getattr(value, name, None) for name in ("key", "mode", "directory", "decode")}
    return VaultFile(_plain(value.name), **{name: _plain(item) for name, item in given.items()})


def key_errors(key: object) -> list[str]:
    """What Vault takes as a key: any text. What looks like Jinja or cannot be seen is a mistake of the DAG's."""
    if type(key) is not str or not key:
        return [f"{key!r} is no key of a secret: give its name as text."]
    if vault_path.is_templated(key):
        return [f"{key!r} is no key of a secret: keys are not templated."]
    if not key.isprintable() or len(key.encode()) > _LONGEST_KEY_BYTES:
        return [f"{key!r} is no key of a secret: printable characters, {_LONGEST_KEY_BYTES} bytes at most."]
    return []


def name_errors(name: object) -> list[str]:
    """A file's name as Linux takes it; two dots first are what Kubernetes keeps for its own in a volume."""
    if type(name) is str and vault_path.is_templated(name):
        return [f"{name!r} is no file name: file names are not templated."]
    if type(name) is not str or not name or "/" in name or name == "." or name.startswith(".."):
        return [
            f"{name!r} is no file name: it has no slash, and no two dots first; directory= says where it will lie."
        ]
    if not name.isprintable() or len(name.encode()) > _LONGEST_NAME_BYTES:
        return [f"{name!r} is no file name: printable characters, {_LONGEST_NAME_BYTES} bytes at most."]
    return []


def _plain(value: Any) -> Any:
    return str.__str__(value) if issubclass(type(value), str) else value


class _Unwritable:
    """Stands for what no message could show: nested too deeply, or a number of thousands of digits."""

    def __repr__(self) -> str:
        return "<too deep or too long>"


_DEEPEST, _LARGEST = 10, 2**64


def plain_copy(value: Any, depth: int = 0) -> Any:
    """Return what a VaultSecret is given as a copy of plain types, in which text is exactly str."""
    # By the type, which an object cannot lie about, and by the type's own methods.
    if type(value) is str or value is None:
        return value
    if depth > _DEEPEST or (type(value) is int and abs(value) > _LARGEST):
        return _Unwritable()
    if issubclass(type(value), dict):
        return {plain_copy(key): plain_copy(item, depth + 1) for key, item in dict.items(value)}
    if type(value) in (list, tuple):
        return [plain_copy(item, depth + 1) for item in value]
    return str.__str__(value) if issubclass(type(value), str) else copied(value)
