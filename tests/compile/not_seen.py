"""Ways around that the admission policy cannot see, by the reason that docs/walls.md gives for each."""

from __future__ import annotations

import re

# Reason to the fields, and to the values where only some are meant.
REASONS: dict[str, list[tuple[str, str]]] = {
    "The API server itself refuses it, or never sees it in a pod of the namespace": [
        (r"metadata\.(namespace|generateName|deletionGracePeriodSeconds)", ""),
        (r"kind|apiVersion", ""),
        (r"spec\.(serviceAccount|priority)", ""),
        (r"metadata\.annotations\[owнer\]", ""),
        (r"spec\.containers\[base\]\.env\+", "ВATCH"),
        (r"spec\.containers\[base\]\.volumeMounts\+", "'/scratch'"),
        (r"spec\.volumes\+", "vаult-env"),
        (r"spec\.volumes\[(vault-env|xcom)\]", "object object"),
    ],
    "Which secrets, and which time limit, the task has: only the DAG knows": [
        (r"spec\.activeDeadlineSeconds", ""),
        (r"spec\.containers\[airflow-xcom-sidecar\]", "object object"),
        (r"spec\.containers\[base\]\.env\[WAREHOUSE_KEY\](\.value|\.valueFrom|\.valueFrom\.fileKeyRef\.key)?", ""),
        (r"spec\.containers\[base\]\.env\+", "'fileKeyRef': {'volumeName': 'vault-env'|'BATCH'|WAREHOUSE_KEY"),
        (r"spec\.containers\[base\]\.volumeMounts\[/vault/secrets\](\.name)?", ""),
    ],
    "A value that looks like a credential, where a DAG may set any": [
        (r"spec\.containers\[base\]\.(env\+|args)", "^(?!.*(valueFrom|WAREHOUSE_KEY))"),
        (r"spec\.(hostname|nodeSelector\[ghp_.*\])", ""),
        (r"spec\.initContainers\+", "workingDir"),
        (r"metadata\.(annotations|labels)\[(notes|token|api_key|ghp_.*)\]", ""),
    ],
}


def reason(field: str, value: object) -> str | None:
    """Return why the policy does not see this change; None where it has to."""
    for sentence, places in REASONS.items():
        for pattern, content in places:
            if re.fullmatch(pattern, field) and re.search(content, repr(value)):
                return sentence
    return None
