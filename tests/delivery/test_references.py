"""$(NAME) of a secret's variable: expanded as Kubernetes does it, or refused where it would stay text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from k8s_vault_devcluster.kubelet.environment import expand

from airflow_k8s_vault import VaultSecret
from airflow_k8s_vault.delivery import REQUEST_ANNOTATION, agent, references, secret
from airflow_k8s_vault.delivery.login import VaultLogin
from airflow_k8s_vault.errors import DeliveryRefused

LOGIN = VaultSecret("secret/payments/login", env={"PGUSER": "user", "PGPASSWORD": "password"})
DSN = {"name": "DSN", "value": "postgresql://$(PGUSER):$(PGPASSWORD)@db/x?note=$$(PGUSER)"}
Attach = Callable[[dict[str, Any], list[VaultSecret]], dict[str, Any]]


@pytest.fixture(params=["agent", "secret"])
def attach(request: pytest.FixtureRequest) -> Attach:
    if request.param == "secret":
        return secret.attach
    return lambda pod, secrets: agent.attach(pod, secrets, VaultLogin("https://vault:8200", "payments"))


def pod(base: dict[str, Any], other: dict[str, Any] | None = None) -> dict[str, Any]:
    containers = [{"name": "base", **base}, {"name": "proxy", **(other or {})}]
    return {"metadata": {"annotations": {REQUEST_ANNOTATION: "0123456789"}}, "spec": {"containers": containers}}


def test_a_variable_of_the_template_can_refer_to_those_of_a_secret(attach: Attach) -> None:
    (base, _) = attach(pod({"env": [DSN], "args": ["$(PGUSER)"]}), [LOGIN])["spec"]["containers"]

    values: dict[str, str] = {}
    for variable in base["env"]:
        values[variable["name"]] = expand(variable.get("value", f"<{variable['name']}>"), values)
    assert values["DSN"] == "postgresql://<PGUSER>:<PGPASSWORD>@db/x?note=$(PGUSER)"


def test_a_reference_to_what_another_container_is_given_is_refused(attach: Attach) -> None:
    other = {"env": [DSN], "command": ["run", "$(PGPASSWORD)"], "args": ["$$(PGUSER)", "$(OTHER)"]}

    with pytest.raises(DeliveryRefused) as error:
        attach(pod({}, other), [LOGIN])

    assert str(error.value).splitlines()[1:] == [
        f"  - container 'proxy': {where} refers to $({name}), which is given to container 'base' alone; write "
        f"$$({name}) where the text itself is meant."
        for where, name in (("DSN", "PGUSER"), ("DSN", "PGPASSWORD"), ("command", "PGPASSWORD"))
    ]


def test_a_reference_that_a_hook_has_moved_before_its_variable_is_refused(attach: Attach) -> None:
    made = attach(pod({"env": [DSN]}), [LOGIN])
    made["spec"]["containers"][0]["env"].reverse()

    with pytest.raises(DeliveryRefused, match=r"DSN refers to \$\(PGPASSWORD\), which stands after it"):
        references.require_expanded(made)


@pytest.mark.parametrize(
    "base",
    [
        {"env": [{"name": "A", "value": "$(UNKNOWN) $(PGUSER"}]},
        {"env": [{"name": "A", "value": "$$(PGUSER) $$$$(PGUSER)"}]},
        {"args": ["$(cat /x)", "$$$(PGUSER)"]},
    ],
    ids=["no reference to a secret", "escaped", "expanded"],
)
def test_other_texts_are_left_alone(attach: Attach, base: dict[str, Any]) -> None:
    attach(pod(base), [LOGIN])


def test_a_variable_that_the_container_sets_itself_or_takes_from_elsewhere_is_no_reference_to_a_secret(
    attach: Attach,
) -> None:
    own = {"env": [{"name": "PGUSER", "value": "me"}, DSN], "envFrom": [{"configMapRef": {"name": "x"}}]}

    attach(pod({}, own), [LOGIN])
