"""How an error reaches Airflow: as the one exception that it does not answer by asking the next backend.

Airflow swallows every other exception of a secrets backend and goes on: a same-named secret elsewhere would
answer, or the user would read "isn't defined". AirflowSecretsBackendAccessDenied came with task SDK 1.2.2.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

from airflow_k8s_vault.errors import ConfigError, VaultError, VaultUnavailable
from airflow_k8s_vault.traceback_guard import traceback_guard

Method = TypeVar("Method", bound=Callable[..., Any])


def _unexpected(sentence: str) -> VaultError:
    # A mistake of our own must not look like "not defined" either.
    return VaultError(f"The look-up failed with {sentence}")


def stops_airflow(look_up: Method) -> Method:
    """Decorate a look-up of the backend: whatever goes wrong stops Airflow's search, as the setting wants it.

    What it raises, an interrupt too, has no value in its frames.
    """
    guarded = traceback_guard(unexpected=_unexpected)(look_up)

    @functools.wraps(look_up)
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return guarded(self, *args, **kwargs)
        except VaultError as error:
            failure = for_airflow(error, self.settings.fall_through)
        raise failure

    @functools.wraps(look_up)
    async def wrapped_coroutine(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return await guarded(self, *args, **kwargs)
        except VaultError as error:
            failure = for_airflow(error, self.settings.fall_through)
        raise failure

    return wrapped_coroutine if inspect.iscoroutinefunction(look_up) else wrapped  # type: ignore[return-value]


def for_airflow(error: VaultError, fall_through: str) -> Exception:
    """Return the exception to raise: one that stops Airflow's search, unless the setting lets it go on.

    It is of the error's own class too, so that callers of ours can tell refused from unavailable.
    """
    if fall_through == "always" or (fall_through == "unavailable" and isinstance(error, VaultUnavailable)):
        return type(error)(str(error))
    return _stopping(type(error))(str(error))  # type: ignore[arg-type]


@cache
def _stopping(kind: type[VaultError]) -> type[Exception]:
    denied = _access_denied()
    # Another process gets the error without Airflow's half, which has no name to be found by.
    travels = {"__reduce__": lambda self: (kind, (str(self),))}
    return type(kind.__name__, (kind, denied), {"__doc__": kind.__doc__, "__module__": kind.__module__, **travels})


def _access_denied() -> type[Exception]:
    # Imported at the first error: airflow.configuration imports the backend while it is importing itself.
    from airflow.sdk.exceptions import AirflowSecretsBackendAccessDenied

    return AirflowSecretsBackendAccessDenied


def refuse_old_airflow(fall_through: str) -> None:
    """Raise ConfigError where this Airflow cannot be stopped from asking the next backend."""
    if fall_through == "always":
        return
    try:
        _access_denied()
    except ImportError:
        raise ConfigError(
            "This Airflow's task SDK has no AirflowSecretsBackendAccessDenied (it came with 1.2.2): where Vault "
            "refuses a secret, Airflow would take a same-named one from its next backend.\n"
            "  Upgrade Airflow, or accept that with fall_through 'always' "
            "(AIRFLOW__SECRETS__BACKEND_KWARG__FALL_THROUGH)."
        ) from None
