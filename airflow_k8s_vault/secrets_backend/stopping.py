"""How an error reaches Airflow: as the one exception that it does not answer by asking the next backend.

Airflow swallows every other exception of a secrets backend and goes on: a same-named secret elsewhere would
answer, or the user would read "isn't defined". AirflowSecretsBackendAccessDenied came with task SDK 1.2.2.
"""

from __future__ import annotations

import traceback
from functools import cache

from airflow_k8s_vault.errors import ConfigError, VaultError, VaultUnavailable


def for_airflow(error: VaultError, fall_through: str) -> Exception:
    """Return the exception to raise: one that stops Airflow's search, unless the setting lets it go on.

    It is of the error's own class too, so that callers of ours can tell refused from unavailable.
    """
    if fall_through == "always" or (fall_through == "unavailable" and isinstance(error, VaultUnavailable)):
        return type(error)(str(error))
    return _stopping(type(error))(str(error))  # type: ignore[arg-type]


def unexpected(error: Exception) -> VaultError:
    """Return an error that says where another one came from, without its text."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "an unknown place"
    return VaultError(f"The look-up failed with {type(error).__name__} at {where}.")


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
