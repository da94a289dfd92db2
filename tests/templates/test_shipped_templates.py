"""The templates that come with the package."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_k8s_vault import templates
from airflow_k8s_vault.errors import TeamError, TemplateError
from airflow_k8s_vault.policy import argument_refusal

SHIPPED = Path(__file__).parents[2] / "pod_templates"


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("payments/etl", "postgres:18"),
        ("payments/python", "python:3.12-slim"),
        ("payments/base", "python:3.12-slim"),
        ("data-science/python", "python:3.12-slim"),
        ("data-science/ubuntu", "ubuntu:24.04"),
    ],
)
def test_a_template_renders_to_a_pod_of_its_team(name: str, image: str) -> None:
    template = templates.find(name, SHIPPED)

    pod = template.render({})

    assert image == pod["spec"]["containers"][0]["image"]
    assert template.team.namespace == pod["metadata"]["namespace"]
    assert template.team.service_account == pod["spec"]["serviceAccountName"]


def test_an_unknown_template_says_where_it_was_looked_for_and_what_there_is() -> None:
    with pytest.raises(TemplateError) as refused:
        templates.find("payments/etk", SHIPPED)

    assert str(refused.value) == (
        "Team 'payments' has no pod template 'etk'.\n"
        f"  Looked for: payments/etk.yaml.j2, etk.yaml.j2 in {SHIPPED}.\n"
        "  Available to payments: base, etl, python. Did you mean 'etl'?"
    )


def test_an_unknown_team_says_which_teams_there_are() -> None:
    with pytest.raises(TeamError, match="Did you mean 'payments'"):
        templates.find("paymets/etl", SHIPPED)


def test_all_mistakes_in_the_variables_are_listed_at_once() -> None:
    template = templates.find("payments/etl", SHIPPED)

    with pytest.raises(TemplateError) as refused:
        template.check_vars({"memroy": "1Gi", "memory": "9Gi", "cpu": True})

    assert "memroy is no variable of this template. Did you mean 'memory'?" in str(refused.value)
    assert "'9Gi' is more than the maximum of 4Gi" in str(refused.value)
    assert "cpu: True is no quantity" in str(refused.value)


def test_a_task_learns_which_arguments_its_team_leaves_open() -> None:
    team = templates.find("payments/etl", SHIPPED).team

    message = argument_refusal("load", team, ["image", "cmds", "service_account_name"])

    assert message is not None
    assert message.startswith(
        "Task 'load' sets image and service_account_name, which team 'payments' does not leave open to DAGs.\n"
        "  Open: arguments, cmds, env_vars, labels "
        "(pod_templates/payments/team.yaml, line 10)."
    )
