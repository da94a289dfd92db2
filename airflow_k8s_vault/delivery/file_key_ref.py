"""Whether the cluster can give a container variables from a file: `fileKeyRef` (KEP-3721)."""

from __future__ import annotations

from typing import cast

from kubernetes.client import ApiClient, ApiException, VersionApi

from airflow_k8s_vault import causes
from airflow_k8s_vault.delivery.attempts import attempt
from airflow_k8s_vault.errors import DeliveryRefused

# It is there from 1.34 behind the gate EnvFiles, which an API server without it answers with 422.
_SINCE, _SURE_SINCE = (1, 34), (1, 35)


def require_file_key_ref(api: ApiClient) -> None:
    """Raise DeliveryRefused where the cluster is too old to know the field."""
    version, name = _version(api)
    if version < _SINCE:
        raise _missing(f"it is {name}")


def version_without_file_key_ref(api: ApiClient) -> str | None:
    """Return the cluster's version where it may not know the field, None where it does whatever its gates."""
    version, name = _version(api)
    return None if version >= _SURE_SINCE else name


def _version(api: ApiClient) -> tuple[tuple[int, int], str]:
    version = attempt("ask for the version of Kubernetes", VersionApi(api).get_code)
    # Some add to the number, as in "33+".
    return (int(version.major), int("".join(filter(str.isdigit, version.minor)))), str(version.git_version)


def explained_refusal(refusal: ApiException) -> Exception:
    """Return what a refused pod means: DeliveryRefused where the field is not known, else the refusal itself."""
    if refusal.status == 422 and "valueFrom" in str(refusal.body):
        return _missing("its API server does not know the field")
    return cast(Exception, refusal)


def _missing(why: str) -> DeliveryRefused:
    return DeliveryRefused(
        f"This cluster cannot give a container environment variables from a file (fileKeyRef): {why}, and "
        "fileKeyRef needs Kubernetes 1.35, or 1.34 with the feature gate EnvFiles.\n"
        '  Give the secret a file= instead of env=, use delivery="secret" (for all tasks: [k8s_vault] '
        "default_delivery = auto), or upgrade the cluster."
        f"{causes.run('CLUSTER-FILE-KEY-REF')}"
    )
