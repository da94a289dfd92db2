"""What an API server may answer instead of what was requested."""

from __future__ import annotations

import msgspec

from airflow_k8s_vault.errors import K8sVaultError


class PodGone(K8sVaultError):
    """The pod is there no more; a pod of the same name with another UID is another pod."""


class WatchUnavailable(K8sVaultError):
    """These pods cannot be watched: this account may neither watch nor list them, or the watch has a defect."""


class _Cause(msgspec.Struct):
    reason: str | None = None


class _Details(msgspec.Struct, rename="camel"):
    retry_after_seconds: float = 0
    causes: list[_Cause] | None = None


class _Status(msgspec.Struct, rename="camel"):
    code: int = 0
    reason: str | None = None
    message: str | None = None
    details: _Details | None = None


_STATUS = msgspec.json.Decoder(_Status)


class ApiError(K8sVaultError):
    """A request failed. status: HTTP's, 0 where there was no answer or one that is no JSON.

    retry_after_seconds: how long the server wants to be left alone. is_of_version: whether nothing can go on from
    the version that was named (too old, or of a time that a restored server has not seen), or from where the list
    was.
    """

    def __init__(
        self, status: int, message: str, retry_after_seconds: float = 0, is_of_version: bool = False
    ) -> None:
        super().__init__(f"{status} {message}" if status else message)
        self.status, self.retry_after_seconds = status, retry_after_seconds
        self.is_of_version = is_of_version or status in (400, 410, 422)

    @classmethod
    def of(cls, content: bytes | msgspec.Raw, status: int = 0, retry_after: str | None = None) -> ApiError:
        """Return the error that a v1 Status in JSON tells of, with HTTP's status and Retry-After header."""
        try:
            shown = _STATUS.decode(content)
        except msgspec.DecodeError:
            shown = _Status()
        wait = shown.details.retry_after_seconds if shown.details else 0.0
        # Its other form, a date, is not what Kubernetes sends.
        if retry_after and retry_after.isdigit():
            wait = max(wait, float(retry_after))
        causes = shown.details.causes if shown.details else None
        too_large = any(cause.reason == "ResourceVersionTooLarge" for cause in causes or ())
        return cls(status or shown.code, shown.message or shown.reason or "without a reason", wait, too_large)
