"""What fieldRef says of a pod, in env and in downwardAPI volumes (pkg/fieldpath).

Needed by templates with downwardAPI, and by the token volume that every pod has.
"""

from __future__ import annotations

import json
import re

from k8s_vault_devcluster.store import Object

# Paths that can be asked for; `metadata.labels` and `metadata.annotations` as a whole only in volumes.
ENV_FIELDS = (
    *("metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName"),
    *("status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs"),
)
VOLUME_FIELDS = ("metadata.name", "metadata.namespace", "metadata.uid", "metadata.labels", "metadata.annotations")
SUBSCRIPT = re.compile(r"metadata\.(labels|annotations)\['(.+)'\]")


def field(pod: Object, path: str) -> str:
    """Return the value of a field path; a missing label or annotation is "".

    >>> field({"metadata": {"labels": {"team": "a"}}}, "metadata.labels['team']")
    'a'
    """
    match = SUBSCRIPT.fullmatch(path)
    if match:
        return str(pod["metadata"].get(match[1], {}).get(match[2], ""))
    if path in ("metadata.labels", "metadata.annotations"):
        values = pod["metadata"].get(path.partition(".")[2]) or {}
        return "\n".join(f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in sorted(values.items()))
    if path in ("status.podIPs", "status.hostIPs"):
        return ",".join(item["ip"] for item in pod["status"].get(path.partition(".")[2], []))
    section, _, name = path.partition(".")
    return str(pod[section].get(name, ""))
