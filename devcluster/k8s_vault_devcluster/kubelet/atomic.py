"""Write the files of a volume in one step: `..data` is a link to the current set, and replacing it replaces all.

pkg/volume/util/atomic_writer.go. Applications watch `..data`, and a reader never sees half of an update.

Needed by Secret and projected volumes: the agent reads its token while the kubelet renews it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from k8s_vault_devcluster.kubelet.projection import Files


def write(folder: Path, files: Files) -> None:
    """Make `folder` hold exactly `files`; nothing is touched where it does already."""
    data = folder / "..data"
    if data.is_symlink() and _same(data, files):
        return
    old = os.readlink(data) if data.is_symlink() else None
    new = Path(tempfile.mkdtemp(prefix="..", dir=folder))
    new.chmod(0o755)
    for path, (content, mode) in files.items():
        _write(new, path, content, mode)
    draft = folder / "..data_tmp"
    draft.symlink_to(new.name)
    draft.rename(data)
    _link(folder, {path.partition("/")[0] for path in files})
    if old:
        shutil.rmtree(folder / old, ignore_errors=True)


def _same(data: Path, files: Files) -> bool:
    result = {str(path.relative_to(data)): path for path in data.rglob("*") if path.is_file()}
    return result.keys() == files.keys() and all(
        result[path].read_bytes() == content and result[path].stat().st_mode & 0o777 == mode & 0o777
        for path, (content, mode) in files.items()
    )


def _write(folder: Path, path: str, content: bytes, mode: int) -> None:
    target = folder / path
    for parent in reversed(target.relative_to(folder).parents[:-1]):
        (folder / parent).mkdir(exist_ok=True)
        (folder / parent).chmod(0o755)
    target.touch(mode=0o600)
    target.write_bytes(content)
    target.chmod(mode & 0o777)


def _link(folder: Path, names: set[str]) -> None:
    for name in names:
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"..data/{name}")
    for result in folder.iterdir():
        if not result.name.startswith("..") and result.name not in names:
            result.unlink()
