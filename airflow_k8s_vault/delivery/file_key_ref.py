"""Whether the cluster can give a container variables from a file: `fileKeyRef` (KEP-3721)."""

from __future__ import annotations

from typing import cast

from kubernetes.client import ApiClient, ApiException, VersionApi

from airflow_k8s_vault.errors import DeliveryRefused

# It is there from 1.34 behind the gate EnvFiles, which an API server without it answers with 422.
_SINCE = (1, 34)


def require(api: ApiClient) -> None:
    """Raise DeliveryRefused where the cluster is too old to know the field."""
    version = VersionApi(api).get_code()
    result = (int(version.major), int("".join(filter(str.isdigit, version.minor))))
    if result < _SINCE:
        raise _missing(f"it is {version.git_version}")


def explained(refusal: ApiException) -> Exception:
    """Return what a refused pod means: DeliveryRefused where the field is not known, else the refusal itself."""
    if refusal.status == 422 and "valueFrom" in str(refusal.body):
        return _missing("its API server does not know the field")
    return cast(Exception, refusal)


def _missing(why: str) -> DeliveryRefused:
    return DeliveryRefused(
        f"This cluster cannot give a container environment variables from a file (fileKeyRef): {why}, and "
        "fileKeyRef needs Kubernetes 1.35, or 1.34 with the feature gate EnvFiles.\n"
        '  Give the secret a file= instead of env=, use delivery="secret", or upgrade the cluster.'
    )
