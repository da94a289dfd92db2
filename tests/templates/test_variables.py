"""Variables that a template declares next to itself."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_k8s_vault import templates
from airflow_k8s_vault.errors import TemplateError
from tests.templates.conftest import Write

DECLARED = """\
memory: {type: quantity, default: 1Gi, minimum: 256Mi, maximum: 4Gi}
batch: {type: integer, description: Rows in one batch., minimum: 1, maximum: 1000}
mode: {type: string, enum: [full, delta], default: full}
tags: {type: array, items: {type: string, maxLength: 5}, default: []}
note: {type: string, required: false}
"""


@pytest.fixture
def template(write: Write) -> templates.PodTemplate:
    write("payments/etl.vars.yaml", DECLARED)
    return templates.find("payments/etl", write("payments/etl.yaml.j2", pod=""))


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({}, "batch is missing. Rows in one batch."),
        ({"batch": "1"}, "batch: '1' is no integer."),
        ({"batch": True}, "batch: True is no integer."),
        ({"batch": 0}, "batch: 0 is less than the minimum of 1."),
        ({"batch": 1, "memory": "100Mi"}, "memory: '100Mi' is less than the minimum of 256Mi."),
        ({"batch": 1, "memory": "5000M"}, "memory: '5000M' is more than the maximum of 4Gi."),
        ({"batch": 1, "memory": "1 GB"}, "memory: '1 GB' is no quantity (such as 500m or 2Gi)."),
        ({"batch": 1, "memory": "\uff11Gi"}, "is no quantity"),
        ({"batch": 1, "memory": "1Gi\n"}, "is no quantity"),
        ({"batch": 1, "mode": "fulll"}, 'mode: \'fulll\' is none of "full", "delta".'),
        ({"batch": 1, "tags": ["short", "too long"]}, "tags[1]: 'too long' is too long."),
        ({"batch": 1, "Memory": "1Gi"}, "Memory is no variable of this template. Did you mean 'memory'?"),
        ({"batch": 1, "team": "other"}, "team is no variable of this template."),
    ],
)
def test_a_value_that_is_not_as_declared_is_told(
    template: templates.PodTemplate, values: dict[str, Any], reason: str
) -> None:
    with pytest.raises(TemplateError) as at_import:
        template.check_vars(values)
    with pytest.raises(TemplateError) as before_the_pod:
        template.render(values)

    assert reason in str(at_import.value)
    assert reason in str(before_the_pod.value)


@pytest.mark.parametrize("value", ["{{ params.batch }}", "{% if a %}1{% endif %}", ["{{ x }}"], {"a": "{{ x }}"}])
def test_airflows_own_jinja_waits_until_it_has_been_rendered(template: templates.PodTemplate, value: Any) -> None:
    template.check_vars({"batch": value})

    with pytest.raises(TemplateError, match="is no integer"):
        template.render({"batch": value})


@pytest.mark.parametrize(
    ("kind", "text", "cast"),
    [
        ("integer", " 4\n", 4),
        ("integer", "-3", -3),
        ("integer", "4.0", "4.0"),
        ("integer", "True", "True"),
        ("integer", "0x10", 16),
        ("integer", "9" * 5000, "9" * 5000),
        ("number", "2.5", 2.5),
        ("number", "NaN", "NaN"),
        ("boolean", "True", True),
        ("boolean", "false", False),
        ("boolean", "1", "1"),
        ("array", "['a', True, None]", ["a", True, None]),
        ("array", '["a", 1]', ["a", 1]),
        ("array", "[" * 20_000, "[" * 20_000),
        ("array", "('a',)", "('a',)"),
        ("array", "[__import__('os')]", ["__import__('os')"]),
        ("object", "{'a': 1}", {"a": 1}),
        ("object", "[1]", "[1]"),
        ("string", "4", "4"),
        ("quantity", "4", "4"),
    ],
)
def test_text_of_airflows_jinja_that_spells_the_declared_type_becomes_that(
    write: Write, kind: str, text: str, cast: Any
) -> None:
    write("payments/etl.vars.yaml", f"v: {{type: {kind}}}\n")
    template = templates.find("payments/etl", write("payments/etl.yaml.j2", pod=""))

    if cast == text and kind not in ("string", "quantity"):
        with pytest.raises(
            TemplateError, match=rf"v was Jinja, .* type str .* {kind}\. .*render_template_as_native"
        ):
            template.typed({"v": text}, frozenset({"v"}))
        return
    result = template.typed({"v": text}, frozenset({"v"}))["v"]

    assert (type(cast), cast) == (type(result), result)


def test_jinja_in_one_value_hides_no_mistake_in_another(template: templates.PodTemplate) -> None:
    with pytest.raises(TemplateError, match="mode"):
        template.check_vars({"batch": "{{ x }}", "mode": "none"})


def test_a_mistake_is_told_with_the_file_that_declares_the_variables(write: Write) -> None:
    write("base.yaml.j2", pod="")
    write("base.vars.yaml", "memory: {type: quantity}\n")
    folder = write("etl.yaml.j2", '{% extends "base.yaml.j2" %}\n')

    with pytest.raises(TemplateError, match=r"Declared: memory \(pod_templates/base.vars.yaml\)"):
        templates.find("payments/etl", folder).check_vars({"memry": "1Gi"})


def test_a_child_inherits_its_parents_variables_and_may_declare_its_own(write: Write) -> None:
    write("base.vars.yaml", "cpu: {type: quantity, default: 100m}\nmemory: {type: quantity, default: 1Gi}\n")
    write("base.yaml.j2", pod="      workingDir: /{{ cpu }}-{{ memory }}\n")
    write("payments/etl.vars.yaml", "memory: {type: quantity, default: 2Gi}\n")
    folder = write("payments/etl.yaml.j2", '{% extends "base.yaml.j2" %}')
    template = templates.find("payments/etl", folder)

    assert ["cpu", "memory"] == list(template.variables.variables)
    assert "/100m-2Gi" == template.render({})["spec"]["containers"][0]["workingDir"]


@pytest.mark.parametrize(
    ("declaration", "reason"),
    [
        ("batch: 5", "line 1: batch has no declaration"),
        ("batch: {type: int}", "line 1: batch has type 'int', which is none of string, integer"),
        ("batch: {typ: integer}", "batch has the unknown keyword 'typ'. Did you mean 'type'?"),
        ("batch: {type: integer, default: x}", "default of batch: 'x' is no integer."),
        (
            "batch: {type: integer, default: 5, maximum: 4}",
            "default of batch: 5 is greater than the maximum of 4.",
        ),
        ("batch: {type: string, enum: [a, 1]}", "enum of batch: 1 is no string."),
        ("batch: {type: integer, minimum: x}", "batch: 'x' is not of type 'number'."),
        ("m: {type: quantity, maximum: lots}", "m has maximum 'lots', which is no quantity"),
        ("Batch: {type: integer}", "Batch is no name of a variable"),
        ("images: {type: object}", "images is a name that every template has already"),
        ("batch: {type: integer, required: maybe}", "`required` that is neither true nor false"),
        ("batch: {type: string, pattern: '['}", "batch has pattern '[': RE2 does not take it: missing ]"),
        (
            "a: {type: array, items: {typ: string}}",
            "a has the unknown keyword 'typ' in items. Did you mean 'type'?",
        ),
        ("a: {type: object, properties: {b: {items: {x: 1}}}}", "keyword 'x' in properties.b.items."),
        ("- a", "must map each variable's name to its declaration"),
        ("a: {type: string}\na: {type: string}", "key 'a' is there twice"),
    ],
)
def test_a_declaration_that_is_not_valid_is_told_with_file_and_line(
    write: Write, declaration: str, reason: str
) -> None:
    write("payments/etl.vars.yaml", declaration)
    folder = write("payments/etl.yaml.j2", pod="")

    with pytest.raises(TemplateError) as refused:
        templates.find("payments/etl", folder).check_vars({})

    assert reason in str(refused.value)
    assert "pod_templates/payments/etl.vars.yaml" in str(refused.value)
