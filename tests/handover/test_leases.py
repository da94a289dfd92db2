"""Credentials live as long as the task may run; what cannot is said before the pod starts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from k8s_vault_devcluster.openbao import OpenBao

from airflow_k8s_vault import VaultSecret
from airflow_k8s_vault.delivery import bound_lifetime
from airflow_k8s_vault.errors import DeliveryRefused
from airflow_k8s_vault.handover.pod_values import PodValues
from airflow_k8s_vault.secret_value import SecretValue
from airflow_k8s_vault.vault import Session, Settings


def session(openbao: OpenBao, longest: str) -> Session:
    """Return a session of a token that lives for ten minutes, and `longest` at most."""
    body = {"policies": ["default"], "ttl": "10m", "explicit_max_ttl": longest}
    token = openbao.request("POST", "auth/token/create-orphan", body)["auth"]["client_token"]
    return Session(Settings(url=openbao.address), SecretValue(token))


def ttl(openbao: OpenBao, session: Session) -> int:
    assert session.token is not None
    body = {"token": session.token.reveal()}
    return int(openbao.request("POST", "auth/token/lookup", body)["data"]["ttl"])


DYNAMIC = VaultSecret("cubbyhole/made", engine="dynamic", env={"A": "a"})


@pytest.mark.parametrize("limit_seconds", [60, 3600])
def test_a_login_lives_as_long_as_the_task_may_run(openbao: OpenBao, limit_seconds: int) -> None:
    made = session(openbao, "24h")
    assert made.token is not None
    made._requests().post("/v1/cubbyhole/made", {"a": "value"})

    PodValues([DYNAMIC], "base", limit_seconds).read(made)

    assert limit_seconds - 5 <= ttl(openbao, made) <= limit_seconds


def test_a_login_that_is_too_short_fails_with_both_figures(openbao: OpenBao) -> None:
    made = session(openbao, "20m")
    made._requests().post("/v1/cubbyhole/made", {"a": "value"})

    with pytest.raises(DeliveryRefused) as error:
        PodValues([DYNAMIC], "base", 3600).read(made)

    assert "at most, and the task may run for 3600 s: raise its max_ttl" in str(error.value)


def test_a_task_without_a_limit_is_told_how_long_its_credentials_live(
    openbao: OpenBao, caplog: pytest.LogCaptureFixture
) -> None:
    made = session(openbao, "20m")
    made._requests().post("/v1/cubbyhole/made", {"a": "value"})

    PodValues([DYNAMIC], "base", None).read(made)

    assert "set execution_timeout" in caplog.text


def test_a_revoked_login_may_be_revoked_again(openbao: OpenBao) -> None:
    made = session(openbao, "20m")

    made.revoke()
    made.revoke()


@pytest.mark.parametrize(
    ("template", "timeout", "bound"),
    [(None, None, None), (None, 90.5, 91), (60, 90, 60), (120, 90, 90), (60, None, 60)],
)
def test_the_kubelet_ends_a_pod_when_its_task_may_not_run_any_longer(
    template: int | None, timeout: float | None, bound: int | None
) -> None:
    spec: dict[str, Any] = {"activeDeadlineSeconds": template} if template else {}

    bound_lifetime({"spec": spec}, timedelta(seconds=timeout) if timeout else None)

    assert bound == spec.get("activeDeadlineSeconds")
