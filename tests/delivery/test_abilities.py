"""What each delivery can do with a file's mode, whoever its container runs as: as the table of the docs says."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import pytest

from airflow_k8s_vault import VaultSecret
from airflow_k8s_vault.delivery import REQUEST_ANNOTATION, abilities, agent, secret
from airflow_k8s_vault.delivery.login import VaultLogin
from airflow_k8s_vault.errors import DeliveryRefused
from airflow_k8s_vault.vault_file import MODES

PAGE = Path(__file__).parents[2] / "docs/vault-secret.md"
LOGIN = VaultLogin("https://vault:8200", "payments")


def test_the_docs_show_the_table_of_the_checks() -> None:
    assert abilities.table() in PAGE.read_text()


def attached(delivery: str, mode: str, user: int | None, group: int | None) -> dict[str, Any]:
    security = {name: given for name, given in (("runAsUser", user), ("fsGroup", group)) if given is not None}
    spec = {"containers": [{"name": "base", "image": "any"}], "securityContext": security}
    pod = {"metadata": {"annotations": {REQUEST_ANNOTATION: "0a1b2c"}}, "spec": spec}
    requested = [VaultSecret("secret/payments/x", file="x", key="x", mode=mode)]
    return agent.attach(pod, requested, LOGIN) if delivery == "agent" else secret.attach(pod, requested)


@pytest.mark.parametrize(("delivery", "mode"), list(product(("agent", "secret"), MODES)))
def test_a_mode_is_delivered_or_refused_with_the_way_out(delivery: str, mode: str) -> None:
    for user, group in product((None, 0, 10001), (None, 10001)):
        by_group = group is not None and mode in ("0440", "0550")
        by_owner = user == 10001 if delivery == "agent" else user == 0 and group is None
        if mode in ("0444", "0555") or by_group or by_owner:
            pod = attached(delivery, mode, user, group)
            assert_has(pod, delivery, mode, 10001 if user is None else user)
            continue

        with pytest.raises(
            DeliveryRefused,
            match=rf"file 'x' of container 'base' has mode {mode}, and .*take .*mode=|set runAsUser",
        ):
            attached(delivery, mode, user, group)


def assert_has(pod: dict[str, Any], delivery: str, mode: str, user: int) -> None:
    """Assert that the pod's manifest gives the file its mode, and its owner with it."""
    if delivery == "secret":
        (volume,) = pod["spec"]["volumes"]
        (item,) = volume["secret"]["items"]
        assert int(mode, 8) == item.get("mode", volume["secret"]["defaultMode"])
        return
    (sidecar,) = pod["spec"]["initContainers"]
    assert f'"perms": "{mode}"' in str(sidecar["env"])
    own = sidecar["securityContext"].get("runAsUser", pod["spec"]["securityContext"].get("runAsUser"))
    assert mode[-1] != "0" or pod["spec"]["securityContext"].get("fsGroup") or own == user
