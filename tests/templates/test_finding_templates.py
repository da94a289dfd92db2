"""Finding a template by its name, and what it is made of."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_k8s_vault import templates
from airflow_k8s_vault.errors import TeamError, TemplateError
from tests import growth
from tests.templates.conftest import POD, TEAM, Write


def test_a_teams_own_template_comes_before_the_shared_one(write: Write) -> None:
    write("etl.yaml.j2", pod="      workingDir: /shared\n")
    shared = templates.find("payments/etl", write("team.txt", ""))
    own = templates.find("payments/etl", write("payments/etl.yaml.j2", pod="      workingDir: /own\n"))

    assert "/shared" == shared.render({})["spec"]["containers"][0]["workingDir"]
    assert "/own" == own.render({})["spec"]["containers"][0]["workingDir"]
    assert "payments" == shared.team.name == own.team.name


def test_the_team_can_be_given_beside_the_name(write: Write) -> None:
    folder = write("etl.yaml.j2", pod="")

    assert "payments/etl" == templates.find("etl", folder, team="payments").name
    with pytest.raises(TemplateError, match="is of team 'payments', and the task's team is 'other'"):
        templates.find("payments/etl", folder, team="other")
    with pytest.raises(TemplateError, match="has no team"):
        templates.find("etl", folder)


@pytest.mark.parametrize(
    "name",
    [
        *("payments/../etl", "payments/..", "payments//etl", "payments/./etl", "/payments/etl", "payments/etl/"),
        *("payments/_parts", "Payments/etl", "payments/ETL", "payments/etl.yaml.j2", "payments\\etl", "../x/etl"),
        *("", "раyments/etl", "payments/еtl", "payments/etl\n", "payments/e\0tl", "payments/" + "x" * 300),
    ],
)
def test_a_name_that_is_none_finds_nothing(write: Write, name: str) -> None:
    write("_parts.yaml.j2", "")
    folder = write("etl.yaml.j2", pod="")

    with pytest.raises((TeamError, TemplateError)):
        templates.find(name, folder)


def test_a_folder_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(TeamError, match="which is no folder"):
        templates.find("payments/etl", tmp_path / "missing")


@pytest.mark.parametrize(
    "tag",
    [
        '{% extends "../outside.yaml.j2" %}',
        '{% include "../outside.yaml.j2" %}',
        '{% include "/etc/passwd" %}',
        '{% import "payments/../../outside.yaml.j2" as x %}',
        '{% from "./x" import y %}',
        '{% include "a\\\\b" %}',
        '{% include "link.yaml.j2" %}',
    ],
)
def test_a_path_that_leaves_the_folder_is_an_error_with_file_and_line(write: Write, tag: str) -> None:
    folder = write("payments/etl.yaml.j2", "{# first line #}\n" + tag)
    outside = folder.parent / "outside.yaml.j2"
    outside.write_text("secret: 1\n")
    (folder / "link.yaml.j2").symlink_to(outside)

    with pytest.raises(TemplateError, match="leaves"):
        templates.find("payments/etl", folder).render({})


@pytest.mark.parametrize("tag", ["{% extends name %}", "{% include ['a', name] %}", "{% import 'a' ~ 'b' as x %}"])
def test_the_name_of_a_parent_is_never_computed(write: Write, tag: str) -> None:
    folder = write("payments/etl.yaml.j2", tag)

    with pytest.raises(TemplateError, match=r"etl.yaml.j2, line 1: .* takes a template's name in quotes"):
        templates.find("payments/etl", folder).render({})


def test_a_parent_that_is_missing_is_named_with_its_child(write: Write) -> None:
    folder = write("payments/etl.yaml.j2", '{% extends "bsae.yaml.j2" %}')

    with pytest.raises(
        TemplateError, match=r"payments/etl.yaml.j2, line 1 needs 'bsae.yaml.j2', which is not there"
    ):
        templates.find("payments/etl", folder).check_vars({})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: 1\na: 2\n", "line 2: a: key 'a' is there twice (first in line 1)."),
        ("a: &x 1\n", "anchor '&x' is not taken here"),
        ("a: *x\n", "alias '*x' is not taken here"),
        ("<<: {a: 1}\n", "merge key '<<' is not taken here"),
        ("a: !!str 1\n", "tag 'tag:yaml.org,2002:str' is not taken here"),
        ("a: !vault x\n", "tag '!vault' is not taken here"),
        ("? {a: 1}\n: x\n", "a key has to be plain text"),
        ("a: 1\n---\nb: 2\n", "line 2: a second document starts here"),
        ("a: [1\n", "is no valid YAML"),
        ("a: .inf\n", "'.inf' is no number that JSON"),
        ("", "is null; it must be a mapping"),
        ("- a\n", "is a list; it must be a mapping"),
        ("apiVersion: v1\nkind: Pod\n", "spec is missing."),
        ("apiVersion: v1\nkind: Pod\nspec:\n", "spec is missing."),
        ("apiVersion: v1\nkind: Pod\nspec: {}\n", "spec.containers is missing."),
        ("apiVersion: v1\nkind: Pod\nspec: {containers: []}\n", "has no container named 'base'"),
        ("apiVersion: v1\nkind: Pod\nspec: {containers: [~]}\n", "spec.containers[0] is null"),
        ("a: " + "[" * 100 + "]" * 100, "nested deeper than 60 levels"),
        (
            POD + "      comand: [x]\n",
            "line 7: spec.containers[0].comand is no key of a v1 Pod. Did you mean 'command'?",
        ),
        (POD + "      command: x\n", "line 7: spec.containers[0].command is 'x'; it must be a list."),
        (POD + "      env: [{name: A, value: 1}]\n", "value is 1; it must be text (put it in quotes)."),
        (POD + "      env: [{name: A, value: yes}]\n", "value is true; it must be text (put it in quotes)."),
        (POD + "      env: [{value: x}]\n", "spec.containers[0].env[0].name is missing."),
        (POD + "      stdin: 'yes'\n", "stdin is 'yes'; it must be true or false."),
        (POD + "    - name: base\n      image: x\n", "line 7: spec.containers[1].name is 'base' twice"),
        (POD + "metadata: {labels: {team: a b}}\n", "metadata.labels.team is no value of a label: at most 63"),
        (POD + "metadata: {labels: {a b: x}}\n", "is no name of a label ([prefix/]name:"),
        (
            POD.replace("spec:", "spec:\n  nodeSelector: {disk: ssd_}"),
            "spec.nodeSelector.disk is no value of a label",
        ),
        (POD + "status: {}\n", "status is set by the cluster; leave it out."),
        (POD.replace("name: base", "name: main"), "has no container named 'base'"),
        (POD.replace("v1", "v2"), "apiVersion is 'v2'; a pod template has 'v1'."),
        (POD.replace("kind: Pod", "kind: Job"), "kind is 'Job'; a pod template has 'Pod'."),
        (
            POD + "metadata: {namespace: other}\n",
            "metadata.namespace is 'other'; team 'payments' has 'team-payments'.",
        ),
        (POD.replace("spec:", "spec:\n  serviceAccountName: x"), "serviceAccountName is 'x'; team 'payments' has"),
    ],
)
def test_what_is_no_valid_pod_is_an_error_with_file_and_line(write: Write, text: str, reason: str) -> None:
    folder = write("payments/etl.yaml.j2", text)

    with pytest.raises(TemplateError) as refused:
        templates.find("payments/etl", folder).render({})

    assert reason in str(refused.value)
    assert "pod_templates/payments/etl.yaml.j2" in str(refused.value)


def test_a_mistake_in_a_parent_is_told_with_the_parents_file_and_line(write: Write) -> None:
    write("base.yaml.j2", pod="{% block more %}\n{% endblock %}\n      comand: [x]\n")
    folder = write(
        "payments/etl.yaml.j2", '{% extends "base.yaml.j2" %}\n{% block more %}\n      tyy: true\n{% endblock %}'
    )

    with pytest.raises(TemplateError) as refused:
        templates.find("payments/etl", folder).render({})

    assert "pod_templates/base.yaml.j2, line 9: spec.containers[0].comand is no key" in str(refused.value)
    assert "pod_templates/payments/etl.yaml.j2, line 3: spec.containers[0].tyy is no key" in str(refused.value)


def test_a_bracket_that_is_never_closed_is_told_where_it_opens(write: Write) -> None:
    write("base.yaml.j2", pod="      env:\n        {% block env %}{% endblock +%}\n      tty: true\n")
    folder = write(
        "etl.yaml.j2", '{% extends "base.yaml.j2" %}\n{% block env %}\n        [{name: A\n{% endblock %}\n'
    )

    with pytest.raises(
        TemplateError, match=r"etl.yaml.j2, line 3: is no valid YAML: while parsing a flow mapping"
    ):
        templates.find("payments/etl", folder).render({})


def test_an_image_that_the_team_does_not_have_is_told_with_those_that_it_has(write: Write) -> None:
    folder = write("load.yaml.j2", "apiVersion: v1\nkind: Pod\nspec: {hostname: {{ images.elt }}}\n")

    with pytest.raises(TemplateError, match=r"line 3: there is no 'elt', only etl\. Did you mean 'etl'"):
        templates.find("payments/load", folder).render({})


def test_a_tag_that_jinja_does_not_know_is_told_in_one_sentence(write: Write) -> None:
    folder = write("etl.yaml.j2", pod="{% block a %}{% endbloc %}")

    with pytest.raises(TemplateError, match=r"line 7: .*'endbloc'.*[^.]\.$"):
        templates.find("payments/etl", folder).check_vars({})


def test_another_find_takes_a_tenth_of_the_first_and_sees_a_change_at_once(write: Write) -> None:
    folder = write("payments/etl.yaml.j2", pod="")
    team = folder / "payments" / "team.yaml"
    accounts = iter(range(1000))

    def find() -> str:
        template = templates.find("payments/etl", folder)
        template.check_vars({})
        return template.team.service_account

    def find_changed() -> None:
        account = f"airflow-{next(accounts)}"
        team.write_text(TEAM.replace("airflow-payments", account))
        assert find() == account

    changed = growth.cpu_seconds(lambda: [find_changed() for _ in range(30)])
    again = growth.cpu_seconds(lambda: [find() for _ in range(30)])

    assert again < changed / 10
